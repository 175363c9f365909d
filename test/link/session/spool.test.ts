/** A client's spool: what it was given arrives once and in order, however often its process is killed. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { between, seeded } from "../../../src/core/random.ts";
import { connect, listen } from "../../../src/link/index.ts";
import type { SessionClientCore } from "../../../src/link/session/client/session-client-core.ts";
import { SpoolFile } from "../../../src/link/session/client/spool-file.ts";
import { virtualClientCore, virtualServerCore } from "../support/virtual-ends.ts";
import { VirtualNetwork } from "../support/virtual-network.ts";
import type { TransportPair } from "../support/virtual-network.ts";

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "holdfast-spool-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const seed = Number(process.env["SEED"] ?? 20_261_131);

test(`through cuts and kills at any moment each message arrives once, in order of its priority (seed ${seed})`, async (t) => {
  const path = folder(t);
  for (let round = 0; round < 25; round += 1) {
    const chance = seeded(seed + round);
    const network = new VirtualNetwork(seed + round);
    const got: string[] = [];
    const server = virtualServerCore(
      network,
      { heartbeatMs: 1000, ttlMs: 1e9, willDelayMs: 1e9 },
      {
        message(_session, message) {
          got.push(text(message));
          const ms = between(chance, 1, 400);
          return chance() < 0.3
            ? new Promise((done) => network.clock.at(network.clock.now() + ms, () => done(undefined)))
            : undefined;
        },
        stream: () => undefined,
      },
    );
    const commands: string[] = [];
    const ordered: string[] = [];
    let gaps = 0;
    let pair: TransportPair | undefined;
    let run = 0;
    const begin = (): SessionClientCore => {
      const file = join(path, `${round}.${run}`);
      if (run > 0) copyFileSync(join(path, `${round}.${run - 1}`), file); // what a kill leaves
      run += 1;
      const mine = run;
      const core = virtualClientCore(
        // One that was killed dials no more.
        { network, server: () => (mine === run ? server : undefined), joined: (joined) => (pair = joined) },
        { name: "pump", keepMs: 1e9, heartbeatMs: 1000, spool: new SpoolFile(file, network.clock) },
        { gap: () => (gaps += 1), message: (message) => void commands.push(text(message)) },
      );
      core.start();
      return core;
    };
    let core = begin();
    let sent = 0;
    const expected: Record<"plain" | "urgent", string[]> = { plain: [], urgent: [] };
    for (let step = 0; step < 80; step += 1) {
      for (let count = between(chance, 0, 6); count > 0; count -= 1) {
        sent += 1;
        const urgent = chance() < 0.2;
        const name = `${urgent ? "urgent" : "plain"} ${sent}${chance() < 0.1 ? ".".repeat(40_000) : ""}`;
        expected[urgent ? "urgent" : "plain"].push(name);
        core.send(Buffer.from(name), { urgent }).catch(() => {});
      }
      const session = server.session("pump");
      if (session && chance() < 0.3) {
        ordered.push(`command ${ordered.length}`);
        session.send(ordered.at(-1)!).catch(() => {});
      }
      if (chance() < 0.05) core.sendStream([Buffer.from("not spooled")]).catch(() => {});
      await turn();
      if (chance() < 0.8) network.advance(between(chance, 1, 60), 3);
      if (chance() < 0.1) pair?.break({ client: between(chance, 0, 500), server: chance() < 0.5 ? Infinity : 1 });
      if (chance() < 0.12) {
        pair?.client.vanish();
        pair?.break({ client: Infinity, server: between(chance, 0, 300) });
        core = begin();
        pair = undefined;
      }
    }
    for (let settling = 0; settling < 400 && (core.unsettled.messages > 0 || commands.length < ordered.length); settling += 1) {
      network.advance(50, 5);
      await turn();
    }
    assert.equal(core.unsettled.messages, 0);
    assert.equal(gaps, 0);
    assert.deepEqual(commands, ordered, "what the server sent is handled once, by one process or the next");
    for (const kind of ["plain", "urgent"] as const)
      assert.deepEqual(
        got.filter((name) => name.startsWith(kind)),
        expected[kind],
        `round ${round}, ${run} runs`,
      );
  }
});

test("a client that is killed with kill -9, again and again, loses and doubles nothing that it had taken", async (t) => {
  const spool = join(folder(t), "outbox");
  const got: string[] = [];
  const server = await listen({ port: 0, session: { onMessage: (_session, message) => void got.push(text(message)) } });
  t.after(() => server.close());
  const chance = seeded(seed);
  const taken: number[] = [];
  const runs = 6;
  for (let run = 0; run < runs; run += 1) {
    const last = run === runs - 1;
    const words = [server.port, spool, run, last ? 500 : 1_000_000].map(String);
    const child = fork(join(import.meta.dirname, "../support/spooling-child.ts"), words);
    t.after(() => child.kill("SIGKILL"));
    const killAt = last ? Infinity : between(chance, 1, 400);
    const ended = once(child, "exit");
    child.on("message", (message: string) => {
      assert.doesNotMatch(message, /^failed/);
      const [, number] = /^taken (\d+)/.exec(message) ?? [];
      if (number === undefined) return;
      taken[run] = Number(number);
      if (taken[run]! >= killAt) child.kill("SIGKILL");
      else if (taken[run]! % 70 === 0) server.session("spooler")?.connection?.transport.destroy();
    });
    await ended;
  }
  taken[runs - 1] = 500;
  assert.equal(new Set(got).size, got.length, "none twice");
  for (const [run, most] of taken.entries()) {
    const numbers = got.filter((name) => name.startsWith(`${run}.`)).map((name) => Number(name.split(".")[1]));
    assert.ok(numbers.length >= most, `run ${run}: ${numbers.length} of at least ${most}`);
    assert.deepEqual(
      numbers,
      Array.from({ length: numbers.length }, (_, index) => index + 1),
    );
  }
  const runsInOrder = got.map((name) => Number(name.split(".")[0]));
  assert.deepEqual(
    runsInOrder,
    runsInOrder.toSorted((one, other) => one - other),
  );
  assert.equal(statSync(spool).size, 0, "nothing is left");
});

test("a message that the server before had, and may have handled, is told as a gap when the next one has forgotten the session", async (t) => {
  const path = folder(t);
  const network = new VirtualNetwork(1);
  const got: string[] = [];
  const settings = { heartbeatMs: 1000 };
  let server = virtualServerCore(network, settings, { message: () => new Promise(() => {}) });
  const gaps: unknown[] = [];
  const begin = (file: string): SessionClientCore =>
    virtualClientCore(
      { network, server: () => server },
      { name: "pump", spool: new SpoolFile(join(path, file), network.clock) },
      { gap: (gap) => gaps.push(gap) },
    );
  const before = begin("one");
  before.start();
  network.advance(100, 5);
  before.send(Buffer.from("in doubt")).catch(() => {});
  network.advance(50, 5);
  for (const pair of network.pairs) pair.client.vanish();
  before.send(Buffer.from("never sent")).catch(() => {});
  await turn();
  copyFileSync(join(path, "one"), join(path, "two"));
  server = virtualServerCore(network, settings, { message: (_session, message) => void got.push(text(message)) });
  begin("two").start();
  network.advance(1000, 5);
  assert.deepEqual(gaps, [{ side: "own", count: 1, resent: false }]);
  assert.deepEqual(got, ["never sent"]);
});

test("a spool holds what is not done, whatever passed through it, and one that was cut off in a record is read up to there", async (t) => {
  const path = join(folder(t), "outbox");
  const server = await listen({ port: 0, session: {} });
  t.after(() => server.close());
  const client = await connect({ port: server.port, session: { name: "a", spool: path } });
  let largest = 0;
  for (let index = 0; index < 200; index += 1) {
    await client.send(new Uint8Array(50_000));
    largest = Math.max(largest, statSync(path).size);
  }
  assert.ok(largest < 1.3 * 1024 * 1024, `${largest} bytes at most, of 10 MB that passed`);
  await assert.rejects(connect({ port: server.port, session: { name: "a", spool: path } }), { code: "LINK_OPTION_INVALID" });
  await client.close();
  assert.equal(statSync(path).size, 0);

  const offline = await connect({ port: 1, session: { name: "b", spool: path }, reconnect: { base: 1000 } });
  for (const message of ["one", "two"]) offline.send(message).catch(() => {});
  await turn();
  const whole = readFileSync(path);
  await offline.close({ within: 0 });
  for (const length of [whole.length - 1, whole.length - 7]) {
    writeFileSync(path, whole.subarray(0, length));
    const got: string[] = [];
    const other = await listen({ port: 0, session: { onMessage: (_session, message) => void got.push(text(message)) } });
    const next = await connect({ port: other.port, session: { name: "b", spool: path } });
    while (got.length === 0 || next.unconfirmed.messages > 0) await turn();
    await next.close();
    await other.close();
    assert.deepEqual(got, ["one"]);
  }
});
