/**
 * ● When a page's connection is to be looked at: the network came up, the page is seen again, or goes on after it was frozen or left. While a
 * page is hidden its timers ring late (once a minute), its answers to the server's heartbeat do not.
 */
interface Events {
  addEventListener(type: string, listener: () => void, options: { signal: AbortSignal }): void;
}

/** What a page has and a worker may lack. */
interface Page extends Events {
  readonly document?: Events & { readonly visibilityState: string };
}

/** Calls until the signal fires. */
export function whenPageWakes(wake: () => void, signal: AbortSignal): void {
  const page = globalThis as unknown as Page;
  for (const type of ["online", "pageshow"]) page.addEventListener(type, wake, { signal });
  const { document } = page;
  document?.addEventListener("resume", wake, { signal });
  document?.addEventListener("visibilitychange", () => document.visibilityState === "visible" && wake(), { signal });
}
