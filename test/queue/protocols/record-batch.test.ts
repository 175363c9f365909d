import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ManualClock } from "../../../src/core/manual-clock.ts";
import { ProtocolError } from "../../../src/core/errors.ts";
import { seeded } from "../../../src/core/random.ts";
import { CronTable } from "../../../src/queue/service/cron.ts";
import { TaskService } from "../../../src/queue/service/task-service.ts";
import { RecordBatchReader, RecordBatchWriter } from "../../../src/queue/protocols/record-batch.ts";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import { type Frames, IdText } from "../../../src/queue/protocols/messages.ts";
import { ProtocolRouter } from "../../../src/queue/broker/protocol-router.ts";

/** A broker without sockets. Texts are sent as frames of Latin-1; what a peer was sent is shown with octets that are no text in hex. */
class Rig {
  readonly service = new TaskService({ store: new MemoryStore(), clock: new ManualClock(), random: seeded(1) });
  readonly #cron = new CronTable(this.service, () => undefined);
  readonly #router = new ProtocolRouter({ service: this.service, ids: new IdText("b0"), cron: this.#cron, openMax: 3 });
  readonly #heard = new Map<string, string[]>();

  static async open(): Promise<Rig> {
    const rig = new Rig();
    await rig.service.open();
    return rig;
  }

  /** What of several messages comes before the broker acts on any. */
  async say(peer: string, ...messages: readonly (readonly (string | Buffer)[])[]): Promise<void> {
    const heard = this.#of(peer);
    for (const message of messages) {
      const envelope = peer === "r" ? [""] : [];
      const frames = [...envelope, "HQ1", ...message].map((frame) =>
        typeof frame === "string" ? Buffer.from(frame, "latin1") : frame,
      );
      this.#router.receive(peer, frames, () => ({
        send: (sent: Frames) => heard.push(sent.slice(1).map(show).join("|")),
        close: (reason: string) => heard.push(`closed: ${reason}`),
      }));
    }
    this.service.flush();
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  }

  gone(peer: string): void {
    this.#router.gone(peer);
    this.service.flush();
  }

  news(peer: string): string[] {
    return this.#of(peer).splice(0);
  }

  #of(peer: string): string[] {
    let heard = this.#heard.get(peer);
    if (!heard) this.#heard.set(peer, (heard = []));
    return heard;
  }
}

function show(frame: Buffer): string {
  const text = frame.toString("latin1");
  return /^[ -~]*$/.test(text) ? text : frame.toString("hex");
}

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(" ", ""), "hex");
}

/** The token of the first lease of a broker: 2^32 + 1. */
const TOKEN = "0000000100000001";

test("many submissions, tasks, results and outcomes travel in one message each, byte by byte as documented", async () => {
  const rig = await Rig.open();
  await rig.say("p", ["HELLO", "h", '{"many":1}']);
  assert.deepEqual(rig.news("p"), [
    'WELCOME|h|{"broker":"b0","version":1,"load":0,"many":1,"begun":1,"keeps":1,"traces":1,"steps":1}',
  ]);
  await rig.say("w", ["HELLO", "h", '{"many":1}'], ["WORK", "mail", "2"]);
  rig.news("w");
  await rig.say("p", ["CALLS", "mail", "=k", hex("00000007 00000001 61  00000008 00000002 6263")]);
  assert.deepEqual(rig.news("p"), ["ADDEDS|000000070000000000000001000000080000000000000002"]);
  const [tasks] = rig.news("w");
  const [first, second] = [TOKEN, "0000000100000002"];
  const rest = "000000010000000000000000";
  assert.equal(tasks, `TASKS|mail|0000000000000001${first}${rest}00000001610000000000000002${second}${rest}000000026263`);
  await rig.say("w", ["DONES", hex(`0000000000000001 ${first} 00000001 41  0000000000000002 ${second} 00000000`)]);
  assert.deepEqual(rig.news("w"), [`KEPTS|0000000000000001${first}0000000000000002${second}`]);
  assert.deepEqual(rig.news("p"), ["ENDEDS|00000007000000000141000000080000000000"]);
});

test("each of many submissions is under the key of the message and its own number, so that it can be sent again", async () => {
  const rig = await Rig.open();
  await rig.say("p", ["ADDS", "q", "=k.", hex("00000001 00000001 61  00000002 00000001 62")]);
  const [added] = rig.news("p");
  await rig.say("p", ["ADD", "1", "q", "=k.1", "a"], ["ADD", "9", "q", "=k.2", "b"]);
  assert.deepEqual(rig.news("p"), ["ADDED|1|b0-1", "ADDED|9|b0-2"]);
  await rig.say("p2", ["ADDS", "q", "=k.", hex("00000001 00000001 61  00000002 00000001 62")]);
  assert.deepEqual(rig.news("p2"), [added]);
});

test("of many submissions one that is refused does not hold up the others", async () => {
  const rig = await Rig.open();
  rig.service.configure("q", { bytesMax: 300 }, () => {});
  const large = `00000002 00000100 ${"78".repeat(256)}`;
  await rig.say("p", ["ADDS", "q", "", hex(`00000001 00000001 61 ${large} 00000003 00000001 62`)]);
  const news = rig.news("p");
  assert.match(news.join(), /REFUSED\|2\|QUEUE_BODY_TOO_LARGE\|/);
  assert.ok(news.includes("ADDEDS|000000010000000000000001000000030000000000000002"), news.join());
});

test("options that cannot be used refuse each of many submissions under its own number", async () => {
  const rig = await Rig.open();
  await rig.say("p", ["CALLS", "q", '{"priority":999}', hex("00000001 00000001 61  00000002 00000001 62")]);
  const news = rig.news("p").map((message) => message.split("|").slice(0, 3).join("|"));
  assert.deepEqual(news, ["REFUSED|1|QUEUE_OPTIONS_INVALID", "REFUSED|2|QUEUE_OPTIONS_INVALID"]);
});

test("a key that its number makes too long refuses that one of many submissions", async () => {
  const rig = await Rig.open();
  await rig.say("p", ["ADDS", "q", `=${"k".repeat(254)}`, hex("00000001 00000001 61  0000000a 00000001 62")]);
  assert.match(rig.news("p").join(), /^REFUSED\|10\|QUEUE_OPTIONS_INVALID\|[^,]*,ADDEDS\|00000001/);
});

test("a request among many and a request alone share their numbers", async () => {
  const rig = await Rig.open();
  await rig.say("p", ["CALLS", "q", "", hex("00000007 00000001 61")], ["CALL", "7", "q", "", "b"]);
  assert.match(rig.news("p").join(), /^REFUSED\|7\|QUEUE_PROTOCOL\|.*ADDEDS\|0{7}7/);
  await rig.say("p", ["UNWATCH", "7"], ["CALL", "7", "q", "", "b"]);
  assert.deepEqual(rig.news("p"), ["ADDED|7|b0-2"]);
  await rig.say("p", ["CALL", "007", "q", "", "c"]);
  assert.deepEqual(rig.news("p"), ["ADDED|007|b0-3"]);
});

test("requests among many count against what a connection may have open", async () => {
  const rig = await Rig.open();
  const four = [1, 2, 3, 4].map((number) => `0000000${number} 00000001 61`).join("");
  await rig.say("p", ["CALLS", "q", "", hex(four)]);
  assert.match(rig.news("p").join(), /REFUSED\|4\|QUEUE_TOO_MANY\|/);
});

test("of many results one under a lost lease is refused, the others are kept", async () => {
  const rig = await Rig.open();
  await rig.say("w", ["HELLO", "h", '{"many":1}'], ["WORK", "q", "1"]);
  await rig.say("p", ["ADD", "1", "q", "", "a"]);
  rig.news("w");
  const lost = `0000000000000001 0000000100000063 00000001 41`;
  await rig.say("w", ["DONES", hex(`${lost} 0000000000000001 ${TOKEN} 00000001 42`)]);
  assert.deepEqual(rig.news("w"), ["LOST|1.4294967395", `KEPTS|0000000000000001${TOKEN}`]);
});

test("another worker's lease among many results is refused", async () => {
  const rig = await Rig.open();
  await rig.say("w", ["WORK", "q", "1"]);
  await rig.say("p", ["ADD", "1", "q", "", "a"]);
  await rig.say("thief", ["WORK", "other", "1"], ["DONES", hex(`0000000000000001 ${TOKEN} 00000001 41`)]);
  assert.deepEqual(rig.news("thief"), ["LOST|1.4294967297"]);
});

test("a worker that says which of its tasks have begun, one by one or among many, is charged for those when it is lost", async () => {
  const rig = await Rig.open();
  await rig.say("p", ["ADD", "1", "q", "", "a", "b", "c", "d"]);
  await rig.say("w", ["HELLO", "h", '{"begun":1}'], ["WORK", "q", "4"]);
  const token = /^TASK\|1\.(\d+)/m.exec(rig.news("w").join("\n"))![1]!;
  const first = Number(token);
  const u64 = (value: number): Buffer => {
    const eight = Buffer.alloc(8);
    eight.writeBigUInt64BE(BigInt(value));
    return eight;
  };
  await rig.say("w", ["BEGUN", `1.${first}`], ["BEGUNS", Buffer.concat([u64(3), u64(first + 2)])]);
  // What is not its own changes nothing and has no answer.
  await rig.say("w", ["BEGUN", `2.${first}`, "9.9"]);
  await rig.say("other", ["BEGUN", `4.${first + 3}`]);
  assert.deepEqual([rig.news("w"), rig.news("other")], [[], []]);
  await rig.say("w", ["BEGUN", "nonsense"], ["BEGUNS", "cut"]);
  assert.ok(rig.news("w").every((message) => message.includes("QUEUE_PROTOCOL")));
  rig.gone("w");
  assert.deepEqual(
    [1, 2, 3, 4].map((id) => rig.service.view(rig.service.stateMachine.find(id)).lost),
    [1, 0, 1, 0],
  );
});

test("workers of one process by what their HELLO says are kept free together for a suspect", async () => {
  const rig = await Rig.open();
  await rig.say("p", ["ADD", "1", "q", "", "poison"]);
  for (let loss = 0; loss < 2; loss += 1) {
    await rig.say(`w${loss}`, ["WORK", "q", "1"]);
    rig.gone(`w${loss}`);
  }
  const hello = ["HELLO", "h", '{"process":"one"}'];
  await rig.say("a", hello, ["WORK", "q", "1"]);
  await rig.say("b", hello, ["WORK", "other", "1"]);
  await rig.say("c", ["HELLO", "h", '{"process":7}'], ["WORK", "other", "1"]);
  await rig.say("p", ["ADD", "2", "other", "", "x", "y"]);
  assert.deepEqual(
    ["a", "b", "c"].map((peer) => rig.news(peer).filter((message) => message.startsWith("TASK")).length),
    [1, 0, 1],
  );
});

test("a peer that has not said that it reads many gets each task and each acknowledgement as before", async () => {
  const rig = await Rig.open();
  await rig.say("w", ["HELLO", "h"], ["WORK", "q", "2"]);
  rig.news("w");
  await rig.say("p", ["ADDS", "q", "", hex("00000001 00000001 61  00000002 00000001 62")]);
  assert.deepEqual(rig.news("w"), ["TASK|1.4294967297|a|q|1|0|b0-1", "TASK|2.4294967298|b|q|1|0|b0-2"]);
  await rig.say("w", ["DONE", "1.4294967297", "A"]);
  assert.deepEqual(rig.news("w"), ["KEPT|1.4294967297"]);
});

test("a task is told to a worker before it is told to stop", async () => {
  const rig = await Rig.open();
  await rig.say("w", ["HELLO", "h", '{"many":1}'], ["WORK", "q", "1"]);
  await rig.say("p", ["CALLS", "q", "", hex("00000001 00000001 61")]);
  await rig.say("p", ["CANCEL", "2", "b0-1"]);
  const verbs = rig.news("w").map((message) => message.split("|")[0]);
  assert.deepEqual(verbs, ["WELCOME", "TASKS", "STOP"]);
});

test("a frame of many that is cut short is refused, whole records before the cut count", async () => {
  const rig = await Rig.open();
  const whole = hex("00000001 00000001 61  00000002 00000001 62");
  for (let length = 10; length < whole.length; length += 1) {
    await rig.say(`p${length}`, ["ADDS", "q", "", whole.subarray(0, length)]);
    const news = rig.news(`p${length}`).map((message) => message.split("|").slice(0, 3).join("|"));
    assert.deepEqual(news[0], "REFUSED|q|QUEUE_PROTOCOL");
    assert.match(news[1]!, /^ADDEDS\|00000001/);
  }
  await rig.say("p", ["ADDS", "q", ""], ["DONES"], ["CALLS", "q"]);
  assert.ok(rig.news("p").every((message) => message.includes("QUEUE_PROTOCOL")));
});

test("a REQ may not send many in one message, and is not told that others may", async () => {
  const rig = await Rig.open();
  await rig.say("r", ["HELLO", "1", '{"many":1}'], ["ADDS", "q", "", hex("00000001 00000001 61")]);
  assert.match(rig.news("r").join(), /^\|?.*WELCOME\|1\|\{"broker":"b0","version":1,"load":0\}.*REFUSED/);
});

test("what is written as records is read as the same, in any number", () => {
  const safe = fc.oneof(fc.integer({ min: 0, max: 2 ** 33 }), fc.constantFrom(0, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1));
  const task = fc.record({
    id: safe,
    token: safe,
    attempt: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    timeoutMs: safe,
    body: fc.uint8Array({ maxLength: 3000 }),
  });
  fc.assert(
    fc.property(fc.array(task, { minLength: 1, maxLength: 60 }), (tasks) => {
      const writer = new RecordBatchWriter();
      for (const { id, token, ...rest } of tasks) writer.task(id, token, rest);
      assert.equal(writer.count, tasks.length);
      const reader = new RecordBatchReader(writer.take());
      for (const { id, token, attempt, timeoutMs, body } of tasks) {
        assert.deepEqual([reader.u64(), reader.u64(), reader.u32(), reader.u64()], [id, token, attempt, timeoutMs]);
        assert.deepEqual(reader.body(), Buffer.from(body));
      }
      assert.equal(reader.more, false);
      assert.equal(writer.count, 0);
    }),
  );
});

test("no bytes make the reader of records read past its frame", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      const reader = new RecordBatchReader(Buffer.from(bytes));
      try {
        while (reader.more) {
          reader.u64();
          reader.endState();
          assert.ok(reader.body().length <= bytes.length);
        }
      } catch (error) {
        assert.ok(error instanceof ProtocolError);
      }
    }),
  );
});
