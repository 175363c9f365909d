/** The page in real Chromium, with real parts behind it. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { CacheClient, CacheServer } from "../../src/cache/index.ts";
import { Dashboard } from "../../src/dashboard/index.ts";
import { listen } from "../../src/link/index.ts";
import type { LinkServer } from "../../src/link/index.ts";
import { requires } from "../support/requires.ts";
import { accessibility, launch, open } from "./browser.ts";

const needs = requires("chromium");
const root = join(import.meta.dirname, "../..");

let browser: Browser;
let cache: CacheServer;
let link: LinkServer;
let dashboard: Dashboard;
let client: CacheClient;
let url = "";

before(async () => {
  if (needs.skip !== false) return;
  if (!existsSync(join(root, "dist/dashboard/web/index.html"))) {
    execFileSync(
      join(root, "node_modules/.bin/vite"),
      ["build", "--config", "src/dashboard/web/vite.config.ts", "--logLevel", "warn"],
      { cwd: root },
    );
  }
  cache = new CacheServer({ listen: "127.0.0.1:0" });
  await cache.listen();
  link = await listen({ port: 0 });
  dashboard = new Dashboard({ listen: "127.0.0.1:0", cache, link });
  await dashboard.listen();
  client = new CacheClient({ servers: [cache.address] });
  await client.set("greeting", "hello");
  url = `http://${dashboard.address}/`;
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await client?.close();
  await dashboard?.close();
  await cache?.close();
  await link?.close();
});

test("the page loads under 150 KB, from this host alone, and nothing is refused or thrown", needs, async () => {
  const { page, requests, received, complaints } = await open(browser, url);
  await page.getByText("127.0.0.1:", { exact: false }).first().waitFor();
  assert.deepEqual(
    requests.filter((each) => !each.startsWith(url)),
    [],
  );
  assert.ok((await received()) < 150_000, `${await received()} bytes`);
  assert.deepEqual(complaints, []);
});

test("numbers on the page move by themselves when the parts are used", needs, async () => {
  const { page } = await open(browser, url);
  await page.getByText(cache.address).waitFor();
  const items = page.locator("section", { hasText: cache.address }).locator(".stat", { hasText: "Items" }).locator("dd");
  const before = Number(await items.textContent());
  await client.set("another", "value");
  await items.filter({ hasText: String(before + 1) }).waitFor();
});

test(
  "the page works at 360 px without scrolling sideways, light and dark, without accessibility violations",
  needs,
  async () => {
    for (const scheme of ["light", "dark"] as const) {
      const { page } = await open(browser, url, { width: 360, scheme });
      await page.getByText(cache.address).waitFor();
      const width = await page.evaluate<number>("document.documentElement.scrollWidth");
      assert.ok(width <= 360, `${scheme}: ${width} px wide`);
      assert.deepEqual(await accessibility(page), []);
    }
  },
);

test("the page says so when the server is gone, and goes on when it is back", needs, async () => {
  const first = new Dashboard({ listen: "127.0.0.1:0", cache });
  await first.listen();
  const { address } = first;
  const { page } = await open(browser, `http://${address}/`);
  await page.getByRole("status").getByText("live").waitFor();
  await first.close();
  await page.getByRole("status").getByText("not connected").waitFor();
  const second = new Dashboard({ listen: address, cache });
  await second.listen();
  await page.getByRole("status").getByText("live").waitFor();
  await second.close();
});
