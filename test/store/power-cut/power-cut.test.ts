/**
 * The power goes at any moment, and of what was not synced some sectors are there and others are not: with `--sync group` every
 * acknowledged batch is there, whole, and the store opens. A store that never syncs is caught. `CUTS=500` tries so many, `SEED=17`
 * that one.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { codeOf } from "../../../src/core/errors.ts";
import { seeded } from "../../../src/core/random.ts";
import { SqliteStore, type SyncMode } from "../../../src/store/sqlite/sqlite-store.ts";
import { requires } from "../../support/requires.ts";
import { keptAfter } from "./batches.ts";
import { type DiskEvent, PowerCutDisk, readLog } from "./disk.ts";

const only = process.env["SEED"];
const seeds =
  only === undefined ? Array.from({ length: Number(process.env["CUTS"] ?? 30) }, (_, index) => index + 1) : [Number(only)];
/** Enough for the log to be folded into the file, and begun anew, twice. */
const BATCHES = 420;

interface Cut {
  /** After so many events. */
  readonly after: number;
  readonly seed: number;
  readonly survives: number;
}

/** What went wrong at a cut; undefined: nothing. */
type Fault = string | undefined;

async function cutPower(sync: SyncMode, { lies }: { readonly lies: boolean }): Promise<Map<number, Fault>> {
  const root = mkdtempSync(join(tmpdir(), "holdfast-power-"));
  try {
    const events = record(root, sync, lies);
    const cuts = seeds.map((seed): Cut => {
      const random = seeded(seed);
      return { after: Math.floor(random() * events.length), seed, survives: [0, 0.5, 0.9, 0.99, 1][Math.floor(random() * 5)]! };
    });
    const faults = new Map<number, Fault>();
    const disk = new PowerCutDisk();
    let at = 0;
    let acknowledged = 0;
    for (const cut of cuts.sort((a, b) => a.after - b.after)) {
      for (; at < cut.after; at += 1) {
        const event = events[at]!;
        if (event.name === "acknowledged-by-test") acknowledged += 1;
        else disk.take(event);
      }
      const folder = join(root, `${cut.seed}`);
      mkdirSync(folder);
      for (const [name, bytes] of disk.cut(seeded(cut.seed), cut.survives)) writeFileSync(join(folder, name), bytes);
      faults.set(cut.seed, await faultOf(folder, acknowledged));
      rmSync(folder, { recursive: true });
    }
    return faults;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Runs the writer under the log. */
function record(root: string, sync: SyncMode, lies: boolean): DiskEvent[] {
  const [library, log, folder] = ["write-log.so", "log", "store"].map((name) => join(root, name)) as [string, string, string];
  const source = join(import.meta.dirname, "write-log.c");
  const compiled = spawnSync("g++", ["-x", "c", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], {
    encoding: "utf8",
  });
  assert.equal(compiled.status, 0, compiled.stderr);
  mkdirSync(folder);
  const env = {
    ...process.env,
    LD_PRELOAD: library,
    WRITE_LOG: log,
    WRITE_LOG_FOLDER: folder,
    ...(lies && { WRITE_LOG_LIES: "1" }),
  };
  const flags = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning"];
  const args = [...flags, join(import.meta.dirname, "writer-child.ts"), folder, sync, `${BATCHES}`];
  const ran = spawnSync(process.execPath, args, { env, encoding: "utf8", timeout: 120_000 });
  assert.equal(ran.signal, "SIGKILL", ran.stderr);
  return readLog(readFileSync(log));
}

/** All acknowledged batches, and at most the next one, are there, and no part of another. */
async function faultOf(folder: string, acknowledged: number): Promise<Fault> {
  const store = new SqliteStore({ folder });
  try {
    await store.open();
    const found = new Map<number, string>();
    const text = (part: Uint8Array | undefined): string => (part ? new TextDecoder().decode(part) : "damaged");
    for await (const portion of store.tasks()) {
      const bodies = await store.read(portion.map(({ id }) => id));
      portion.forEach(({ id, state, damaged }, index) =>
        found.set(id, damaged ? "damaged" : `${text(state)} ${text(bodies[index])}`),
      );
    }
    for (const batches of [acknowledged, acknowledged + 1]) if (isSame(found, keptAfter(batches))) return undefined;
    return `${acknowledged} batches were acknowledged, and the store holds something else: ${found.size} tasks`;
  } catch (error) {
    return `${acknowledged} batches were acknowledged, and the store says ${codeOf(error)}: ${String(error)}`;
  } finally {
    await store.close();
  }
}

function isSame(found: ReadonlyMap<number, string>, expected: ReadonlyMap<number, string>): boolean {
  return found.size === expected.size && [...expected].every(([id, what]) => found.get(id) === what);
}

test("a power cut costs no acknowledged batch, with whatever of the rest on the disk", requires("libzmq3-dev"), async () => {
  const faults = await cutPower("group", { lies: false });
  for (const [seed, fault] of faults) assert.equal(fault, undefined, `seed ${seed}`);
  assert.equal(faults.size, seeds.length);
});

test("a store that says group and never syncs is caught", requires("libzmq3-dev"), async () => {
  const faults = await cutPower("group", { lies: true });
  const caught = [...faults].flatMap(([seed, fault]) => (fault === undefined ? [] : [seed])).sort((a, b) => a - b);
  console.log(`caught by the seeds ${caught.join(", ")}`);
  assert.ok(caught.length >= seeds.length / 3, `caught by ${caught.length} of ${seeds.length} seeds`);
});
