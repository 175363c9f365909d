/** The shop: orders become pictures, mails and invoices; what fails is tried again; a page hears of it; a report comes each night. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { testBroker } from "holdfast/queue/testing";
import { mailsOf } from "../../examples/shop/mails.ts";
import { reportsOf, writeReports } from "../../examples/shop/nightly.ts";
import { launch, open } from "../dashboard/browser.ts";
import { Example } from "../support/example.ts";
import { requires } from "../support/requires.ts";

/** Server-sent events of a queue, to be awaited one by one. */
async function* eventsOf(url: string, queue: string, events: string[]): AsyncGenerator<{ event: string; data: string }> {
  const response = await fetch(`${url}/ops/api/v1/queues/${queue}/events?events=${events.join("&events=")}`, {
    headers: { accept: "text/event-stream" },
  });
  let rest = "";
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + chunk).split("\n\n");
    rest = parts.pop()!;
    for (const part of parts) {
      const event = /^event: (.*)$/m.exec(part)?.[1];
      if (event) yield { event, data: /^data: (.*)$/m.exec(part)?.[1] ?? "" };
    }
  }
}

test("an order becomes pictures, a mail and an invoice, the page hears of it, and dead mails are sent once the server is back", async () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-shop-"));
  const example = new Example("shop/start.ts", ["0", folder]);
  const post = async (path: string, form: Record<string, string> = {}): Promise<Record<string, unknown>> => {
    const response = await fetch(url + path, { method: "POST", body: new URLSearchParams(form) });
    return (await response.json()) as Record<string, unknown>;
  };
  let url = "";
  try {
    [, url] = (await example.printed(/the shop is open at (\S+);/)) as unknown as [string, string];
    assert.match(await (await fetch(url)).text(), /new EventSource\("\/ops\/api\/v1\/events/);
    const progress = eventsOf(url, "resizes", ["progress"]);
    const mails = eventsOf(url, "mails", ["completed", "dead"]);
    const [firstProgress, firstMail] = [progress.next(), mails.next()];

    const { order } = await post("/orders", { customer: "ada", email: "ada@example.org", colour: "#336699" });
    const told = JSON.parse((await firstProgress).value!.data) as { progress: string };
    assert.equal((JSON.parse(told.progress) as { order: unknown }).order, order);
    assert.equal((await firstMail).value!.event, "completed");
    const outbox = (): string[] =>
      readdirSync(join(folder, "outbox")).map((file) => readFileSync(join(folder, "outbox", file), "utf8"));
    assert.deepEqual(outbox(), [`To: ada@example.org\nSubject: Your order ${String(order)}\n`]);
    assert.match(readFileSync(join(folder, String(order), "gallery.html"), "utf8"), /32\.ppm[^]*64\.ppm[^]*128\.ppm/);
    const small = readFileSync(join(folder, String(order), "32.ppm"));
    assert.equal(small.toString("latin1"), `P6 32 32 255\n${"\u0033\u0066\u0099".repeat(32 * 32)}`);

    const { id } = await post("/refunds", { order: String(order) });
    await post("/approvals", { id: String(id), by: "Eve" });
    await example.printed(new RegExp(`paid back: ${String(order)}`));

    writeFileSync(join(folder, "mail-server-down"), "");
    await post("/orders", { customer: "bob", email: "bob@example.org" });
    assert.equal((await mails.next()).value!.event, "dead");
    await post("/orders", { customer: "eve", email: "nobody" });
    assert.equal((await mails.next()).value!.event, "dead");
    rmSync(join(folder, "mail-server-down"));
    assert.deepEqual(await post("/retry"), { retried: 1 });
    assert.equal((await mails.next()).value!.event, "completed");
    assert.equal(outbox().filter((mail) => mail.startsWith("To: bob@example.org")).length, 1);

    const bulk = Array.from({ length: 8 }, () => post("/orders", { customer: "bulk", email: "bulk@example.org" }));
    await Promise.all(bulk);
    await post("/orders", { customer: "small", email: "small@example.org" });
    for (let count = 0; count < 9; count += 1) assert.equal((await mails.next()).value!.event, "completed");
    const invoices = (): [number, string][] =>
      readFileSync(join(folder, "invoices.txt"), "utf8")
        .trim()
        .split("\n")
        .map((line) => [Number(line.split(" ")[0]), line.split(" ")[1]!]);
    for (const deadline = Date.now() + 10_000; invoices().length < 12 && Date.now() < deadline;)
      await new Promise((resolve) => setTimeout(resolve, 50));
    const times = invoices().filter(([, customer]) => customer === "bulk");
    assert.equal(times.length, 8);
    assert.ok(times[7]![0] - times[0]![0] >= 900, "of one customer five a second");
    const names = invoices().map(([, customer]) => customer);
    assert.ok(names.indexOf("small") < names.lastIndexOf("bulk"), "another customer does not wait for them");
    assert.deepEqual(await post("/orders", {}), { error: "a customer, please" });
  } finally {
    example.child.kill("SIGTERM");
    assert.equal(await example.ended(), 0, example.output);
    rmSync(folder, { recursive: true, force: true });
  }
});

test("the page shows an order's progress, its gallery and its mail", requires("chromium"), async () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-shop-"));
  const example = new Example("shop/start.ts", ["0", folder]);
  const browser = await launch();
  try {
    const [, url] = await example.printed(/the shop is open at (\S+);/);
    const { page, complaints } = await open(browser, url!);
    await page.fill("[name=customer]", "ada");
    await page.fill("[name=email]", "ada@example.org");
    await page.click("text=Order");
    await page.waitForSelector("text=/^mails completed/");
    const news = await page.locator("li").allInnerTexts();
    assert.ok(news.some((line) => line.startsWith("resizes progress {")));
    assert.ok(news.some((line) => line.startsWith("galleries completed")));
    assert.deepEqual(
      complaints.filter((complaint) => !complaint.includes("404")),
      [],
      "but for the icon that there is not",
    );
  } finally {
    await browser.close();
    example.child.kill("SIGTERM");
    await example.ended();
    rmSync(folder, { recursive: true, force: true });
  }
});

test("the report comes each night at three in Berlin", async () => {
  await using broker = await testBroker({ now: new Date("2030-03-30T12:00:00Z") });
  const client = broker.connect();
  const lines: string[] = [];
  const reports = await reportsOf(client);
  const working = writeReports(reports, { mails: mailsOf(client) }, (line) =>
    lines.push(`${broker.clock.date.toISOString()} ${line}`),
  );
  await broker.clock.advance("2d");
  assert.deepEqual(lines, [
    "2030-03-31T01:00:00.000Z report: 0 mails sent, 0 dead",
    "2030-04-01T01:00:00.000Z report: 0 mails sent, 0 dead",
  ]);
  await working.close();
});
