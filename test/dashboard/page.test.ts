/** The page in real Chromium, with all parts running and used behind it. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { CacheClient, CacheServer } from "../../src/cache/index.ts";
import { Dashboard } from "../../src/dashboard/index.ts";
import { CaptureReader } from "../../src/wire/index.ts";
import { requires } from "../support/requires.ts";
import { accessibility, launch, open } from "./browser.ts";
import type { Opening, Watched } from "./browser.ts";
import { HOSTILE, startTestServers } from "./test-servers.ts";
import type { TestServers } from "./test-servers.ts";

const needs = requires("chromium");
const VIEWS = {
  overview: "No problems|Problems",
  farm: "Cache servers",
  cache: "Slab classes",
  queue: "Tasks of",
  link: "Keep-alive demonstration",
  learn: "What a cache does",
};

let browser: Browser;
let servers: TestServers;
let url = "";

before(async () => {
  if (needs.skip !== false) return;
  servers = await startTestServers();
  url = `http://${servers.dashboard.address}/`;
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await servers?.close();
});

/** A view, once what it shows has come. */
async function openView(view: keyof typeof VIEWS, opening: Opening = {}): Promise<Watched> {
  const watched = await open(browser, `${url}#/${view}`, opening);
  await watched.page.getByText(new RegExp(VIEWS[view])).first().waitFor();
  return watched;
}

async function close({ page, complaints }: Watched): Promise<void> {
  assert.deepEqual(complaints, []);
  await page.context().close();
}

const button = (page: Page, name: string | RegExp) => page.getByRole("button", { name });

test("the page loads under 150 KB, from this host alone, and nothing is refused or thrown", needs, async () => {
  const watched = await openView("overview");
  assert.deepEqual(
    watched.requests.filter((each) => !each.startsWith(url)),
    [],
  );
  const received = await watched.received();
  assert.ok(received > 10_000 && received < 150_000, `${received} bytes`);
  await close(watched);
});

test("of a cache that keeps ghosts the page and the metrics tell how many returned", needs, async (t) => {
  const cache = new CacheServer({ listen: "127.0.0.1:0", memory: "2MiB", eviction: "s3fifo" });
  await cache.listen();
  const dashboard = new Dashboard({ listen: "127.0.0.1:0", cache });
  await dashboard.listen();
  const client = new CacheClient({ servers: [cache.address] });
  t.after(() => Promise.all([client.close(), dashboard.close(), cache.close()]));
  const watched = await open(browser, `http://${dashboard.address}/#/cache`);
  // More than there is room for, again and again: what is stored was evicted not long before.
  for (let round = 0; round < 3; round += 1)
    for (let index = 0; index < 2500; index += 1) await client.set(`item:${index}`, "x".repeat(1000));
  const { ghostsReturned = 0 } = cache.stats();
  assert.ok(ghostsReturned > 100, `${ghostsReturned} returned`);
  await watched.page.getByText("Ghosts returned").waitFor();
  await watched.page.getByText("the main queue").waitFor();
  const metrics = await (await fetch(`http://${dashboard.address}/metrics`)).text();
  assert.match(metrics, new RegExp(`^holdfast_cache_returned_ghosts_total ${ghostsReturned}$`, "m"));
  await close(watched);
});

test(
  "every view works at 360 px and in both colours, without axe-core finding fault or anything to scroll sideways",
  needs,
  async () => {
    for (const [width, scheme] of [
      [360, "light"],
      [1280, "dark"],
    ] as const) {
      const watched = await open(browser, url, { width, scheme });
      for (const view of Object.keys(VIEWS) as (keyof typeof VIEWS)[]) {
        await watched.page.goto(`${url}#/${view}`);
        await watched.page.getByText(new RegExp(VIEWS[view])).first().waitFor();
        assert.deepEqual(await accessibility(watched.page), [], `${view}, ${scheme}`);
        const wide = await watched.page.evaluate<number>("document.documentElement.scrollWidth");
        assert.ok(wide <= width, `${view} is ${wide} px wide on ${width} px`);
      }
      await close(watched);
    }
  },
);

test("a farm is on one page: this process, a peer with its share of the keys, and one that is down", needs, async () => {
  const watched = await openView("farm");
  const { page } = watched;
  const processes = page.getByRole("region", { name: "Table: Processes" });
  await processes.getByRole("row", { name: /127\.0\.0\.1:\d+ down for .*ECONNREFUSED/ }).waitFor();
  await processes.getByRole("row", { name: /this one up/ }).waitFor();
  await processes.getByRole("row", { name: /127\.0\.0\.1:\d+ up cache/ }).waitFor();
  const caches = page.getByRole("region", { name: "Table: Cache servers" });
  assert.equal(await caches.getByText(/^\s*50(\.0)?\s?%\s*$/).count(), 2, "both processes show the same cache here");
  await page.getByRole("link", { name: "Farm" }).waitFor();
  await close(watched);
});

test("the colours can be chosen against the system's, and the choice is remembered", needs, async () => {
  const watched = await openView("overview", { scheme: "light" });
  const background = (): Promise<string> => watched.page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
  const light = await background();
  await watched.page.getByLabel("Colours").selectOption("dark");
  const dark = await background();
  assert.notEqual(dark, light);
  await watched.page.reload();
  await watched.page.getByText("connected", { exact: true }).waitFor();
  assert.equal(await background(), dark);
  await close(watched);
});

test("all views can be reached and an action done with the keyboard alone", needs, async () => {
  const watched = await openView("overview");
  const { page } = watched;
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate<string>("document.activeElement.textContent.trim()"), "Skip to content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate<string>("document.activeElement.id"), "main");
  await page.keyboard.press("Shift+Tab");
  for (let step = 0; step < 20; step += 1) {
    if ((await page.evaluate<string>("document.activeElement.textContent")) === "Queue") break;
    await page.keyboard.press("Shift+Tab");
  }
  await page.keyboard.press("Enter");
  const pause = button(page, "Pause queue reports");
  await pause.focus();
  await page.keyboard.press("Enter");
  await button(page, "Resume queue reports").waitFor();
  await page.keyboard.press("Enter");
  await pause.waitFor();
  await close(watched);
});

test("numbers on the overview move by themselves when the parts are used", needs, async () => {
  const watched = await openView("overview");
  const items = watched.page
    .locator("section", { hasText: servers.cache.address })
    .locator(".stat", { hasText: "Items" })
    .locator("dd");
  const before = Number((await items.textContent())!.replaceAll(",", ""));
  await servers.client.set("one-more", "value");
  await items.filter({ hasText: String(before + 1) }).waitFor();
  await close(watched);
});

test("a dead task is told as a problem on the overview", needs, async () => {
  const watched = await openView("overview");
  await watched.page.getByText("emails has 1 dead task").waitFor();
  await close(watched);
});

test("a hostile key shows as text: among the prefixes, and its value only when asked for", needs, async () => {
  const watched = await openView("cache");
  const { page } = watched;
  await page.getByText(HOSTILE, { exact: true }).waitFor();
  assert.equal(await page.getByText("<script>alert(1)</script>").count(), 0);
  await page.getByLabel("Key", { exact: true }).fill(`${HOSTILE}1`);
  await button(page, "Show value").click();
  await page.getByText("<script>alert(1)</script>").waitFor();
  assert.equal(await page.locator("img").count(), 0);
  await close(watched);
});

test("the cache view shows how many items a second move between the lists", needs, async () => {
  const watched = await openView("cache");
  await watched.page.getByRole("cell", { name: "none" }).first().waitFor();
  const sinks = watched.page
    .getByRole("cell", { name: /→ COLD [\d.,]+/ })
    .first()
    .waitFor();
  await Promise.all(Array.from({ length: 500 }, (_, index) => servers.client.set(`moving:${index}`, "x".repeat(80))));
  await sinks;
  await close(watched);
});

test("the cache view shows slab classes and lists, and the ring where a key lands and what moves", needs, async () => {
  const watched = await openView("cache");
  const { page } = watched;
  assert.ok((await page.getByRole("row").count()) > 5);
  for (const server of ["cache-b.internal:11211", "cache-c.internal:11211"]) {
    await page.getByLabel("Another server of yours").fill(server);
    await button(page, "Add server").click();
    await page.locator(".servers code", { hasText: server }).waitFor();
  }
  assert.equal(await page.locator(".servers li").count(), 3, "the server that runs and those that were named, no others");
  await page.getByLabel("Key to assign").fill("user:7");
  const landed = await page.getByText(/^Assigned to /).textContent();
  const server = landed!.replace("Assigned to ", "").replace(/\.$/, "");
  await button(page, `Remove ${server}`).click();
  await page.getByText(/of the keys have moved/).waitFor();
  const now = await page.getByText(/^Assigned to /).textContent();
  assert.notEqual(now, landed);
  await button(page, `Add again ${server}`).click();
  assert.equal(await page.getByText(/^Assigned to /).textContent(), landed);
  await close(watched);
});

test(
  "every connection is listed with its countdown; one opened is drawn, told in words, and saved for Wireshark",
  needs,
  async () => {
    const watched = await openView("link");
    const { page } = watched;
    await button(page, /^Open the connection of/)
      .first()
      .click();
    const picture = page.getByRole("img", { name: /^Two lifelines/ });
    await picture.waitFor();
    await servers.sensor.send(Buffer.from("22.0\n"));
    await page.locator(".event.bytes").first().waitFor();
    await page.getByText("Event list").click();
    await page
      .getByRole("listitem")
      .filter({ hasText: /5 bytes/ })
      .first()
      .waitFor();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "Save as pcapng" }).click(),
    ]);
    const reader = new CaptureReader();
    for await (const chunk of await download.createReadStream()) reader.push(chunk as Buffer);
    const comments: string[] = [];
    for (let frame = reader.next(); frame; frame = reader.next()) comments.push(frame.comment ?? "");
    assert.match(comments.join(), /5 bytes/);
    await button(page, "Stop watching").click();
    await picture.waitFor({ state: "detached" });
    await close(watched);
  },
);

test("the sliders redraw the predicted time line at true scale before anything is sent", needs, async () => {
  const watched = await openView("link");
  const { page } = watched;
  const slide = (label: string, value: string): Promise<void> => page.getByLabel(label).fill(value);
  /** From the last byte heard to each mark, as shares of the whole. */
  const drawn = (): Promise<number[]> =>
    page.evaluate<number[]>(`(() => {
      const x = (of, name) => Number(document.querySelector(of).getAttribute(name));
      const [from, to] = [x(".prediction .life", "x1"), x(".prediction .life", "x2")];
      const lines = [...document.querySelectorAll(".prediction .predicted line")];
      return lines.map((line) => Math.round((Number(line.getAttribute("x1")) - from) / (to - from) * 100) / 100);
    })()`);
  await slide("Idle time before", "2");
  await slide("Interval between probes", "1");
  await slide("Unanswered probes", "2");
  await page
    .getByRole("img", { name: "a probe after 2 s, a probe after 3 s, closed after 4 s" })
    .getByText("closed after 4 s")
    .waitFor();
  assert.deepEqual(await drawn(), [0.5, 0.75, 1]);
  await slide("Interval between probes", "4");
  await page.getByRole("img", { name: "closed after 10 s" }).waitFor();
  assert.deepEqual(await drawn(), [0.2, 0.6, 1]);
  assert.equal(await page.getByRole("img", { name: /^Two lifelines/ }).count(), 0);
  await close(watched);
});

test(
  "the demonstration: sliders redraw the prediction, the cable is cut, probes go unanswered, the connection ends",
  needs,
  async () => {
    const watched = await openView("link");
    const { page } = watched;
    for (const [label, value] of [
      ["Idle time before", "1"],
      ["Interval between probes", "1"],
      ["Unanswered probes", "2"],
    ] as const) {
      await page.getByLabel(label).fill(value);
    }
    await page.getByText("a peer that does not answer is detected 3 s after its last data").waitFor();
    await button(page, "Start the demonstration").click();
    await button(page, "Send from the client").click();
    await page.locator(".event.bytes").first().waitFor();
    assert.ok((await page.locator(".lifelines .predicted").count()) > 0, "what will come is drawn in grey");
    await button(page, "Suspend the peer process (SIGSTOP)").click();
    await page.locator(".event.answer").first().waitFor();
    await button(page, "Resume the peer process").click();
    await button(page, "Cut the network").click();
    await page.locator(".cuts rect").first().waitFor();
    await page.locator(".probe-count", { hasText: "2/2" }).first().waitFor();
    await page.getByText("The connection has ended.").waitFor();
    const drawn = (of: string): Promise<string[]> => page.locator(of).allTextContents();
    const lost = await drawn(".event.probe.lost text.middle");
    assert.ok(lost.length >= 2, "each probe of the cut cable ends half-way");
    for (const text of lost) assert.match(text, /^lost: (?:SEQ \d+ ACK \d+ · )?keep-alive probe/);
    for (const text of await drawn(".event text.when")) assert.match(text, /^\d\d:\d\d:\d\d\.\d{3}$/);
    await page.getByText("Event list").click();
    const style = 'getComputedStyle(document.querySelector("ol.life"))';
    assert.equal(await page.evaluate<string>(`${style}.listStylePosition`), "inside", "no digit of a number is cut off");
    await close(watched);
  },
);

test("the walks drive the running parts: a miss, a set, a hit; a task and its worker", needs, async () => {
  const watched = await openView("learn");
  const { page } = watched;
  await button(page, "Get a key that is not stored").click();
  await page.getByText("lesson:never-stored: a miss.").waitFor();
  await button(page, "Next in What a cache does").click();
  await button(page, "Store a greeting for 60 seconds").click();
  await page.getByText("lesson:greeting is stored.").waitFor();
  await button(page, "Next in What a cache does").click();
  await button(page, "Get the greeting").click();
  await page.getByText("lesson:greeting: a hit, “hello”.").waitFor();
  await button(page, "Add a task").click();
  await page.getByText(/^Task .* was stored\.$/).waitFor();
  await button(page, "Next in What a message queue does").click();
  await button(page, "Process one task").click();
  await page.getByText(/^Task .* \(“hello”\) is completed\.$/).waitFor();
  await close(watched);
});

test("the page says so when the server is gone, and goes on when it is back", needs, async () => {
  const cache = new CacheServer({ listen: "127.0.0.1:0" });
  await cache.listen();
  const first = new Dashboard({ listen: "127.0.0.1:0", cache });
  await first.listen();
  const { address } = first;
  const { page } = await open(browser, `http://${address}/`);
  await page.getByRole("status").getByText("connected", { exact: true }).waitFor();
  await first.close();
  await page.getByRole("status").getByText("not connected").waitFor();
  const second = new Dashboard({ listen: address, cache });
  await second.listen();
  await page.getByRole("status").getByText("connected", { exact: true }).waitFor();
  await second.close();
  await cache.close();
});
