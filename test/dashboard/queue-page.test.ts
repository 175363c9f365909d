/** The queue view in real Chromium: why tasks died, what is done about it, one task beside the list, and a thousand queues. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import { Dashboard } from "../../src/dashboard/index.ts";
import { Broker, GiveUp, queue, type Task, worker } from "../../src/queue/index.ts";
import { requires } from "../support/requires.ts";
import { tappedCapture } from "../support/tapped-capture.ts";
import { accessibility, launch, open } from "./browser.ts";
import type { Watched } from "./browser.ts";
import { HOSTILE, startTestServers } from "./test-servers.ts";
import type { TestServers } from "./test-servers.ts";

const needs = requires("chromium");

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

async function openQueues(): Promise<Watched> {
  const watched = await open(browser, `${url}#/queue`);
  await watched.page.getByText("Tasks of").first().waitFor();
  return watched;
}

async function close({ page, complaints }: Watched): Promise<void> {
  assert.deepEqual(complaints, []);
  await page.context().close();
}

const button = (page: Page, name: string | RegExp) => page.getByRole("button", { name });

test(
  "a task is added from the page, shown with why it waits, its hostile body as text only when asked for, and cancelled",
  needs,
  async () => {
    const watched = await openQueues();
    const { page } = watched;
    await page.getByLabel("Queue", { exact: true }).fill("by-hand");
    await page.getByLabel("Body").fill(`<b>${HOSTILE}</b>`);
    await button(page, "Add task").click();
    const said = await page.getByText(/^Task .* was stored\.$/).textContent();
    const id = /^Task (\S+)/.exec(said!)![1]!;
    await page.getByRole("link", { name: id, exact: true }).click();
    await page.getByText("Waiting because: no worker is connected to its queue.").waitFor();
    const shown = page.getByLabel("Body", { exact: true }).filter({ hasText: HOSTILE });
    assert.equal(await page.locator("pre").filter({ hasText: HOSTILE }).count(), 0);
    await button(page, /^Show body/).click();
    await shown.first().waitFor();
    assert.equal(await page.locator("img").count(), 0);
    const cancel = button(page, `Cancel task ${id}`).first();
    await cancel.click();
    await button(page, "Keep it").click();
    await page.locator(".badge.waiting").first().waitFor();
    await cancel.click();
    await button(page, "Cancel the task").click();
    await page.locator(".badge.cancelled").first().waitFor();
    await close(watched);
  },
);

test("why tasks died is told by kind; those of one kind are retried together, and no others", needs, async () => {
  const { broker } = servers;
  const cards = queue<number>("cards", { broker });
  const failing = worker(
    cards,
    (card) => Promise.reject(new GiveUp(card < 3 ? `card ${card} was declined` : "no answer of the bank")),
    { signals: [], concurrency: 5 },
  );
  const tasks = await cards.addMany([0, 1, 2, 3, 4]);
  await Promise.all(tasks.map((task) => task.result({ timeout: "9s" }).catch(() => {})));
  await failing.close();
  const watched = await open(browser, `${url}#/overview`);
  const { page } = watched;
  await page.getByRole("link", { name: /cards/ }).first().click();
  const errors = page.getByRole("region", { name: "Errors" }).getByRole("listitem");
  await errors.filter({ hasText: "card … was declined" }).filter({ hasText: "3" }).waitFor();
  await errors.filter({ hasText: "no answer of the bank" }).getByRole("link").click();
  await page.locator(".list tbody tr").nth(2).waitFor({ state: "detached" });
  assert.equal(await page.locator(".list tbody tr").count(), 2);
  await errors.filter({ hasText: "declined" }).getByRole("button", { name: "Retry all 3" }).click();
  await page.getByRole("dialog").getByText("Retry 3 dead tasks of cards with this error?").waitFor();
  await button(page, "Retry 3 tasks").click();
  await page.getByText("3 tasks wait again.").waitFor();
  const states = broker.stats().queues.find(({ name }) => name === "cards")!.states;
  assert.deepEqual([states.waiting, states.dead], [3, 2]);
  await cards.close();
  await close(watched);
});

test("what happens in a queue is listed as it happens, newest first, as text", needs, async () => {
  const { broker } = servers;
  const events = queue<string>("listened", { broker });
  await events.add("first");
  const watched = await open(browser, `${url}#/queue/listened`);
  const { page } = watched;
  const list = page.getByRole("list", { name: "Events, newest first" });
  await page.getByText("What happens from now on is shown here.").waitFor();
  // The page asks from when it is there; what was before is not told.
  await page.waitForResponse((response) => response.url().includes("/queues/listened/events"));
  const failing = worker(events, () => Promise.reject(new GiveUp(HOSTILE)), { signals: [], log: false });
  const second = await events.add("second");
  await list.getByRole("listitem").filter({ hasText: "dead" }).filter({ hasText: second.id }).waitFor();
  const told = await list.getByRole("listitem").allTextContents();
  const of = (word: string): number => told.findIndex((line) => line.includes(word) && line.includes(second.id));
  assert.ok(of("dead") < of("active") && of("active") < of("waiting"), told.join("\n"));
  assert.ok(told.length <= 8, "the first had been added before");
  assert.equal(await page.locator("img").count(), 0);
  assert.deepEqual(await accessibility(page), []);
  await list
    .getByRole("link", { name: `Show task ${second.id}` })
    .first()
    .click();
  await page.getByText(/1 of at most 5 attempts/).waitFor();
  await failing.close();
  await events.close();
  await close(watched);
});

test("removal asks once more and says how many; for ten seconds it can be undone", needs, async () => {
  const { broker } = servers;
  const trash = queue<number>("trash", { broker });
  const failing = worker(trash, () => Promise.reject(new GiveUp("no")), { signals: [], concurrency: 5 });
  const tasks = await trash.addMany([1, 2, 3]);
  await Promise.all(tasks.map((task) => task.result({ timeout: "9s" }).catch(() => {})));
  await failing.close();
  const dead = (): number => broker.stats().queues.find(({ name }) => name === "trash")!.states.dead;
  const watched = await open(browser, `${url}#/queue/trash?state=dead`);
  const { page } = watched;
  const remove = button(page, "Remove all 3").first();
  await remove.click();
  await page.getByRole("dialog").getByText("Remove 3 dead tasks of trash?").waitFor();
  assert.deepEqual(await accessibility(page), []);
  await page.keyboard.press("Escape");
  assert.equal(dead(), 3);
  await remove.click();
  await button(page, "Remove 3 tasks").click();
  await page.getByText("3 dead tasks of trash were removed.").waitFor();
  assert.equal(dead(), 0);
  await page.getByText("No dead tasks.").waitFor();
  await button(page, "Undo").click();
  await page.getByText("3 tasks are back.").waitFor();
  assert.equal(dead(), 3);
  await page.getByRole("link", { name: tasks[0]!.id }).waitFor();
  await trash.close();
  await close(watched);
});

test(
  "a task opens beside the list under a URL of its own, with dates, worker, group, priority, progress, whole stack and body, live",
  needs,
  async () => {
    const { broker } = servers;
    const orders = queue<object>("orders", { broker });
    const go = Promise.withResolvers<void>();
    const slow = worker(
      orders,
      async (_body, { progress }) => {
        progress(40);
        await go.promise;
        throw new GiveUp("the bank said no");
      },
      { signals: [] },
    );
    const task = await orders.add({ order: 7, lines: [1] }, { group: "shop-3", priority: 5 });
    const watched = await open(browser, `${url}#/queue/orders?task=${encodeURIComponent(task.id)}`);
    const { page } = watched;
    const drawer = page.getByRole("complementary", { name: `Task ${task.id}` });
    const fact = (name: string) => drawer.locator(".facts div", { hasText: name });
    await fact("Worker")
      .filter({ hasText: /local \d+/ })
      .waitFor();
    await fact("Progress").filter({ hasText: "40" }).waitFor();
    await fact("Group").filter({ hasText: "shop-3" }).waitFor();
    await fact("Priority").filter({ hasText: "5" }).waitFor();
    await fact("Added")
      .filter({ hasText: /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d, \d+ m?s ago/ })
      .waitFor();
    await page.getByRole("row", { name: new RegExp(task.id) }).waitFor();
    assert.deepEqual(await accessibility(page), []);
    go.resolve();
    await drawer.getByText("attempt 1 failed: GiveUp: the bank said no").waitFor();
    const stack = await drawer.getByLabel(/^Stack of/).textContent();
    assert.match(stack!, /^ {4}at .*queue-page\.test\.ts:/);
    // Of what has ended too.
    await fact("Last worker")
      .filter({ hasText: /local \d+/ })
      .waitFor();
    await fact("Last began")
      .filter({ hasText: /\d{4}-\d\d-\d\d/ })
      .waitFor();
    await drawer.getByText("dead (final)").waitFor();
    await button(page, /^Show body/).click();
    await drawer.getByText('"lines": [').waitFor();
    await button(page, "Raw").click();
    await drawer.getByText('{"order":7,"lines":[1]}').waitFor();
    await page.keyboard.press("Escape");
    await drawer.waitFor({ state: "detached" });
    assert.doesNotMatch(page.url(), /task=/);
    await page.goBack();
    await drawer.waitFor();
    await slow.close();
    await orders.close();
    await close(watched);
  },
);

test("a worker shows in the queue view when it joins, and as one that left when it leaves", needs, async () => {
  const watched = await openQueues();
  const { page } = watched;
  const joins = queue<string, string>("joins", { broker: servers.broker });
  const joining = worker(joins, () => Promise.resolve("done"), { signals: [], concurrency: 3 });
  const row = page.getByRole("region", { name: "Table: Workers" }).getByRole("row", { name: /joins/ });
  await row.filter({ hasText: "new" }).filter({ hasText: "own" }).waitFor();
  await joining.close();
  await row.filter({ hasText: /disconnected \d+ m?s ago/ }).waitFor();
  await joins.close();
  await close(watched);
});

test("tasks are searched by group, by key and by a field of their body, under an address of its own", needs, async () => {
  const { broker } = servers;
  const orders = queue<object>("orders-searched", { broker });
  for (let customer = 0; customer < 30; customer += 1)
    await orders.add({ customer: { id: customer } }, { group: `tenant-${customer % 3}`, key: `order-${customer}` });
  await orders.close();
  const watched = await open(browser, `${url}#/queue/orders-searched`);
  const { page } = watched;
  const rows = page.getByRole("region", { name: "Table: Tasks, oldest first" }).getByRole("row");
  await rows.nth(30).waitFor();
  await page.getByLabel("Where").fill("customer.id=17");
  await page.getByLabel("Where").press("Enter");
  await page.getByText("Searched the bodies of 30 of 30.").waitFor();
  await rows.nth(2).waitFor({ state: "detached" });
  assert.equal(await rows.count(), 2);
  await page.getByLabel("Where").fill("");
  await page.getByLabel("Group").fill("tenant-1");
  await button(page, "Find").click();
  await rows.nth(10).waitFor();
  await rows.nth(11).waitFor({ state: "detached" });
  assert.match(page.url(), /group=tenant-1/);
  await page.goto(`${url}#/queue/orders-searched?key=order-5`);
  await rows.nth(2).waitFor({ state: "detached" });
  assert.equal(await page.getByLabel("Key").inputValue(), "order-5");
  await page.getByLabel("Key").fill("no such key");
  await page.getByLabel("Key").press("Enter");
  await page.getByText("No task is like this.").waitFor();
  assert.deepEqual(await accessibility(page), []);
  await close(watched);
});

test("the story of a task has an address of its own, goes to its end, and can be copied", needs, async () => {
  const { broker } = servers;
  const told = queue<string>("told", { broker });
  const failing = worker(told, () => Promise.reject(new GiveUp("the bank said no")), { signals: [], onError: () => {} });
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const [id] = await told.client.add(
    { queue: "told", options: { traceparent: `00-${traceId}-00f067aa0ba902b7-01` }, bodies: [Buffer.from('"x"')] },
    { timeoutMs: 5000 },
  );
  const task = told.task(id!);
  await assert.rejects(task.result());
  await failing.close();
  await told.close();
  const watched = await open(browser, `${url}task/${task.id}`);
  const { page } = watched;
  await page.getByRole("heading", { name: `Task ${task.id}` }).waitFor();
  // Dead, and without the body: its producer said with it of which trace it is.
  await page.getByText(`Trace ${traceId}`).waitFor();
  const steps = page.getByRole("listitem");
  await steps
    .filter({ hasText: "attempt 1 failed: " })
    .filter({ hasText: "the bank said no" })
    .filter({ hasText: "worker" })
    .waitFor();
  await steps.filter({ hasText: "on disk: whoever added it was told so" }).waitFor();
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await button(page, "Copy").click();
  await page.getByText("Copied").waitFor();
  const copied = await page.evaluate("navigator.clipboard.readText()");
  assert.match(copied as string, new RegExp(`^Task ${task.id}\\n\\S+Z added to told[^]*dead: its handler gave up: [^\\n]*\\n`));
  assert.deepEqual(await accessibility(page), []);
  await page.getByRole("link", { name: "told", exact: true }).click();
  await page.getByRole("link", { name: "Story" }).click();
  await button(page, "Print").waitFor();
  await close(watched);
});

test("packets of a capture stand among the steps of the story that they are about, read in the browser", needs, async () => {
  let task!: Task;
  const capture = await tappedCapture(url, async () => {
    const wired = queue<string>("wired", { url: servers.broker.address, log: false });
    const working = worker(wired, () => Promise.resolve("done"), { signals: [] });
    const tasks = await wired.addMany(["a", "b"]);
    task = tasks[0]!;
    await task.result();
    await working.close();
    await wired.close();
  });
  const watched = await open(browser, `${url}task/${task.id}`);
  const { page } = watched;
  const field = page.getByLabel("Packets of a capture");
  const requests: string[] = [];
  page.on("request", (request) => requests.push(`${request.method()} ${request.url()}`));
  await field.setInputFiles({ name: "some.pcapng", mimeType: "application/octet-stream", buffer: capture });
  await page.getByText(/^\d+ packets of it in some\.pcapng/).waitFor();
  const number = task.id.split("-").at(-1);
  const steps = await page.getByRole("listitem").allInnerTexts();
  const at = (text: RegExp): number => steps.findIndex((step) => text.test(step));
  const given = at(new RegExp(`packet \\d+: .* queue HQ1 TASKS? wired .*#${number}`));
  assert.ok(at(/added to wired/) < given && given < at(/the end is on disk/), steps.join("\n"));
  assert.ok(
    requests.every((request) => request.startsWith("GET ")),
    requests.join("\n"),
  );
  assert.deepEqual(await accessibility(page), []);

  await page.goto(`${url}link/127.0.0.1`);
  await field.setInputFiles({ name: "some.pcapng", mimeType: "application/octet-stream", buffer: capture });
  await page.getByRole("listitem").filter({ hasText: "HQ1" }).first().waitFor();
  await field.setInputFiles({
    name: "no.pcapng",
    mimeType: "application/octet-stream",
    buffer: Buffer.from("no capture at all"),
  });
  await page.getByText("Cannot read capture: it starts neither like a pcap nor like a pcapng file").waitFor();
  await close(watched);
});

test(
  "a queue's charts go back five minutes, a day or a month, and how long its tasks waited and ran is told",
  needs,
  async () => {
    const { broker } = servers;
    const timed = queue<number>("timed", { broker });
    const working = worker(timed, () => sleep(30), { signals: [], concurrency: 5 });
    await Promise.all([1, 2, 3].map((number) => timed.call(number)));
    await working.close();
    await timed.close();
    const watched = await open(browser, `${url}#/queue/timed`);
    const { page } = watched;
    await page.getByRole("heading", { name: "timed over time" }).waitFor();
    await page.getByRole("img", { name: /^95 of 100 took at most, now: / }).waitFor();
    const table = page.getByRole("region", { name: "Table: How long tasks waited and ran" });
    await table.getByRole("row", { name: /^up to 100 ms .*3$/ }).waitFor();
    for (const range of ["day", "month"]) {
      const answered = page.waitForResponse((response) => response.url().includes(`queue-history?queue=timed&range=${range}`));
      await page.getByLabel("Charts").selectOption(range);
      assert.equal((await answered).status(), 200);
    }
    assert.deepEqual(await accessibility(page), []);
    await close(watched);
  },
);

test(
  "of a thousand queues the page asks for those that it shows: 30 KB a second at most, searched and ordered in time",
  needs,
  async (context) => {
    const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
    await broker.listen();
    const dashboard = new Dashboard({ listen: "127.0.0.1:0", queue: broker });
    await dashboard.listen();
    context.after(async () => {
      await dashboard.close();
      await broker.close();
    });
    for (let index = 0; index < 1000; index += 1) {
      const each = queue<number>(`queue-${index}`, { broker });
      await each.addMany(Array.from({ length: index === 777 ? 9 : 1 + (index % 3) }, (_, task) => task));
      await each.close();
    }
    const watched = await open(browser, `http://${dashboard.address}/#/queue`);
    const { page } = watched;
    const table = page.getByRole("region", { name: "Table: Queues" });
    await table.getByRole("link", { name: "queue-777", exact: true }).waitFor();
    assert.ok((await table.getByRole("row").count()) < 40, "only what is seen is drawn");
    await page.getByText("1,000 queues").waitFor();
    const session = await page.context().newCDPSession(page);
    await session.send("Network.enable");
    let bytes = 0;
    session.on("Network.dataReceived", ({ encodedDataLength, dataLength }) => (bytes += encodedDataLength || dataLength));
    await sleep(5000);
    assert.ok(bytes / 5 < 30_000, `${bytes / 5} bytes a second`);
    assert.ok(bytes > 1000, "they are counted");
    await table.evaluate((element) => void ((element as unknown as { scrollTop: number }).scrollTop = 1e6));
    await table.locator("tbody tr:first-child.spacer").waitFor({ state: "attached" });
    await page.getByLabel("Search queues").fill("e-99");
    await page.getByText("11 of 1,000 queues").waitFor();
    assert.match(page.url(), /search=e-99/);
    await table.getByRole("button", { name: "Queue", exact: true }).click();
    await table.getByRole("row").nth(1).filter({ hasText: "queue-99" }).waitFor();
    assert.deepEqual(await accessibility(page), []);
    await close(watched);
  },
);
