/** The browser's client in real Chromium, as a page has it: bundled by esbuild, on an application's HTTP server, cut and healed. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { listen } from "../../../src/link/index.ts";
import type { SessionServer } from "../../../src/link/index.ts";
import type { connect } from "../../../src/link/browser.ts";
import { launch, open } from "../../dashboard/browser.ts";
import { requires } from "../../support/requires.ts";
import { proxyTo } from "../support/proxy.ts";
import type { Proxy } from "../support/proxy.ts";

/** 21 KiB: what a page pays for it; beyond that look what came in. */
const GZIPPED_BYTES_MAX = 21_504;

/** What the page's scripts see. */
interface Window {
  holdfast: { connect: typeof connect };
  client: Awaited<ReturnType<typeof connect>>;
  heard: string[];
  readonly document: EventTarget;
}

async function bundle(): Promise<string> {
  const { outputFiles, warnings } = await build({
    entryPoints: [join(import.meta.dirname, "../../../src/link/browser.ts")],
    bundle: true,
    minify: true,
    write: false,
    format: "iife",
    globalName: "holdfast",
    platform: "browser",
  });
  assert.deepEqual(warnings, []);
  return outputFiles[0]!.text;
}

test("bundled and gzipped it is under 21 KiB", async () => {
  const { length } = gzipSync(await bundle(), { level: 9 });
  assert.ok(length < GZIPPED_BYTES_MAX, `${length} bytes`);
});

suite("in Chromium", requires("chromium"), () => {
  let browser: Browser;
  let server: SessionServer;
  let site: Proxy;
  let page: Page;
  let complaints: string[];
  const got: string[] = [];
  const http = createServer((request, response) => {
    const isScript = request.url === "/holdfast.js";
    response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
    response.setHeader("Content-Security-Policy", "default-src 'self'");
    response.end(isScript ? script : "<!doctype html><title>A page</title><script src=/holdfast.js></script>");
  });
  let script = "";

  before(async () => {
    script = await bundle();
    server = await listen({
      port: false,
      session: {
        token: "secret",
        topics: {},
        onMessage: (_session, message) => {
          const text = Buffer.from(message).toString();
          if (text === "refuse") throw new Error("not that");
          got.push(text.length > 100 ? String(text.length) : text);
        },
        async onStream(_session, stream) {
          let bytes = 0;
          for await (const piece of stream) bytes += piece.length;
          got.push(`stream of ${bytes}`);
        },
      },
    });
    server.attach(http, { path: "/link" });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    site = await proxyTo((http.address() as AddressInfo).port);
    browser = await launch();
    ({ page, complaints } = await open(browser, `http://127.0.0.1:${site.port}/`));
  });
  after(async () => {
    await browser.close();
    await site.close();
    await server.close();
    http.close();
    http.closeAllConnections();
  });

  const inPage = <T>(script: () => T | Promise<T>): Promise<T> => page.evaluate(script) as Promise<T>;

  test("a page opens a session with its token, both sides send, topics and streams work", async () => {
    const said = await inPage(async () => {
      const window = globalThis as unknown as Window;
      window.heard = [];
      window.client = await window.holdfast.connect({
        url: "/link",
        reconnect: { base: 1, cap: 20 },
        session: {
          name: "desk-3",
          token: "secret",
          heartbeat: "1h",
          onMessage: (message) => void window.heard.push(new TextDecoder().decode(message)),
          onTopic: (topic, message) => void window.heard.push(`${topic}: ${new TextDecoder().decode(message)}`),
        },
      });
      const { client } = window;
      await client.subscribe("news/#");
      await client.publish("news/local", "rain", { keep: true });
      await client.send("21.5 °C");
      await client.send(new Uint8Array(900_000).fill(97));
      await client.sendStream(
        (async function* (): AsyncGenerator<Uint8Array> {
          for (let piece = 0; piece < 20; piece += 1) yield new Uint8Array(100_000);
        })(),
      );
      return client.send("refuse").catch((error: { code: string; message: string }) => `${error.code} ${error.message}`);
    });
    assert.match(String(said), /^LINK_REJECTED .*not that/);
    await server.session("desk-3")!.send("from the server");
    assert.deepEqual(got, ["21.5 °C", "900000", "stream of 2000000"]);
    assert.deepEqual(await inPage(() => (globalThis as unknown as Window).heard), ["news/local: rain", "from the server"]);
    got.length = 0;
  });

  test("over cuts every message comes once and in order, both ways", async () => {
    const sends = inPage(async () => {
      const { client } = globalThis as unknown as Window;
      for (let round = 0; round < 40; round += 1) {
        const batch = Array.from({ length: 25 }, (_, index) => client.send(String(round * 25 + index)));
        if (round % 2 === 0) await Promise.all(batch);
        else await new Promise((resolve) => setTimeout(resolve, 10));
      }
      while (client.unconfirmed.messages > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    });
    let sent = 0;
    const answers: Promise<void>[] = [];
    const cuts = setInterval(() => {
      site.reset();
      for (let count = 0; count < 20; count += 1) answers.push(server.session("desk-3")!.send(`back ${(sent += 1)}`));
    }, 60);
    await sends.finally(() => clearInterval(cuts));
    await Promise.all(answers);
    assert.ok(answers.length >= 60, `${answers.length / 20} cuts`);
    assert.deepEqual(
      got,
      Array.from({ length: 1000 }, (_, index) => String(index)),
    );
    const heard = await inPage(() => (globalThis as unknown as Window).heard);
    assert.deepEqual(
      heard.filter((text) => text.startsWith("back")),
      Array.from({ length: sent }, (_, index) => `back ${index + 1}`),
    );
    got.length = 0;
  });

  test("when the network comes up the client tries at once, however long it would have waited", async () => {
    await inPage(async () => {
      const window = globalThis as unknown as Window;
      const { client } = window;
      await client.close();
      window.client = await window.holdfast.connect({
        url: "/link",
        reconnect: { base: "1h", cap: "1h" },
        session: { name: "desk-3", token: "secret", heartbeat: "1h" },
      });
      window.client.on("waiting", (inMs) => window.heard.push(`waits ${inMs > 1000}`));
    });
    await page.context().setOffline(true);
    const waiting = page.waitForFunction(() =>
      (globalThis as unknown as Window).heard.some((text) => text.startsWith("waits")),
    );
    site.reset();
    await waiting;
    await page.context().setOffline(false);
    await page.waitForFunction(() => (globalThis as unknown as Window).client.connected);
  });

  test("when the page is seen again the server is asked at once whether it is there", async () => {
    const before = await inPage(() => (globalThis as unknown as Window).client.rttMs);
    assert.equal(before, undefined, "the next heartbeat is an hour away");
    await inPage(() => void (globalThis as unknown as Window).document.dispatchEvent(new Event("visibilitychange")));
    await page.waitForFunction(() => (globalThis as unknown as Window).client.rttMs !== undefined);
  });

  test("a wrong token is refused, and a page of another origin does not get in", async () => {
    const attempt = (at: Page, url: string, token: string): Promise<unknown> =>
      at.evaluate(
        ([where, secret]) =>
          (globalThis as unknown as Window).holdfast
            .connect({ url: where!, reconnect: false, session: { token: secret! } })
            .catch((error: { code: string }) => error.code),
        [url, token],
      );
    assert.equal(await attempt(page, "/link", "guess"), "LINK_REFUSED");
    const other = await open(browser, `http://localhost:${site.port}/`);
    assert.equal(await attempt(other.page, `ws://127.0.0.1:${site.port}/link`, "secret"), "LINK_ENDED");
    await other.page.context().close();
  });

  test("a page that says good-bye is gone, and nothing was complained of but what was cut", async () => {
    const gone = new Promise<string>((resolve) =>
      server.on("presence", ({ name }, presence) => presence === "gone" && resolve(name)),
    );
    await inPage(() => (globalThis as unknown as Window).client.close());
    assert.equal(await gone, "desk-3");
    assert.deepEqual(
      complaints.filter((text) => !/WebSocket connection to .* failed|ERR_INTERNET_DISCONNECTED/.test(text)),
      [],
    );
  });
});
