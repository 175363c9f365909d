/** One bit of a store of sessions is not what was written: it costs the session or the message that it was of, and is told. */
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { systemClock } from "../../../src/core/clock.ts";
import { between, seeded } from "../../../src/core/random.ts";
import { OutgoingMessage } from "../../../src/link/session/outgoing-message.ts";
import { PersistentSessions } from "../../../src/link/session/server/persistent-sessions.ts";
import type { StoredSession } from "../../../src/link/session/server/persistent-sessions.ts";
import { SqliteStore } from "../../../src/store/sqlite/sqlite-store.ts";

const SESSIONS = 6;
const MESSAGES = 4;
const FLIPS = Number(process.env["FLIPS"] ?? 60);
const seed = Number(process.env["SEED"] ?? 20_261_201);

function storeIn(folder: string): PersistentSessions {
  return new PersistentSessions({
    store: new SqliteStore({ folder, name: "sessions" }),
    clock: systemClock,
    troubled: (trouble) => assert.equal(trouble, undefined),
  });
}

async function fill(folder: string): Promise<void> {
  const store = storeIn(folder);
  await store.open();
  for (let each = 1; each <= SESSIONS; each += 1) {
    const records = store.keep({
      head: () => ({ name: `pump-${each}`, named: true, identity: "", certificate: "", sinceMs: each }),
      numbers: () => ({ arrived: 9, done: 7, missing: 0, ranges: [{ from: 9, to: 9 }], rejects: new Map([[9, "no"]]) }),
      body: () => ({ id: new Uint8Array(16).fill(each), idsBefore: [], will: Buffer.from("lost"), filters: ["a/+"] }),
    });
    for (let number = 1; number <= MESSAGES; number += 1)
      store.pushed(records, new OutgoingMessage(Buffer.from(`${each}.${number}`), 1e9, () => {}));
  }
  await store.close(10_000);
}

async function read(folder: string): Promise<{ readonly sessions: readonly StoredSession[]; readonly lost: number }> {
  const store = storeIn(folder);
  const found = await store.open();
  await store.close(10_000);
  return found;
}

test(`${FLIPS} turned bits cost one session or one message each, and are told (seed ${seed})`, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-damaged-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const whole = join(folder, "whole");
  await fill(whole);
  const { sessions: before, lost } = await read(whole);
  assert.deepEqual([before.length, before.flatMap(({ messages }) => messages).length, lost], [6, 24, 0]);
  const owners = new Map(
    before.flatMap(({ record, messages }) => [
      [record, record] as const,
      ...messages.map((each) => [each.record, record] as const),
    ]),
  );
  const chance = seeded(seed);
  for (let flip = 0; flip < FLIPS; flip += 1) {
    const copy = join(folder, "copy");
    cpSync(whole, copy, { recursive: true });
    const id = [...owners.keys()][between(chance, 0, owners.size - 1)]!;
    const column = (["head", "state", "body"] as const)[between(chance, 0, 2)]!;
    const database = new DatabaseSync(join(copy, "sessions.db"));
    const { bytes } = database.prepare(`SELECT ${column} AS bytes FROM task WHERE id = ?`).get(id) as { bytes: Uint8Array };
    bytes[between(chance, 0, bytes.length - 1)]! ^= 1 << between(chance, 0, 7);
    database.prepare(`UPDATE task SET ${column} = ? WHERE id = ?`).run(bytes, id);
    database.close();

    const after = await read(copy);
    const owner = owners.get(id)!;
    const where = `flip ${flip}: ${column} of ${id}, of session ${owner}`;
    const isOther = ({ record }: StoredSession): boolean => record !== owner;
    assert.deepEqual(after.sessions.filter(isOther), before.filter(isOther), where);
    const own = after.sessions.find(({ record }) => record === owner);
    if (id === owner) {
      // Its client hears that the session is unknown; the server's `store` event tells of the messages.
      assert.deepEqual([own, after.lost], [undefined, MESSAGES], where);
    } else {
      // Its client hears of a gap of one.
      const rest = before.find(({ record }) => record === owner)!.messages.filter(({ record }) => record !== id);
      assert.deepEqual([own?.messages, own?.damaged, after.lost], [rest, 1, 0], where);
    }
    // What is damaged was taken out: it is told once.
    const again = await read(copy);
    assert.deepEqual([again.sessions.length, again.lost], [after.sessions.length, 0], where);
    rmSync(copy, { recursive: true });
  }
});
