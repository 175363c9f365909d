import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../../src/core/manual-clock.ts";
import { seeded } from "../../../src/core/random.ts";
import { nextRun } from "../../../src/queue/service/calendar.ts";
import { CronTable } from "../../../src/queue/service/cron.ts";
import { TaskService } from "../../../src/queue/service/task-service.ts";
import { MemoryStore } from "../../../src/store/memory-store.ts";

const NOON = Date.parse("2026-03-02T12:00:00Z");
const HOUR_MS = 3_600_000;
const EMPTY = Buffer.alloc(0);

async function open(
  store: MemoryStore,
  wallMs: number,
): Promise<{ service: TaskService; cron: CronTable; clock: ManualClock }> {
  const clock = new ManualClock({ wallMs });
  const service = new TaskService({ store, clock, random: seeded(1) });
  const { settings } = await service.open();
  const cron = new CronTable(service, nextRun);
  cron.restore(settings);
  await settle(service);
  return { service, cron, clock };
}

async function settle(service: TaskService): Promise<void> {
  service.flush();
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

const ready = (service: TaskService): number => service.stateMachine.findQueue("reports")?.count("waiting") ?? 0;

test("a task is added each time the calendar says so", async () => {
  const { service, cron, clock } = await open(new MemoryStore(), NOON);
  cron.put("hourly", { settings: { expression: "0 * * * *", queue: "reports" }, body: EMPTY }, () => {});
  for (let hour = 0; hour < 3; hour += 1) {
    clock.advance(HOUR_MS);
    cron.tick();
    cron.tick();
    await settle(service);
  }
  assert.equal(ready(service), 3);
});

test("times of day are those of the schedule's time zone, over the change to summer time", () => {
  const winter = nextRun("0 8 * * *", "Europe/Berlin", Date.parse("2026-03-28T12:00:00Z"));
  const summer = nextRun("0 8 * * *", "Europe/Berlin", Date.parse("2026-03-29T12:00:00Z"));
  assert.equal(new Date(winter!).toISOString(), "2026-03-29T06:00:00.000Z");
  assert.equal(new Date(summer!).toISOString(), "2026-03-30T06:00:00.000Z");
  const before = nextRun("0 8 * * *", "Europe/Berlin", Date.parse("2026-03-27T12:00:00Z"));
  assert.equal(new Date(before!).toISOString(), "2026-03-28T07:00:00.000Z");
});

for (const [missed, expected] of [
  ["latest", 1],
  ["skip", 0],
  ["all", 5],
] as const) {
  test(`of five runs missed while the broker was away, '${missed}' makes up for ${expected}`, async () => {
    const store = new MemoryStore();
    const first = await open(store, NOON);
    first.cron.put("hourly", { settings: { expression: "0 * * * *", queue: "reports", missed }, body: EMPTY }, () => {});
    await settle(first.service);
    await first.service.close();
    const later = await open(store, NOON + 5.5 * HOUR_MS);
    assert.equal(ready(later.service), expected);
    await later.service.close();
    const again = await open(store, NOON + 5.6 * HOUR_MS);
    assert.equal(ready(again.service), expected, "and not once more at the next start");
  });
}

test("a run that finds the queue full is owed and made when there is room", async () => {
  const clock = new ManualClock({ wallMs: NOON });
  const service = new TaskService({ store: new MemoryStore(), clock, random: seeded(1), bytesMax: 300 });
  await service.open();
  const cron = new CronTable(service, nextRun);
  cron.put("hourly", { settings: { expression: "0 * * * *", queue: "reports" }, body: Buffer.alloc(100) }, () => {});
  clock.advance(HOUR_MS);
  cron.tick();
  await settle(service);
  clock.advance(HOUR_MS);
  cron.tick();
  await settle(service);
  assert.equal(ready(service), 1);
  service.adminCommands.cancel(1, () => {});
  await settle(service);
  clock.advance(1000);
  cron.tick();
  await settle(service);
  assert.equal(ready(service), 1);
  assert.equal(service.stateMachine.lastId, 2);
});

test("an expression or a time zone that is none is refused", async () => {
  const { cron } = await open(new MemoryStore(), NOON);
  const put = (settings: Record<string, unknown>): void => cron.put("x", { settings, body: EMPTY }, () => {});
  for (const settings of [
    { expression: "not cron", queue: "q" },
    { expression: "0 8 * * *", queue: "q", timeZone: "Mars/Base" },
    { expression: "0 8 * * *" },
    { expression: "0 8 * * *", queue: "q", missed: "perhaps" },
    { expression: "0 8 * * *", queue: "q", extra: 1 },
  ]) {
    assert.throws(() => put(settings), { code: "QUEUE_OPTIONS_INVALID" }, JSON.stringify(settings));
  }
});

test("a schedule whose time never comes is refused", async () => {
  const { service, cron } = await open(new MemoryStore(), NOON);
  const never = { expression: "0 0 30 2 *", queue: "reports" };
  assert.throws(() => cron.put("never", { settings: never, body: EMPTY }, () => {}), { code: "QUEUE_OPTIONS_INVALID" });
  assert.deepEqual(cron.list(), []);
  await service.close();
});
