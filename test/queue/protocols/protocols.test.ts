import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../../src/core/manual-clock.ts";
import { seeded } from "../../../src/core/random.ts";
import { CronTable } from "../../../src/queue/service/cron.ts";
import { TaskService } from "../../../src/queue/service/task-service.ts";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import { IdText } from "../../../src/queue/protocols/messages.ts";
import { ProtocolRouter } from "../../../src/queue/broker/protocol-router.ts";

/** A broker without sockets: messages go in by `say`, what each peer was sent is in `heard`. */
class Rig {
  readonly clock = new ManualClock();
  readonly service = new TaskService({ store: new MemoryStore(), clock: this.clock, random: seeded(1) });
  readonly cron = new CronTable(this.service, () => undefined);
  readonly router = new ProtocolRouter({ service: this.service, ids: new IdText("b0"), cron: this.cron });
  readonly heard = new Map<string, string[]>();

  static async open(): Promise<Rig> {
    const rig = new Rig();
    await rig.service.open();
    return rig;
  }

  /** Frames are written with | between them; \1 … are octets. Resolves to what the peer was sent since it last spoke. */
  async say(peer: string, message: string): Promise<void> {
    const frames = message.split("|").map((frame) => Buffer.from(frame, "latin1"));
    const connection = {
      peer,
      send: (sent: readonly Buffer[]) => this.of(peer).push(sent.map((frame) => frame.toString("latin1")).join("|")),
      close: (reason: string) => this.of(peer).push(`closed: ${reason}`),
    };
    this.router.receive(peer, frames, () => connection);
    await this.settle();
  }

  of(peer: string): string[] {
    let heard = this.heard.get(peer);
    if (!heard) this.heard.set(peer, (heard = []));
    return heard;
  }

  /** What the peer was sent since this was last asked. */
  news(peer: string): string[] {
    return this.of(peer).splice(0);
  }

  async settle(): Promise<void> {
    this.service.flush();
    for (let turn = 0; turn < 60; turn += 1) await Promise.resolve();
  }

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    this.service.tick();
    this.router.tick(this.clock.now());
    await this.settle();
  }
}

test("a REQ that says Ready gets the next task of the queue 'default' as one frame, held until there is one", async () => {
  const rig = await Rig.open();
  await rig.say("w", "|Ready");
  assert.deepEqual(rig.news("w"), []);
  await rig.say("p", "HQ1|ADD|1|default||Send email to ada");
  assert.deepEqual(rig.news("w"), ["|Send email to ada"]);
  assert.deepEqual(rig.news("p"), ["HQ1|ADDED|1|b0-1"]);
});

test("the next Ready acknowledges the task before, and returns its result with a second frame", async () => {
  const rig = await Rig.open();
  await rig.say("p", "HQ1|CALL|1|default||a");
  await rig.say("p", "HQ1|CALL|2|default||b");
  rig.news("p");
  await rig.say("w", "|Ready");
  await rig.say("w", "|Ready");
  assert.deepEqual(rig.news("p"), ["HQ1|ENDED|1|b0-1|done|"]);
  await rig.say("w", "|Ready|sent");
  assert.deepEqual(rig.news("p"), ["HQ1|ENDED|2|b0-2|done|sent"]);
  assert.deepEqual(rig.news("w"), ["|a", "|b"]);
});

test("a Ready connection that breaks gives its task back", async () => {
  const rig = await Rig.open();
  await rig.say("p", "HQ1|ADD|1|default||a");
  await rig.say("w", "|Ready");
  rig.router.gone("w");
  await rig.say("w2", "|Ready");
  assert.deepEqual(rig.news("w2"), ["|a"]);
});

test("a worker takes, settles and is told when that is safe", async () => {
  const rig = await Rig.open();
  await rig.say("w", "HQ1|WORK|mail|2");
  await rig.say("p", "HQ1|CALL|1|mail||a|b|c");
  assert.deepEqual(rig.news("p"), ["HQ1|ADDED|1|b0-1|b0-2|b0-3"]);
  const [first, second] = rig.news("w");
  assert.match(first!, /^HQ1\|TASK\|1\.\d+\|a\|mail\|1\|0\|b0-1$/);
  const [, , lease1] = first!.split("|");
  const [, , lease2] = second!.split("|");
  await rig.say("w", `HQ1|PROGRESS|${lease1}|half`);
  await rig.say("w", `HQ1|DONE|${lease1}|ok`);
  assert.deepEqual(rig.news("p"), ["HQ1|PROGRESS|1|b0-1|half", "HQ1|ENDED|1|b0-1|done|ok"]);
  assert.match(rig.news("w").join(), new RegExp(`TASK\\|3.*HQ1\\|KEPT\\|${lease1}$`));
  await rig.say("w", `HQ1|FAIL|${lease2}|broken|final`);
  assert.deepEqual(rig.news("p"), ["HQ1|ENDED|1|b0-2|dead|broken"]);
  await rig.say("w", `HQ1|DONE|${lease2}|late`);
  assert.match(rig.news("w").join(), new RegExp(`HQ1\\|LOST\\|${lease2}$`));
});

test("cancel stops a running task and answers when that is on disk", async () => {
  const rig = await Rig.open();
  await rig.say("w", "HQ1|WORK|q|1");
  await rig.say("p", "HQ1|CALL|1|q||a");
  rig.news("p");
  const lease = rig.news("w")[0]!.split("|")[2]!;
  await rig.say("p", "HQ1|CANCEL|2|b0-1");
  assert.deepEqual(rig.news("w"), [`HQ1|STOP|${lease}|cancelled`]);
  assert.deepEqual(rig.news("p").sort(), ["HQ1|ENDED|1|b0-1|cancelled|", "HQ1|OK|2"]);
  await rig.say("p", "HQ1|CANCEL|3|b0-1");
  assert.match(rig.news("p")[0]!, /^HQ1\|REFUSED\|3\|QUEUE_TASK_STATE\|/);
});

test("a worker that promised heartbeats and is silent for three of them loses its tasks", async () => {
  const rig = await Rig.open();
  await rig.say("w", "HQ1|WORK|q|1||1000");
  await rig.say("p", "HQ1|ADD|1|q||a");
  await rig.pass(1000);
  await rig.say("w", "HQ1|BEAT");
  await rig.pass(1000);
  await rig.pass(3000);
  assert.ok(!rig.news("w").some((message) => message.startsWith("closed")));
  await rig.pass(1000);
  assert.match(rig.news("w").at(-1)!, /^closed: no heartbeat/);
  await rig.say("w2", "HQ1|WORK|q|1");
  assert.match(rig.news("w2")[0]!, /\|a\|/);
});

test("Majordomo 0.1: client and worker exchange bodies of several frames", async () => {
  const rig = await Rig.open();
  await rig.say("w", "|MDPW01|\x01|echo");
  await rig.say("c", "|MDPC01|echo|hello|world");
  const [request] = rig.news("w");
  assert.match(request!.replace("\x02", "2"), /^\|MDPW01\|2\|1\.\d+\|\|hello\|world$/);
  const address = request!.split("|")[3]!;
  await rig.say("w", `|MDPW01|\x03|${address}||bye|world`);
  assert.deepEqual(rig.news("c"), ["|MDPC01|echo|bye|world"]);
});

test("Majordomo 0.2: partial replies come before the final one", async () => {
  const rig = await Rig.open();
  await rig.say("w", "MDPW02|\x01|echo");
  await rig.say("c", "MDPC02|\x01|echo|hello");
  const address = rig.news("w")[0]!.split("|")[2]!;
  await rig.say("w", `MDPW02|\x03|${address}||part`);
  await rig.say("w", `MDPW02|\x04|${address}||whole`);
  assert.deepEqual(rig.news("c"), ["MDPC02|\x02|echo|part", "MDPC02|\x03|echo|whole"]);
});

test("mmi.service tells whether a service has workers", async () => {
  const rig = await Rig.open();
  await rig.say("c", "|MDPC01|mmi.service|echo");
  await rig.say("w", "|MDPW01|\x01|echo");
  await rig.say("c", "|MDPC01|mmi.service|echo");
  await rig.say("c", "|MDPC01|mmi.other|echo");
  assert.deepEqual(rig.news("c"), ["|MDPC01|mmi.service|404", "|MDPC01|mmi.service|200", "|MDPC01|mmi.other|501"]);
});

test("an idle Majordomo worker that is silent is disconnected; a busy one is not", async () => {
  const rig = await Rig.open();
  await rig.say("w", "|MDPW01|\x01|echo");
  for (let second = 0; second < 9; second += 1) await rig.pass(1000);
  assert.ok(rig.news("w").every((message) => message === "|MDPW01|\x04"));
  await rig.say("w", "|MDPW01|\x04");
  await rig.say("c", "|MDPC01|echo|x");
  for (let second = 0; second < 20; second += 1) await rig.pass(1000);
  assert.ok(!rig.news("w").includes("|MDPW01|\x05"));
});

test("Majordomo, Ready and the native protocol share one queue", async () => {
  const rig = await Rig.open();
  await rig.say("c", "|MDPC01|default|from majordomo");
  await rig.say("w", "|Ready");
  assert.deepEqual(rig.news("w"), ["|from majordomo"]);
  await rig.say("w", "|Ready|thanks");
  assert.deepEqual(rig.news("c"), ["|MDPC01|default|thanks"]);
});

test("a REQ may submit, call and inspect with exactly one answer each", async () => {
  const rig = await Rig.open();
  await rig.say("r", "|HQ1|ADD|1|q||a");
  assert.deepEqual(rig.news("r"), ["|HQ1|ADDED|1|b0-1"]);
  await rig.say("r", "|HQ1|CALL|2|q||b");
  assert.deepEqual(rig.news("r"), []);
  await rig.say("w", "HQ1|WORK|q|9");
  for (const task of rig.news("w")) await rig.say("w", `HQ1|DONE|${task.split("|")[2]}|r`);
  assert.deepEqual(rig.news("r"), ["|HQ1|ENDED|2|b0-2|done|r"]);
  await rig.say("r", "|HQ1|WORK|q|1");
  assert.match(rig.news("r")[0]!, /^\|HQ1\|REFUSED/);
});

test("garbage is answered with what is wrong and harms nobody", async () => {
  const rig = await Rig.open();
  const cases = [
    "hello",
    "HQ1",
    "HQ1|NONSENSE|1",
    "HQ1|ADD",
    "HQ1|ADD|1",
    "HQ1|ADD|1|q|{|x",
    "HQ1|ADD|1|q|[]|x",
    "HQ1|DONE|x",
    "HQ1|WORK|q|-1",
  ];
  for (const [index, message] of cases.entries()) {
    await rig.say(`g${index}`, message);
    assert.match(rig.news(`g${index}`).join(), /^HQ1\|REFUSED\|/, message);
  }
  await rig.say("p", 'HQ1|ADD|1|q|{"priority":999}|x');
  assert.match(rig.news("p")[0]!, /^HQ1\|REFUSED\|1\|QUEUE_OPTIONS_INVALID\|.*priority/);
});

test("LIST and SHOW inspect; SET, PURGE and RETRY change", async () => {
  const rig = await Rig.open();
  await rig.say("p", 'HQ1|ADD|1|q|{"attempts":1}|a|b');
  await rig.say("p", "HQ1|SHOW|2|b0-1");
  const shown = JSON.parse(rig.news("p")[1]!.split("|")[3]!) as Record<string, unknown>;
  assert.deepEqual([shown["id"], shown["state"], shown["waits"]], ["b0-1", "ready", "no worker is connected to its queue"]);
  await rig.say("p", 'HQ1|SET|3|q|{"paused":true}');
  await rig.say("w", "HQ1|WORK|q|1");
  assert.deepEqual(rig.news("w"), []);
  await rig.say("p", 'HQ1|SET|4|q|{"paused":false}');
  await rig.say("w", `HQ1|FAIL|${rig.news("w")[0]!.split("|")[2]}|no`);
  await rig.say("p", 'HQ1|LIST|5|{"queue":"q","state":"dead"}');
  assert.match(rig.news("p").at(-1)!, /"id":"b0-1"/);
  await rig.say("p", "HQ1|RETRY|6|b0-1");
  assert.deepEqual(rig.news("p"), ["HQ1|OK|6"]);
  await rig.say(
    "w",
    `HQ1|FAIL|${
      rig
        .news("w")
        .find((task) => task.includes("|b|"))!
        .split("|")[2]
    }|no`,
  );
  await rig.say("p", "HQ1|PURGE|7|q|dead");
  assert.deepEqual(rig.news("p"), ['HQ1|DATA|7|{"removed":1}']);
});

test("operations on many tasks go by the error, and undo brings back", async () => {
  const rig = await Rig.open();
  interface Answer {
    readonly groups: readonly { readonly error: string; readonly count: number }[];
    readonly unread: number;
    readonly tasks: readonly { readonly id: string; readonly error: string }[];
    readonly removed: number;
    readonly undo: readonly string[];
  }
  const say = async (message: string): Promise<string> => {
    await rig.say("p", message);
    return rig.news("p").at(-1)!;
  };
  const data = async (message: string): Promise<Answer> =>
    JSON.parse((await say(message)).split("|").slice(3).join("|")) as Answer;
  await rig.say("p", 'HQ1|ADD|1|q|{"attempts":1}|a|b|c');
  await rig.say("w", "HQ1|WORK|q|3");
  const leases = rig.news("w").map((task) => task.split("|")[2]!);
  for (const [index, error] of ["no card 1", "no card 2", "no time"].entries()) {
    await rig.say("w", `HQ1|FAIL|${leases[index]}|${error}`);
  }
  const { groups, unread } = await data('HQ1|OPERATE|2|errors|{"queue":"q"}');
  assert.deepEqual([unread, groups.map(({ count }) => count)], [0, [2, 1]]);
  const { error } = groups[0]!;
  const { tasks } = await data(`HQ1|OPERATE|3|tasks|{"queue":"q","state":"dead","error":"${error}"}`);
  assert.deepEqual(
    tasks.map((task) => [task.id, task.error]),
    [
      ["b0-1", error],
      ["b0-2", error],
    ],
  );
  const { removed, undo } = await data(`HQ1|OPERATE|4|remove|{"queue":"q","state":"dead","error":"${error}","undoMs":10000}`);
  assert.equal(removed, 2);
  assert.deepEqual(await data(`HQ1|OPERATE|5|undo|{"undo":["${undo[0]}"]}`), { restored: 2 });
  assert.match(await say(`HQ1|OPERATE|6|undo|{"undo":["${undo[0]}"]}`), /REFUSED\|6\|QUEUE_TASK_STATE/);
  assert.deepEqual(await data(`HQ1|OPERATE|7|retry|{"queue":"q","error":"${error}"}`), { retried: 2 });
  assert.deepEqual(await data('HQ1|OPERATE|8|remove|{"queue":"q","state":"dead"}'), { removed: 1, undo: [] });
  for (const wrong of [
    'tasks|{"error":"x"}',
    'remove|{"queue":"q","state":"dead","undoMs":1e9}',
    'remove|{"queue":"q"}',
    'remove|{"queue":"q","state":"waiting"}',
    "retry|{}",
    'retry|{"id":"b0-1","queue":"q"}',
    'retry|{"queu":"q"}',
    'tasks|{"key":"k"}',
    "purge|{}",
    'errors|{"queue":"q"}||a body',
  ]) {
    assert.match(await say(`HQ1|OPERATE|9|${wrong}`), /REFUSED\|9\|QUEUE_OPTIONS_INVALID/, wrong);
  }
});

test("workers of every protocol are listed with what they have, and for a minute after they left", async () => {
  const rig = await Rig.open();
  await rig.say("own", "HQ1|WORK|mail|2");
  await rig.say("own", "HQ1|ADD|1|mail||letter");
  await rig.pass(1000);
  await rig.say("lecture", "|Ready");
  await rig.pass(1000);
  await rig.say("majordomo", "MDPW02|\x01|echo");
  const told = (): string[] =>
    rig.service.stats().workers.map(({ peer, dialect, queue, held, slots }) => `${peer} ${dialect} ${queue} ${held}/${slots}`);
  assert.deepEqual(told(), ["majordomo majordomo 0.2 echo 0/1", "lecture lecture default 0/1", "own own mail 1/2"]);
  const came = rig.service.stats().workers.map(({ sinceMs }) => rig.service.nowMs - sinceMs);
  assert.deepEqual(came, [0, 1000, 2000]);
  rig.router.gone("own");
  await rig.pass(1000);
  await rig.say("majordomo", "MDPW02|\x06");
  const left = rig.service.stats().workersLeft;
  assert.deepEqual(
    left.map(({ peer, lost, held, leftMs }) => [peer, lost, held, rig.service.nowMs - leftMs]),
    [
      ["majordomo", false, 0, 0],
      ["own", true, 1, 1000],
    ],
  );
  assert.deepEqual(told(), ["lecture lecture default 0/1"]);
  await rig.pass(59_000);
  assert.deepEqual(
    rig.service.stats().workersLeft.map(({ peer }) => peer),
    ["majordomo"],
  );
});
