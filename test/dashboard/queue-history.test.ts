/** What is kept of each queue: for the busiest by name, for the others together, bounded, over a restart. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { LatencyHistogram } from "../../src/core/latency-histogram.ts";
import { ManualClock } from "../../src/core/manual-clock.ts";
import { QUEUE_HISTORY_BYTES_MAX, QUEUES_TRACKED_MAX } from "../../src/dashboard/limits.ts";
import { ArchiveFile } from "../../src/dashboard/snapshot/archive-file.ts";
import type { BrokerNumbers, QueueNumbers } from "../../src/dashboard/snapshot/monitored-parts.ts";
import { OTHERS, QueueHistory } from "../../src/dashboard/snapshot/queue-history.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-queue-history-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const START_MS = 1_767_225_600_000;

/** A broker's queues by name, with how many tasks each has added in all, and how many wait. */
function numbers(queues: readonly (readonly [name: string, added: number, waiting?: number])[]): BrokerNumbers {
  const of = ([name, added, waiting = 0]: (typeof queues)[number]): QueueNumbers => ({
    name,
    states: { waiting, delayed: 0, blocked: 0, active: 0, retrying: 0, completed: 0, dead: 0, cancelled: 0 },
    bytes: 0,
    consumers: 0,
    slots: 0,
    added,
    finished: 0,
    failures: 0,
    settings: {},
  });
  const rest = { tasks: 0, bytes: 0, bytesMax: 1, peers: 0, storeTrouble: undefined, workers: [], workersLeft: [] };
  return { ...rest, queues: queues.map(of) };
}

test("a second, a minute and an hour are the means of what a queue did in them, right to a thousandth", () => {
  const history = new QueueHistory();
  for (let second = 0; second <= 7300; second += 1)
    history.add(numbers([["q", second * 7, 123_456]]), START_MS + second * 1000);
  const minutes = history.columns("q", "minutes");
  assert.equal(minutes.time.length, 300);
  assert.equal(minutes.time.at(-1), START_MS / 1000 + 7299);
  for (const range of ["minutes", "day", "month"] as const) {
    const { added, waiting, waitMs } = history.columns("q", range);
    assert.ok(Math.abs(added.at(-1)! - 7) < 0.007, `${range}: ${added.at(-1)}`);
    assert.ok(Math.abs(waiting.at(-1)! - 123_456) < 123, `${range}: ${waiting.at(-1)}`);
    assert.equal(waitMs.at(-1), null, "nothing was timed");
  }
  assert.equal(history.columns("q", "day").time.length, 121);
  assert.equal(history.columns("q", "month").time.length, 2);
});

test("95 of 100 waits of each second are told, not those of all time", () => {
  const history = new QueueHistory();
  const waits = new LatencyHistogram();
  for (let second = 0; second < 5; second += 1) {
    for (let task = 0; task < 100; task += 1) waits.observe(second < 3 ? 1 : 9000);
    const { queues, ...rest } = numbers([["q", 0]]);
    history.add({ ...rest, queues: [{ ...queues[0]!, waits: waits.now }] }, START_MS + second * 1000);
  }
  const { waitMs } = history.columns("q", "minutes");
  assert.deepEqual(
    waitMs.map((value) => (value === null ? null : Math.round(value / 1000))),
    [0, 0, 10],
  );
});

test("of 300 queues the 200 busiest have a history by name, one that becomes busy gets one, and the others are one", () => {
  const history = new QueueHistory();
  const queues = (second: number, risen: number) =>
    numbers(
      Array.from({ length: 300 }, (_, index) => [`q${index}`, second * (index < 200 ? 10 : index === 299 ? risen : 1), 1]),
    );
  let second = 0;
  for (; second < 130; second += 1) history.add(queues(second, 1), START_MS + second * 1000);
  const named = (): string[] => Array.from({ length: 300 }, (_, index) => `q${index}`).filter((name) => history.tracks(name));
  assert.deepEqual([named().length, named().at(-1)], [QUEUES_TRACKED_MAX, "q199"]);
  assert.ok(Math.abs(history.columns(OTHERS, "minutes").added.at(-1)! - 100) < 0.1);
  assert.deepEqual(history.columns("q250", "minutes"), history.columns(OTHERS, "minutes"), "one without is shown the others");
  for (; second < 400; second += 1) history.add(queues(second, 1000), START_MS + second * 1000);
  assert.deepEqual([named().length, named().at(-1)], [QUEUES_TRACKED_MAX, "q299"]);
});

test("a day and a month of 300 queues with the longest names have less than 5.4 MB, and come back as they were", () => {
  const path = join(folder, "history.json");
  const clock = new ManualClock();
  const file = new ArchiveFile(path, clock);
  const name = (index: number): string => `${index}`.padEnd(255, "é");
  let atMs = START_MS;
  const look = (stepMs: number, times: number): void => {
    for (let time = 0; time < times; time += 1)
      file.queues.add(numbers(Array.from({ length: 300 }, (_, index) => [name(index), atMs / 1000, index])), (atMs += stepMs));
  };
  look(3_600_000, 760);
  look(60_000, 1450);
  file.save();
  const { size, mode } = statSync(`${path}.queues`);
  assert.ok(size > 5_000_000 && size < QUEUE_HISTORY_BYTES_MAX, `${size} bytes`);
  assert.equal(mode & 0o077, 0);
  const again = new ArchiveFile(path, clock);
  for (const range of ["day", "month"] as const) {
    assert.deepEqual(again.queues.columns(name(299), range), file.queues.columns(name(299), range));
    assert.equal(again.queues.columns(name(299), range).time.length, range === "day" ? 1440 : 744);
  }
  // Two hours in which nobody looked are a gap.
  atMs += 7_200_000;
  again.queues.add(numbers([[name(5), 5]]), atMs);
  again.queues.add(numbers([[name(5), 6]]), atMs + 1000);
  assert.deepEqual(
    again.queues.columns(name(5), "day").added.slice(-100),
    Array.from({ length: 100 }, () => null),
  );
});

test("a file that is damaged or of something else costs its history, and a clock that was set back no more than what it skips", () => {
  const path = join(folder, "damaged.json");
  const clock = new ManualClock();
  const file = new ArchiveFile(path, clock);
  for (let minute = 0; minute < 100; minute += 1) file.queues.add(numbers([["q", minute]]), START_MS + minute * 60_000);
  file.save();
  truncateSync(`${path}.queues`, 20_000);
  assert.equal(new ArchiveFile(path, clock).queues.columns("q", "day").time.length, 0);
  for (const content of ["", "{}\n", "null\n", '{"format":1,"names":["q"]}\n', "x".repeat(6_000_000)]) {
    writeFileSync(`${path}.queues`, content);
    assert.equal(new ArchiveFile(path, clock).queues.tracks("q"), false);
  }
  const back = START_MS - 86_400_000 * 50;
  for (let minute = 0; minute < 10; minute += 1) file.queues.add(numbers([["q", minute * 60]]), back + minute * 60_000);
  assert.ok(Math.abs(file.queues.columns("q", "day").added.at(-1)! - 1) < 0.01);
});
