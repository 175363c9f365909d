import assert from "node:assert/strict";
import { test } from "node:test";
import { HoldfastError, ProtocolError } from "../../../src/core/errors.ts";
import type { LogFacts } from "../../../src/core/log.ts";
import { ManualClock } from "../../../src/core/manual-clock.ts";
import { seeded } from "../../../src/core/random.ts";
import { ProtocolRouter } from "../../../src/queue/broker/protocol-router.ts";
import type { BrokerConnection, BrokerConnectionListener } from "../../../src/queue/client/broker-connection.ts";
import { queue } from "../../../src/queue/client/queue.ts";
import { worker } from "../../../src/queue/client/worker.ts";
import { OPERATIONS } from "../../../src/queue/operations/table.ts";
import { readBrokerMessage } from "../../../src/queue/protocols/broker-messages.ts";
import { type Frames, IdText, VERB } from "../../../src/queue/protocols/messages.ts";
import { CronTable } from "../../../src/queue/service/cron.ts";
import { TaskService } from "../../../src/queue/service/task-service.ts";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import { readHeartbeat } from "../../../src/store/log/heartbeats.ts";
import { decodeChunk, MESSAGE } from "../../../src/queue/cluster/relay/relay-codec.ts";
import { RelayStream } from "../../../src/queue/cluster/relay/relay-stream.ts";
import { decodeOps, encodeOps } from "../../../src/store/op-codec.ts";
import { jsonMutants, mutant } from "../support/hostile.ts";

const framesOf = (text: string): Frames => text.split("|").map((frame) => Buffer.from(frame, "latin1"));

/** One of each that a broker says, as in docs/queue-protocol.md. */
const FROM_BROKER = [
  'HQ1|WELCOME|hello|{"broker":"sim","version":1,"load":0,"many":1,"term":3,"relayed":1}',
  'HQ1|STARTING|hello|{"percent":43}',
  "HQ1|ANEW",
  "HQ1|BEAT",
  "HQ1|OK|1",
  'HQ1|DATA|1|{"tasks":[]}',
  "HQ1|REFUSED|1|QUEUE_FULL|Cannot submit",
  "HQ1|ADDED|1|sim-1|sim-2",
  "HQ1|ENDED|1|sim-1|done|result",
  'HQ1|PROGRESS|1|sim-1|{"percent":50}',
  "HQ1|PARTIAL|1|sim-1|part",
  "HQ1|TASK|1.1|body|q|1|0|sim-1",
  "HQ1|KEPT|1.1|2.2",
  "HQ1|LOST|1.1",
  'HQ1|STEPPED|1.1|{"at":0,"now":"recorded"}|earlier',
  'HQ1|STEPPED|1.1|{"at":0,"now":"refused","code":"QUEUE_STEPS_CHANGED","message":"changed"}',
  'HQ1|HISTORY|1.1|\0\0\0\x26{"at":0,"type":"step","name":"charge"}\0\0\0\x02ok',
  "HQ1|STOP|1.1|cancelled",
  "HQ1|RECALL|1.1",
  "HQ1|ADDEDS|\0\0\0\x01\0\0\0\0\0\0\0\x01",
  "HQ1|ENDEDS|\0\0\0\x01\0\0\0\0\x02ok",
  "HQ1|TASKS|q|\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x02hi",
  "HQ1|KEPTS|\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01",
].map(framesOf);

/** One of each that a client says. */
const FROM_CLIENT = [
  'HQ1|HELLO|h|{"many":1,"begun":1,"process":"p"}',
  "HQ1|BEAT",
  "HQ1|BYE",
  'HQ1|ADD|1|q|{"priority":3,"key":"k","attempts":2}|a|b',
  "HQ1|CALL|2|q|=key|c",
  "HQ1|WATCH|3|sim-1|sim-2",
  "HQ1|UNWATCH|3",
  "HQ1|CANCEL|4|sim-1",
  "HQ1|WORK|q|3|1|1000",
  "HQ1|BEGUN|1.1|2.2",
  "HQ1|BEGUNS|\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01",
  "HQ1|DONE|1.1|result",
  "HQ1|FAIL|1.1|error|final",
  "HQ1|RETURN|1.1",
  "HQ1|PROGRESS|1.1|10",
  "HQ1|PARTIAL|1.1|part",
  "HQ1|HOLD|q|1.1|2.2",
  "HQ1|HISTORY|1.1",
  'HQ1|STEP|1.1|{"at":0,"type":"step","name":"charge"}|result',
  'HQ1|STEP|1.1|{"at":1,"type":"sleep","name":"s","forMs":1000}',
  'HQ1|STEP|1.1|{"at":1,"type":"wait","name":"w","forMs":1000}',
  'HQ1|STEP|1.1|{"at":1,"type":"call","name":"c","queue":"q","options":{"priority":3}}|body',
  'HQ1|OPERATE|12|signal|{"id":"sim-1","name":"go"}||value',
  "HQ1|ADDS|q|=k|\0\0\0\x05\0\0\0\x02hi",
  "HQ1|CALLS|q||\0\0\0\x06\0\0\0\x02hi",
  "HQ1|DONES|\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\x02ok",
  "HQ1|SHOW|7|sim-1",
  "HQ1|SHOW|7|sim-999999",
  'HQ1|LIST|8|{"queue":"q","state":"ready","limit":5,"after":0}',
  "HQ1|STATS|9",
  "HQ1|RETRY|10|sim-1",
  'HQ1|SET|11|q|{"concurrency":5,"rate":{"count":1,"perMs":10}}',
  "HQ1|PURGE|12|q|done",
  'HQ1|RETRY|12||{"queue":"q","error":"0a1b2c3d"}',
  'HQ1|OPERATE|12|remove|{"queue":"q","state":"dead","error":"0a1b2c3d","undoMs":1000}',
  'HQ1|OPERATE|12|undo|{"undo":["key"]}',
  'HQ1|OPERATE|12|errors|{"queue":"q"}|somebody',
  'HQ1|OPERATE|12|upsertSchedule|{"name":"n","expression":"0 8 * * *","queue":"q"}||body',
  'HQ1|CRON|13|nightly|{"expression":"0 8 * * *","queue":"q","options":{"attempts":2}}|body',
  "|HQ1|CALL|14|q||enveloped",
  "|Ready",
  "|Ready|result",
  "|MDPW01|\x01|q",
  "|MDPW01|\x03|1.1||reply",
  "|MDPC01|q|body",
  "MDPW02|\x01|q",
  "MDPC02|\x01|q|body",
].map(framesOf);

test("the messages that are garbled below are of every verb", () => {
  const garbled = new Set([...FROM_BROKER, ...FROM_CLIENT].flat().map(String));
  assert.deepEqual(
    Object.keys(VERB).filter((verb) => !garbled.has(verb)),
    [],
  );
});

/** @returns false when it refused; any error but a ProtocolError is this test's failure */
function isRead(read: () => void): boolean {
  try {
    read();
    return true;
  } catch (error) {
    assert.ok(error instanceof ProtocolError, `${String(error)} is no ProtocolError`);
    return false;
  }
}

function readAll(frames: Frames): void {
  const message = readBrokerMessage(frames);
  if (!("records" in message)) return;
  const { verb, records } = message;
  while (records.more) {
    if (verb === "ADDEDS" || verb === "ENDEDS") records.u32();
    else records.u64();
    if (verb === "ENDEDS") records.endState();
    else records.u64();
    if (verb === "TASKS") {
      records.u32();
      records.u64();
    }
    if (verb === "ENDEDS" || verb === "TASKS") records.body();
  }
}

test("each message of a broker is read, and one that is cut, flipped or made up is read or a ProtocolError", () => {
  const random = seeded(1);
  for (const frames of FROM_BROKER) {
    assert.ok(
      isRead(() => readAll(frames)),
      String(frames[1]),
    );
    for (let n = 0; n < 2000; n += 1) isRead(() => readAll(mutant(random, frames)));
  }
});

test("what no broker says is refused", () => {
  const refused = [
    "HQ1",
    "HQ2|BEAT",
    "HQ1|ADD|1|q||a",
    "HQ1|TOMORROW|1",
    "HQ1|WELCOME|hello",
    "HQ1|WELCOME|hello|null",
    'HQ1|WELCOME|hello|{"broker":7}',
    'HQ1|WELCOME|hello|{"broker":"a b"}',
    'HQ1|WELCOME|hello|{"broker":"sim","load":"much"}',
    'HQ1|WELCOME|hello|{"broker":"sim","term":0.5}',
    "HQ1|ADDED|1",
    "HQ1|ADDED|1|nonsense",
    "HQ1|ADDED|x|sim-1",
    "HQ1|ENDED|1|sim-1|perhaps|x",
    "HQ1|PROGRESS|1||50%",
    "HQ1|TASK|1|body|q|1",
    "HQ1|TASK|1.1|body|q|soon",
    "HQ1|KEPT|x",
    "HQ1|KEPTS",
    "HQ1|STOP",
  ];
  for (const text of refused) assert.ok(!isRead(() => readAll(framesOf(text))), text);
});

const TASK = {
  id: "sim-1",
  queue: "q",
  state: "blocked",
  priority: 1,
  failures: 0,
  createdMs: 1,
  atMs: 2,
  bodyBytes: 3,
  errors: [{ error: "a", atMs: 1, attempt: 1 }],
  later: "a field of a later version",
};
const STATES = { waiting: 1, delayed: 2, blocked: 1, active: 0, retrying: 0, completed: 0, dead: 0, cancelled: 0 };
const ANSWERS = {
  tasks: { tasks: [TASK], next: "sim-4" },
  get: TASK,
  queues: {
    broker: "sim",
    queues: [
      {
        name: "q",
        states: STATES,
        bytes: 1,
        consumers: 1,
        slots: 1,
        added: 1,
        finished: 0,
        failures: 0,
        settings: { paused: true, rate: null },
      },
    ],
  },
  remove: { removed: 1, undo: ["1-1"] },
  schedules: { schedules: [{ name: "n", expression: "* * * * *", queue: "q", missed: "all" }] },
  workers: { workers: [{ peer: "p", dialect: "own", queue: "q", slots: 1, held: 0, sinceMs: 1 }], left: [] },
  errors: { groups: [{ error: "0badf00d", text: "t", count: 1, firstMs: 1, lastMs: 2, example: "sim-1" }], unread: 0 },
} as const;

test("each answer to an operation is read, and one with any value replaced is read or refused", () => {
  for (const [name, json] of Object.entries(ANSWERS)) {
    const { output } = OPERATIONS[name as keyof typeof ANSWERS];
    assert.equal(output.wrong(json, name), undefined);
    let refused = 0;
    for (const wrong of jsonMutants(json)) if (output.wrong(wrong, name) !== undefined) refused += 1;
    assert.ok(refused > 3, `only ${refused} of ${name} were refused`);
    for (const value of [undefined, null, 7, "x", [], {}, { tasks: {} }])
      assert.ok(output.wrong(value, name), JSON.stringify(value));
  }
});

test("no bytes from another broker of a group are read as what they are not", () => {
  const random = seeded(2);
  const chunks: Buffer[] = [];
  const sender = "a".repeat(16);
  const stream = new RelayStream({ session: 1, sender, chunkBytesMax: 100, send: (chunk) => void chunks.push(chunk) });
  stream.push({ kind: MESSAGE, key: "peer", idempotencyKey: "k", frames: framesOf("HQ1|ADD|1|q||body") });
  stream.flush();
  const beat = { kind: "leading", writer: sender, epoch: 1, ready: true, sequence: 5, broker: "sim", address: "tcp://a:1" };
  const ops = encodeOps([
    { kind: "add", id: 1, head: Buffer.from("head"), state: Buffer.from("state"), body: Buffer.from("body") },
    {
      kind: "keep",
      id: 2,
      head: Buffer.from("h"),
      state: Buffer.from("s"),
      body: Buffer.from("b"),
      facts: [{ kind: "step", name: "n", payload: Buffer.from("p") }],
    },
    { kind: "fact", id: 1, fact: { kind: "error", name: "", payload: Buffer.from("note") } },
    { kind: "set", name: "name", value: "value" },
  ]);
  for (let n = 0; n < 5000; n += 1) {
    const end = new RelayStream({ session: 1, sender, chunkBytesMax: 100, send: () => {} });
    isRead(() => end.take(decodeChunk(Buffer.concat(mutant(random, chunks)))));
    isRead(() => readHeartbeat(Buffer.concat(mutant(random, [Buffer.from(JSON.stringify(beat))]))));
    isRead(() => [...decodeOps(Buffer.concat(mutant(random, [Buffer.from(ops)])))]);
  }
  for (const wrong of jsonMutants(beat)) isRead(() => readHeartbeat(Buffer.from(JSON.stringify(wrong))));
  assert.ok(isRead(() => readHeartbeat(Buffer.from(JSON.stringify(beat)))));
  assert.equal([...decodeOps(ops)].length, 4);
});

/** A broker without sockets. */
class Rig {
  readonly clock = new ManualClock();
  readonly errors: unknown[] = [];
  readonly service = new TaskService({
    store: new MemoryStore(),
    clock: this.clock,
    random: seeded(1),
    log: (event, facts) => event === "queue.program-error" && this.errors.push([event, facts]),
  });
  readonly cron = new CronTable(this.service, () => 60_000);
  readonly router = new ProtocolRouter({ service: this.service, ids: new IdText("sim"), cron: this.cron });
  #peers = 0;

  static async open(): Promise<Rig> {
    const rig = new Rig();
    await rig.service.open();
    return rig;
  }

  /** A new peer. @param heard what it is sent */
  peer(heard: (frames: Frames) => void, closed: () => void = () => {}): { send(frames: Frames): void; gone(): void } {
    this.#peers += 1;
    const key = `peer ${this.#peers}`;
    return {
      send: (frames) => {
        this.router.receive(key, frames, () => ({ peer: key, send: heard, close: closed }));
        this.service.flush();
      },
      gone: () => {
        this.router.gone(key);
        this.service.flush();
      },
    };
  }
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("whatever a peer sends, it ends no broker, is no program error, and the next peer is served", async () => {
  const rig = await Rig.open();
  const random = seeded(3);
  for (let round = 0; round < 300; round += 1) {
    const hostile = rig.peer(() => {});
    for (const frames of FROM_CLIENT) hostile.send(random() < 0.3 ? frames : mutant(random, frames));
    hostile.gone();
    if (round % 10 === 0) {
      const heard: string[] = [];
      const healthy = rig.peer((frames) => heard.push(frames.map(String).join("|")));
      healthy.send(framesOf("HQ1|WORK|healthy|1"));
      healthy.send(framesOf(`HQ1|CALL|1|healthy||body ${round}`));
      await settle();
      const lease = /HQ1\|TASK\|([\d.]+)\|body (\d+)/.exec(heard.join("\n"));
      assert.equal(lease?.[2], String(round), heard.join("\n"));
      healthy.send(framesOf(`HQ1|DONE|${lease[1]}|ok`));
      await settle();
      assert.match(heard.join("\n"), /HQ1\|ENDED\|1\|sim-\d+\|done\|ok/);
      healthy.gone();
    }
  }
  assert.deepEqual(rig.errors, []);
});

async function allOf(values: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const value of values) all.push(value);
  return all;
}

const LOUD: ReadonlySet<string> = new Set(["queue.broker-invalid", "queue.program-error"]);

test("a question without a number is refused, and its answer, which fails later, ends nothing", async () => {
  const rig = await Rig.open();
  const heard: string[] = [];
  const peer = rig.peer((frames) => heard.push(frames.map(String).join("|")));
  for (const question of ["SHOW||sim-999", `SHOW|${"x".repeat(33)}|sim-999`, 'LIST||{"limit":-1}', "SHOW"])
    peer.send(framesOf(`HQ1|${question}`));
  // A rejection that nobody handles would end this process.
  await settle();
  await settle();
  assert.equal(heard.filter((said) => said.startsWith("HQ1|REFUSED|")).length, 4, heard.join("\n"));
  assert.deepEqual(rig.errors, []);
});

test("whatever a broker says, its client lives, connects anew and then gets its answers", async () => {
  const rig = await Rig.open();
  const random = seeded(4);
  let isHostile = true;
  let resets = 0;
  const told: unknown[] = [];
  const links: Link[] = [];
  class Link implements BrokerConnection {
    readonly address = "sim";
    readonly #listener: BrokerConnectionListener;
    #peer: ReturnType<Rig["peer"]> | undefined;
    constructor(listener: BrokerConnectionListener) {
      this.#listener = listener;
      links.push(this);
      this.#connect();
    }
    send(frames: Frames): boolean {
      this.#peer?.send(frames);
      return this.#peer !== undefined;
    }
    reset(): void {
      resets += 1;
      this.cut();
    }
    cut(): void {
      this.#leave();
      this.#listener.down();
      setImmediate(() => this.#connect());
    }
    async close(): Promise<void> {
      this.#leave();
    }
    #leave(): void {
      const peer = this.#peer;
      this.#peer = undefined;
      peer?.gone();
    }
    #connect(): void {
      const peer = rig.peer((frames) => {
        const said = isHostile && random() < 0.2 ? mutant(random, frames) : frames;
        setImmediate(() => this.#peer === peer && this.#listener.heard(said));
        if (!isHostile || random() > 0.1) return;
        const more = mutant(random, FROM_BROKER[Math.floor(random() * FROM_BROKER.length)]!);
        setImmediate(() => this.#peer === peer && this.#listener.heard(more));
      });
      this.#peer = peer;
      setImmediate(() => this.#peer === peer && this.#listener.up());
    }
  }
  const { clock } = rig;
  const options = {
    clock,
    url: "ipc://sim",
    connect: (_: string, listener: BrokerConnectionListener) => new Link(listener),
    log: (event: string, facts: LogFacts) => LOUD.has(event) && told.push([event, facts["error"]]),
  };
  const tasks = queue<string, string>("q", options);
  const running = worker(
    tasks,
    (text, { progress }) => {
      progress({ at: text });
      return `did ${text}`;
    },
    { signals: [], concurrency: 5, drain: 0 },
  );
  const settled: Promise<unknown>[] = [];
  const codeOf = (error: unknown): string => {
    assert.ok(error instanceof HoldfastError, `${String(error)} is an error without a code`);
    return error.code;
  };
  for (let round = 0; round < 200; round += 1) {
    settled.push(tasks.call(`${round}`, { timeout: 5000 }).catch(codeOf));
    settled.push(tasks.counts({ timeout: 1000 }).catch(codeOf), allOf(tasks.tasks({ limit: 5, timeout: 1000 })).catch(codeOf));
    settled.push(tasks.get("sim-1", { timeout: 1000 }).catch(codeOf), tasks.schedules.list({ timeout: 1000 }).catch(codeOf));
    const added = tasks.add(`added ${round}`, { timeout: 5000 });
    settled.push(added.then(async (task) => allOf(task.progress({ timeout: 5000 }))).catch(codeOf));
    for (let turn = 0; turn < 5; turn += 1) await settle();
    clock.advance(20);
    rig.service.tick();
  }
  isHostile = false;
  // A task under another's lease can be read, and holds a slot for as long as the connection lasts.
  for (const link of links) link.cut();
  for (let turn = 0; turn < 600; turn += 1) {
    await settle();
    clock.advance(20);
    rig.service.tick();
  }
  await Promise.all(settled);
  assert.ok(resets > 50, `only ${resets} connections were ended`);
  assert.equal(told.length, resets, "each is told");
  for (const [event, error] of told as [string, unknown][]) {
    assert.equal(event, "queue.broker-invalid", String((error as Error).stack));
    assert.ok(error instanceof ProtocolError);
  }
  const after = tasks.call("after", { timeout: 5000 });
  for (let turn = 0; turn < 50; turn += 1) {
    await settle();
    clock.advance(20);
    rig.service.tick();
  }
  assert.equal(await after, "did after");
  assert.deepEqual(rig.errors, []);
  void running.close();
  await tasks.close();
});
