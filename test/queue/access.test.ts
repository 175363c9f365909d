import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { AccessControl } from "../../src/access/access-control.ts";
import { type OperationName, OPERATIONS } from "../../src/queue/operations/table.ts";
import { Broker, type BrokerOptions, queue, QueueClient, worker } from "../../src/queue/index.ts";
import { curveKeyPair, Dealer, Request } from "../../src/zmq/index.ts";

const FILE = {
  roles: {
    a: ["queue:*:a.*"],
    b: ["queue:*:b.*"],
    adder: ["queue:add:a.*"],
    worker: ["queue:work:a.*"],
    viewer: ["queue:see:a.*"],
    operator: ["*"],
  },
  users: {
    ann: { roles: ["a"], password: "pass-ann" },
    bob: { roles: ["b"], password: "pass-bob" },
    add: { roles: ["adder"], password: "pass-add" },
    wrk: { roles: ["worker"], password: "pass-wrk" },
    vue: { roles: ["viewer"], password: "pass-vue" },
    ops: { roles: ["operator"], password: "pass-ops" },
  },
};

function accessFile(content: object): { path: string; write: (next: object) => void } {
  const path = join(mkdtempSync(join(tmpdir(), "holdfast-access-")), "access.json");
  const write = (next: object): void => writeFileSync(path, JSON.stringify(next), { mode: 0o600 });
  write(content);
  return { path, write };
}

async function start(t: TestContext, content: object = FILE, options: BrokerOptions = {}) {
  const { path, write } = accessFile(content);
  const access = new AccessControl(path);
  const log: { event: string; facts: Record<string, unknown> }[] = [];
  const broker = new Broker({
    listen: "tcp://127.0.0.1:0",
    data: false,
    access,
    log: (event, facts) => log.push({ event, facts }),
    ...options,
  });
  await broker.listen();
  t.after(() => broker.close());
  const security = (user: string) => ({ plain: { username: user, password: `pass-${user}` } });
  const of = (name: string, user: string) => {
    const made = queue(name, { url: broker.address, security: security(user), log: false });
    t.after(() => made.close());
    return made;
  };
  const client = (user: string) => {
    const made = new QueueClient({ url: broker.address, security: security(user), log: false });
    t.after(() => made.close());
    return made;
  };
  return { broker, access, log, write, of, client, security };
}

const WAIT = { timeoutMs: 2000 };

test("a user adds to its own queues and to no other's, alone and in batches", async (t) => {
  const { of, log, access, broker } = await start(t);
  const [own, other] = [of("a.mails", "ann"), of("a.mails", "bob")];
  await own.add("x");
  await own.addMany(["y", "z"]);
  await assert.rejects(other.add("x"), { code: "ACCESS_DENIED", message: /'bob' has not the right queue:add:a\.mails/ });
  await assert.rejects(other.addMany(["x", "y"]), { code: "ACCESS_DENIED" });
  await assert.rejects(Promise.all([other.add("x"), other.add("y")]), { code: "ACCESS_DENIED" });
  await assert.rejects(other.call("x"), { code: "ACCESS_DENIED" });
  assert.deepEqual(
    broker.stats().queues.map(({ name, added }) => [name, added]),
    [["a.mails", 3]],
  );
  assert.ok(access.refused.queue >= 4);
  assert.deepEqual(log.find(({ event }) => event === "access.refused")?.facts, { user: "bob", right: "queue:add:a.mails" });
});

test("tasks go only to workers that may work on their queue", async (t) => {
  const { of, log } = await start(t);
  const wrong = worker(of("a.mails", "bob"), () => Promise.resolve("stolen"), { signals: [] });
  t.after(() => wrong.close());
  while (!log.some(({ event, facts }) => event === "access.refused" && facts["right"] === "queue:work:a.mails"))
    await new Promise((resolve) => setTimeout(resolve, 5));
  const right = worker(of("a.mails", "wrk"), (body) => Promise.resolve(`done ${String(body)}`), { signals: [] });
  t.after(() => right.close());
  const results = await Promise.all(["x", "y", "z"].map((body) => of("a.mails", "add").call(body)));
  assert.deepEqual(results, ["done x", "done y", "done z"]);
});

/** What could be asked of a task or a queue of others; `{}` where an operation names neither. */
function asked(name: OperationName, id: string): object {
  const inputs: Partial<Record<OperationName, object>> = {
    retry: { id },
    cancel: { id },
    promote: { id },
    remove: { id },
    signal: { id, name: "go" },
    update: { id, priority: 3 },
    undo: { undo: ["1-1"] },
    addFlow: {},
    upsertSchedule: { name: "nightly", queue: "a.mails", expression: "0 3 * * *" },
    removeSchedule: { name: "nightly" },
    events: { queue: "a.mails", after: "oldest" },
    tasks: { queue: "a.mails" },
    queues: { queue: "a.mails" },
    workers: { queue: "a.mails" },
    schedules: { queue: "a.mails" },
  };
  const fields = OPERATIONS[name].input.fields ?? {};
  return inputs[name] ?? ("id" in fields ? { id } : "queue" in fields ? { queue: "a.mails" } : {});
}

test("no operation tells one tenant of another's tasks, or changes them", async (t) => {
  const { of, client, broker } = await start(t);
  const { id } = await of("a.mails", "ann").add("secret-of-a");
  await client("ann").operate("upsertSchedule", { name: "nightly", queue: "a.mails", expression: "0 3 * * *" }, WAIT);
  await of("b.mails", "bob").add("own");
  const bob = client("bob");
  const flow = Buffer.from(JSON.stringify([{ queue: "a.mails", body: "x" }]));
  for (const name of Object.keys(OPERATIONS) as OperationName[]) {
    const body = name === "addFlow" ? flow : undefined;
    await assert.rejects(
      bob.operate(name, asked(name, id) as never, { ...WAIT, body }),
      (error: Error & { code: string }) => {
        assert.ok(["ACCESS_DENIED", "QUEUE_TASK_UNKNOWN"].includes(error.code), `${name}: ${error.code} ${error.message}`);
        return true;
      },
      name,
    );
    // With no queue named there are only one's own.
    if (!["tasks", "queues", "workers", "schedules", "events"].includes(name)) continue;
    const { value } = await bob.operate(name, (name === "events" ? { after: "oldest" } : {}) as never, WAIT);
    assert.doesNotMatch(JSON.stringify(value), /a\.mails|secret|nightly/, name);
  }
  const { queues } = broker.stats();
  assert.deepEqual(queues.find(({ name }) => name === "a.mails")?.states.waiting, 1);
  assert.equal((await client("ann").operate("schedules", {}, WAIT)).value.schedules.length, 1);
});

test("who sees one queue of many finds its tasks, on every page and with every filter", async (t) => {
  const { of, client } = await start(t);
  for (let n = 0; n < 30; n += 1) {
    await of("a.mails", "ann").add({ n });
    await of("b.mails", "bob").add({ n });
  }
  const bob = client("bob");
  const found: string[] = [];
  let after: string | undefined;
  do {
    const { value } = await bob.operate("tasks", { limit: 7, ...(after !== undefined && { after }) }, WAIT);
    found.push(...value.tasks.map((task) => task.queue));
    after = value.next;
  } while (after !== undefined);
  assert.deepEqual(found, Array<string>(30).fill("b.mails"));
  const { value } = await bob.operate("tasks", { where: ["n=3"] }, WAIT);
  assert.deepEqual([value.tasks.map((task) => task.queue), value.of], [["b.mails"], 30]);
});

test("who works on a queue may read what a task waited for, and who adds may wait for its result", async (t) => {
  const { of, client } = await start(t);
  const { id } = await of("a.mails", "add").add("x");
  await assert.rejects(client("wrk").operate("get", { id: id }, WAIT), { code: "QUEUE_TASK_UNKNOWN" });
  await assert.rejects(client("add").operate("get", { id: id }, WAIT), { code: "QUEUE_TASK_UNKNOWN" });
  assert.deepEqual((await client("wrk").operate("parents", { id: id }, WAIT)).value.parents, []);
  const right = worker(of("a.mails", "wrk"), () => Promise.resolve("done"), { signals: [] });
  t.after(() => right.close());
  assert.equal((await client("add").watch(id, {}, WAIT)).state, "completed");
  assert.equal((await client("bob").watch(id, {}, WAIT)).state, "unknown");
});

test("a task waits for no task that its adder may not know of", async (t) => {
  const { of } = await start(t);
  const { id } = await of("a.mails", "ann").add("x");
  await assert.rejects(of("b.mails", "bob").add("y", { after: [id] }), (error: Error) =>
    /after|known|task/i.test(error.message),
  );
  await of("a.other", "ann").add("y", { after: [id] });
});

test("who only sees changes nothing, and is told so", async (t) => {
  const { of, client } = await start(t);
  const { id } = await of("a.mails", "ann").add("x");
  const viewer = client("vue");
  assert.equal((await viewer.operate("get", { id }, WAIT)).value.queue, "a.mails");
  await assert.rejects(viewer.operate("cancel", { id }, WAIT), { code: "ACCESS_DENIED" });
  await assert.rejects(of("a.mails", "vue").cancel(id), { code: "ACCESS_DENIED" });
  await assert.rejects(viewer.operate("pause", { queue: "a.mails" }, WAIT), { code: "ACCESS_DENIED" });
  await assert.rejects(viewer.operate("drain", { queue: "a.mails" }, WAIT), { code: "ACCESS_DENIED" });
});

test("the log says which user had what done", async (t) => {
  const { of, client, log } = await start(t);
  const { id } = await of("a.mails", "ann").add("x");
  await client("ops").operate("pause", { queue: "a.mails" }, WAIT);
  await of("a.mails", "ann").cancel(id);
  await client("ann").operate("remove", { queue: "a.mails", state: "cancelled" }, WAIT);
  const did = log.filter(({ event }) => event === "queue.operation").map(({ facts }) => [facts["user"], facts["operation"]]);
  assert.deepEqual(did, [
    ["ops", "pause"],
    ["ann", "cancel"],
    ["ann", "remove"],
  ]);
});

test("whose rights change while it is connected begins anew with what it may now", async (t) => {
  const { of, access, write, log } = await start(t);
  const own = of("a.mails", "ann");
  await own.add("x");
  await of("b.mails", "bob").add("x");
  write({ ...FILE, users: { ...FILE.users, ann: { ...FILE.users.ann, roles: ["b"] } } });
  access.reload();
  await assert.rejects(own.add("y"), { code: "ACCESS_DENIED" });
  await of("b.mails", "ann").add("y");
  const cut = log.filter(({ event, facts }) => event === "queue.peer-cut" && facts["reason"] === "its rights have changed");
  assert.equal(cut.length, 1);
});

test("a user that is removed is out, and cannot come in again", async (t) => {
  const { of, access, write } = await start(t);
  const own = of("a.mails", "ann");
  await own.add("x");
  const { ann: _, ...users } = FILE.users;
  write({ ...FILE, users });
  access.reload();
  await assert.rejects(own.add("y", { timeout: 300 }), { code: "QUEUE_UNREACHABLE" });
});

test("a client of version 0.1, and the lecture's and Majordomo's protocols, get what their user may", async (t) => {
  const { broker, log } = await start(t, {
    roles: { visitor: ["queue:add:open", "queue:work:open"] },
    users: { "*": { roles: ["visitor"] } },
  });
  const refused = (right: string): boolean =>
    log.some(({ event, facts }) => event === "access.refused" && facts["user"] === "*" && facts["right"] === right);
  const until = async (right: string): Promise<void> => {
    while (!refused(right)) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const ready = new Request({ linger: 0 });
  ready.connect(broker.address);
  await ready.send("Ready");
  await until("queue:work:default");
  await ready.close();
  const majordomo = new Dealer({ linger: 0 });
  majordomo.connect(broker.address);
  await majordomo.send(["", "MDPC01", "closed", "body"]);
  await until("queue:add:closed");
  await majordomo.close();
  const mdpWorker = new Dealer({ linger: 0 });
  mdpWorker.connect(broker.address);
  await mdpWorker.send(["", "MDPW01", Buffer.from([1]), "closed"]);
  await until("queue:work:closed");
  await mdpWorker.close();
  const old = new Request({ linger: 0, receiveTimeout: 2000 });
  t.after(() => old.close());
  old.connect(broker.address);
  for (const [verb, ...rest] of [["STATS"], ["LIST", "{}"], ["PURGE", "open", "done"], ["CRON"], ["SHOW", "x"]] as const) {
    await old.send(["HQ1", verb, "7", ...rest]);
    const answer = (await old.receive()).map(String);
    assert.deepEqual(answer.slice(0, 4), ["HQ1", "REFUSED", "7", "ACCESS_DENIED"], verb);
  }
  assert.deepEqual(broker.stats().queues, []);
});

test("without '*' in the file who has no name does not get in", async (t) => {
  const { broker } = await start(t, { roles: { all: ["*"] }, users: { ann: { roles: ["all"], curveKey: "x".repeat(40) } } });
  const open = queue("q", { url: broker.address, log: false });
  t.after(() => open.close());
  await assert.rejects(open.add("x", { timeout: 300 }), { code: "QUEUE_UNREACHABLE" });
});

test("a CURVE key is its user; a key of nobody is '*'", async (t) => {
  const [server, ann, stranger] = [curveKeyPair(), curveKeyPair(), curveKeyPair()];
  const content = {
    roles: { a: ["queue:*:a.*"], visitor: ["queue:add:feedback"] },
    users: { ann: { roles: ["a"], curveKey: ann.publicKey }, "*": { roles: ["visitor"] } },
  };
  const { broker } = await start(t, content, { security: { curve: server } });
  const of = (name: string, keys: { publicKey: string; secretKey: string }) => {
    const security = { curve: { ...keys, serverKey: server.publicKey } };
    const made = queue(name, { url: broker.address, security, log: false });
    t.after(() => made.close());
    return made;
  };
  await of("a.mails", ann).add("x");
  await of("feedback", ann).add("x");
  await of("feedback", stranger).add("x");
  await assert.rejects(of("a.mails", stranger).add("x"), { code: "ACCESS_DENIED", message: /'\*'/ });
});

test("a peer that comes under another user's routing id gets nothing that is meant for it", async (t) => {
  const { broker } = await start(t);
  const dealer = (user: string): Dealer => {
    const made = new Dealer({
      routingId: "the-same",
      linger: 0,
      receiveTimeout: 500,
      plainUsername: user,
      plainPassword: `pass-${user}`,
    });
    made.connect(broker.address);
    t.after(() => made.close());
    return made;
  };
  const ann = dealer("ann");
  await ann.send(["HQ1", "CALL", "1", "a.mails", "", "for-ann"]);
  assert.equal((await ann.receive()).map(String)[1], "ADDED");
  const bob = dealer("bob");
  await bob.send(["HQ1", "HELLO", "9", "{}"]);
  await bob.send(["HQ1", "ADD", "2", "a.mails", "", "x"]);
  await assert.rejects(bob.receive());
  await ann.send(["HQ1", "ADD", "3", "a.mails", "", "y"]);
  assert.equal((await ann.receive()).map(String)[1], "ADDED");
});
