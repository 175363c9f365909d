/** The history that outlives a restart: what is kept of a day and a month, how large that gets, and what a damaged file costs. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ManualClock } from "../../src/core/manual-clock.ts";
import { Dashboard } from "../../src/dashboard/index.ts";
import { Archive, readArchive } from "../../src/dashboard/snapshot/archive.ts";
import { ArchiveFile } from "../../src/dashboard/snapshot/archive-file.ts";
import type { Columns } from "../../src/dashboard/snapshot/history.ts";
import type { Snapshot } from "../../src/dashboard/snapshot/snapshot.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-archive-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const START_S = 1_767_225_600;

function snapshot(second: number, residentBytes: number): Snapshot {
  const none = { cache: undefined, queue: undefined, link: undefined, workers: undefined };
  return { wallMs: (START_S + second) * 1000, upMs: 0, residentBytes, heapBytes: 0, cpuShare: 0.123456, problems: [], ...none };
}

test("a minute of a day and an hour of a month are the mean of what was sampled in them; a part that is not there is a gap", () => {
  const archive = new Archive();
  for (let second = 0; second < 7200; second += 1) archive.add(snapshot(second, second < 60 ? (second % 2) * 200 : 50));
  const day = archive.columns("day");
  assert.equal(day.time.length, 119, "the minute that runs is not one yet");
  assert.deepEqual([day.time[0], day.time[1]], [START_S, START_S + 60]);
  assert.deepEqual([day.residentBytes[0], day.residentBytes[1]], [100, 50]);
  assert.equal(day.cacheGets[0], null);
  assert.equal(day.cpuShare[5], 0.1235);
  const month = archive.columns("month");
  assert.deepEqual([month.time.length, month.time[0]], [1, START_S]);
});

test("after forty days there are 1440 minutes and 744 hours, and the file has less than 300 kB", () => {
  const path = join(folder, "long.json");
  const clock = new ManualClock();
  const file = new ArchiveFile(path, clock);
  for (let minute = 0; minute < 40 * 1440; minute += 1) file.archive.add(snapshot(minute * 60, 1e9 * Math.random()));
  file.save();
  assert.equal(file.archive.columns("day").time.length, 1440);
  assert.equal(file.archive.columns("month").time.length, 744);
  assert.ok(statSync(path).size < 300_000, `${statSync(path).size} bytes`);
  assert.deepEqual(new ArchiveFile(path, clock).archive.record, file.archive.record);
});

test("a file that is damaged, or of a version with other series, costs what it does not have", () => {
  const path = join(folder, "damaged.json");
  for (const text of ["", "{", "null", "[]", '{"day":7}', '{"day":{"time":["x"]},"month":{"time":[]}}']) {
    writeFileSync(path, text);
    assert.equal(new ArchiveFile(path, new ManualClock()).archive.columns("day").time.length, 0, text);
  }
  const read = readArchive({ day: { time: [1, 2], cpuShare: [0.5, "x"], residentBytes: [1] }, month: { time: [] } })!;
  assert.deepEqual(
    [read.day.cpuShare, read.day.residentBytes, read.day.linkOpen],
    [
      [0.5, null],
      [null, null],
      [null, null],
    ],
  );
});

test("a dashboard that starts anew shows what was before, and a folder that cannot be written ends nothing", async () => {
  const data = join(folder, "data.json");
  const clock = new ManualClock();
  const historyOf = async ({ address }: Dashboard): Promise<Columns> =>
    (await (await fetch(`http://${address}/api/history?range=day`)).json()) as Columns;
  const first = new Dashboard({ listen: "127.0.0.1:0", history: data, clock });
  await first.listen();
  for (let second = 0; second < 200; second += 1) clock.advance(1000);
  const before = await historyOf(first);
  assert.ok(before.time.length >= 3);
  assert.ok(readFileSync(data, "utf8").length > 0, "written once a minute");
  await first.close();
  const second = new Dashboard({ listen: "127.0.0.1:0", history: data, clock });
  await second.listen();
  assert.deepEqual((await historyOf(second)).time.slice(0, before.time.length), before.time);
  assert.equal((await fetch(`http://${second.address}/api/history?range=year`)).status, 400);
  await second.close();
  const nowhere = new Dashboard({ listen: "127.0.0.1:0", history: join(folder, "no/such/folder.json"), clock });
  await nowhere.listen();
  clock.advance(61_000);
  assert.equal((await fetch(`http://${nowhere.address}/health`)).status, 200);
  await nowhere.close();
});
