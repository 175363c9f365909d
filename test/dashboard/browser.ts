/** Real Chromium for the page's tests: Debian's, driven by playwright-core, with every request and console message kept. */
import axe from "axe-core";
import { chromium } from "playwright-core";
import type { Browser, Page } from "playwright-core";

/** The flags that a headless Chromium needs as root and on a machine without a network. */
const ARGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: "/usr/bin/chromium", args: ARGS });
}

export interface Watched {
  readonly page: Page;
  /** Console errors, refused policies and exceptions so far. */
  readonly complaints: string[];
  /** Addresses asked for. */
  readonly requests: string[];
  /** Bytes of bodies as they came over the wire. */
  readonly received: () => Promise<number>;
}

export interface Opening {
  readonly width?: number;
  readonly scheme?: "light" | "dark";
}

/** Opens an address in a fresh context. */
export async function open(browser: Browser, url: string, { width = 1280, scheme = "light" }: Opening = {}): Promise<Watched> {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const complaints: string[] = [];
  const requests: string[] = [];
  const sizes: Promise<number>[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => requests.push(request.url()));
  page.on("requestfinished", (request) => {
    if (!request.url().endsWith("/api/live")) {
      const size = request.sizes().then(({ responseBodySize }) => responseBodySize);
      sizes.push(size.catch(() => 0)); // The page was closed meanwhile.
    }
  });
  await page.goto(url);
  const received = async (): Promise<number> => (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
  return { page, complaints, requests, received };
}

/** What axe-core finds wrong with the page as it is: rule and element, one line each. */
export async function accessibility(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const runner = (globalThis as unknown as { axe: typeof axe }).axe;
    const { violations } = await runner.run();
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 160)}`));
  });
}
