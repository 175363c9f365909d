import assert from "node:assert/strict";
import { test } from "node:test";
import { OperationError } from "../../src/core/errors.ts";
import { lineLog, type LogFacts, makeLog } from "../../src/core/log.ts";
import { isLogged, LOG_EVENTS, LOG_LEVELS } from "../../src/core/log-events.ts";
import { ManualClock } from "../../src/core/manual-clock.ts";

function lines(options: { format?: "text" | "json"; level?: (typeof LOG_LEVELS)[number] } = {}): {
  clock: ManualClock;
  written: string[];
  log: ReturnType<typeof makeLog>;
} {
  const clock = new ManualClock();
  const written: string[] = [];
  return { clock, written, log: makeLog(lineLog({ ...options, clock, write: (line) => written.push(line) })) };
}

test("an event is one line: time, level, event and what is known of it", () => {
  const { log, written, clock } = lines();
  log("queue.peer-cut", { peer: "0066a1", reason: "it does not read", held: 3, missing: undefined });
  const time = new Date(clock.wallMs()).toISOString();
  assert.deepEqual(written, [`${time} warning queue.peer-cut peer=0066a1 reason="it does not read" held=3\n`]);
});

test("in JSON a line is an object with time, level, event and the facts", () => {
  const { log, written, clock } = lines({ format: "json" });
  const error = new OperationError("QUEUE_FULL", "no room");
  log("queue.broker-invalid", { address: "tcp://a:1", error });
  log("queue.broker-back", {});
  const time = new Date(clock.wallMs()).toISOString();
  assert.deepEqual(
    written.map((line) => JSON.parse(line) as unknown),
    [
      { time, level: "warning", event: "queue.broker-invalid", address: "tcp://a:1", error: "no room (QUEUE_FULL)" },
      { time, level: "warning", event: "queue.broker-back" },
    ],
  );
});

test("no fact can forge a line, steer a terminal or make a line without end", () => {
  for (const format of ["text", "json"] as const) {
    const { log, written } = lines({ format });
    log("queue.peer-cut", { reason: "x\n2026 error queue.forged\r\u001b[2J\u009b\u2028y", peer: "a=b c" });
    log("queue.peer-cut", { reason: "x".repeat(1_000_000), error: new Error("y".repeat(1_000_000)) });
    assert.equal(written.length, 2);
    for (const line of written) {
      assert.equal(line.indexOf("\n"), line.length - 1);
      assert.ok(line.length < 10_000);
      // oxlint-disable-next-line no-control-regex
      assert.doesNotMatch(line.slice(0, -1), /[\x00-\x1f]/);
    }
    if (format === "text") assert.match(written[0]!, /peer="a=b c"\n$/);
  }
});

test("a level lets through itself and what is worse", () => {
  for (const level of LOG_LEVELS) {
    const { log, written } = lines({ level });
    for (const event of Object.keys(LOG_EVENTS) as (keyof typeof LOG_EVENTS)[]) {
      written.length = 0;
      log(event, {});
      assert.equal(written.length, isLogged(event, level) ? 1 : 0, `${event} at ${level}`);
    }
  }
  assert.ok(isLogged("queue.program-error", "error"));
  assert.ok(!isLogged("queue.peer-cut", "error"));
  assert.ok(isLogged("queue.peer-cut", "warning"));
});

test("the same line again within 10 s is told once, and a flood is counted instead of told", () => {
  const { log, written, clock } = lines();
  for (let n = 0; n < 5; n += 1) log("queue.broker-unreachable", { url: "tcp://a:1" });
  assert.equal(written.length, 1);
  written.length = 0;
  for (let n = 0; n < 1000; n += 1) log("queue.peer-cut", { peer: n });
  assert.equal(written.length, 100);
  log("queue.worker-lost", { peer: 1 });
  assert.equal(written.length, 101, "other events are told");
  clock.advance(10_000);
  assert.match(written.at(-1)!, / warning log\.left-out of=queue\.peer-cut lines=900\n$/);
  log("queue.broker-unreachable", { url: "tcp://a:1" });
  assert.match(written.at(-1)!, /unreachable/);
});

test("a listener gets everything with its level; one that throws harms nobody; false is silence", (t) => {
  const told: [string, LogFacts, string][] = [];
  makeLog((...each) => void told.push(each))("queue.listening", { address: "x" });
  assert.deepEqual(told, [["queue.listening", { address: "x" }, "info"]]);
  const written: string[] = [];
  t.mock.method(process.stderr, "write", (line: string) => written.push(line));
  const failing = makeLog(() => {
    throw new Error("no disk");
  });
  failing("queue.listening", {});
  makeLog(false)("queue.program-error", { error: "x" });
  makeLog(undefined)("queue.listening", {});
  makeLog("info")("queue.listening", { address: "once" });
  makeLog("info")("queue.listening", { address: "once" });
  assert.equal(written.length, 2);
  assert.match(written[0]!, /listener of the log failed at queue\.listening: no disk/);
  assert.match(written[1]!, / info queue\.listening address=once\n$/);
});
