/**
 * The server's side of the lab: listens as its argument says, tells everything as JSON lines with a monotonic time, and does what
 * JSON lines on stdin ask for.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { listen } from "../../../src/link/index.ts";
import type { ByteLink, ListenOptions, SessionListenOptions } from "../../../src/link/index.ts";

export interface LabServer {
  readonly name: string;
  readonly options: ListenOptions | SessionListenOptions;
  readonly watch?: boolean;
}

/** One line that the lab's server says; `lagMs` is how late this process ran at worst, for which the kernel is not to blame. */
export type LabLine = { readonly name: string; readonly t: number; readonly lagMs: number } & (
  | { readonly event: "listening"; readonly port: number }
  | { readonly event: "open" | "filled" | "sent"; readonly peer: string }
  | { readonly event: "bytes"; readonly peer: string }
  | { readonly event: "silence"; readonly silentForMs: number }
  | { readonly event: "end"; readonly peer: string; readonly reason: string }
  | { readonly event: "watch"; readonly kind: string; readonly probes: number; readonly unanswered?: number }
  | { readonly event: "presence"; readonly presence: string; readonly reason: string | undefined }
  | { readonly event: "message"; readonly text: string }
);

export interface LabCommand {
  readonly name: string;
  /** "byte" sends one byte; "fill" sends until the kernel takes no more; "silence" asks how long nothing was heard. */
  readonly order: "byte" | "fill" | "silence";
}

type Untimed<T> = T extends unknown ? Omit<T, "t" | "lagMs"> : never;

const lag = monitorEventLoopDelay({ resolution: 5 });

function say(line: Untimed<LabLine>): void {
  process.stdout.write(`${JSON.stringify({ ...line, t: performance.now(), lagMs: lag.max / 1e6 })}\n`);
}

const links = new Map<string, ByteLink>();

async function serveBytes({ name, options, watch }: LabServer): Promise<number> {
  const server = await listen(options as ListenOptions);
  server.on("open", (link) => {
    links.set(name, link);
    say({ name, event: "open", peer: link.peer });
    if (watch) void report(name, link);
  });
  server.on("bytes", (link) => say({ name, event: "bytes", peer: link.peer }));
  server.on("end", (link, { reason }) => say({ name, event: "end", peer: link.peer, reason }));
  return server.port;
}

async function report(name: string, link: ByteLink): Promise<void> {
  const watched = link.watch({ every: "50ms" });
  for await (const event of watched) {
    const unanswered = event.kind === "probe" ? { unanswered: event.unanswered } : {};
    say({ name, event: "watch", kind: event.kind, probes: watched.probes, ...unanswered });
  }
}

async function serveSessions({ name, options }: LabServer): Promise<number> {
  const { session } = options as SessionListenOptions;
  const onMessage = (_session: unknown, message: Uint8Array): void =>
    say({ name, event: "message", text: Buffer.from(message).toString() });
  const server = await listen({ ...options, session: { ...session, onMessage } });
  server.on("presence", (_session, presence, end) => say({ name, event: "presence", presence, reason: end?.reason }));
  return server.port;
}

for (const server of JSON.parse(process.argv[2]!) as LabServer[]) {
  const port = "session" in server.options ? await serveSessions(server) : await serveBytes(server);
  say({ name: server.name, event: "listening", port });
}

lag.enable();

createInterface({ input: process.stdin }).on("line", (line) => {
  const { name, order } = JSON.parse(line) as LabCommand;
  const link = links.get(name)!;
  if (order === "silence") {
    say({ name, event: "silence", silentForMs: link.stats().silentForMs! });
    return;
  }
  if (order === "byte") {
    void link.send(Buffer.from("x")).catch(() => {});
    say({ name, event: "sent", peer: link.peer });
    return;
  }
  const fill = (): void => {
    const chunk = Buffer.alloc(65_536);
    const before = link.stats().unsentBytes;
    for (let count = 0; count < 8; count += 1) link.send(chunk).catch(() => {});
    // Full when a whole turn of the loop has moved nothing.
    setTimeout(
      () => (link.stats().unsentBytes > before && before > 0 ? say({ name, event: "filled", peer: link.peer }) : fill()),
      20,
    );
  };
  fill();
});
