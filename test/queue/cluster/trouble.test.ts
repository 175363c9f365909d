import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Dashboard } from "../../../src/dashboard/index.ts";
import { Broker, queue, worker } from "../../../src/queue/index.ts";
import { ClusterConnection } from "../../../src/store/nats/cluster-connection.ts";
import { BATCH } from "../../../src/store/log/log-codec.ts";
import { GroupLog } from "../../../src/store/log/log.ts";
import { parseNatsUrl } from "../../../src/store/nats/nats-url.ts";
import { Holdfast } from "../../support/holdfast.ts";
import { type NatsOptions, NatsServers } from "../../support/nats.ts";
import { requires } from "../../support/requires.ts";

const peers = requires("nats-server");

async function start(t: TestContext, options: NatsOptions = {}): Promise<NatsServers> {
  const servers = await NatsServers.start(options);
  t.after(() => servers[Symbol.asyncDispose]());
  return servers;
}

function broker(t: TestContext, store: string, told: string[] = []): Broker {
  const log = (event: string, facts: object): void => void told.push(`${event} ${JSON.stringify(facts)}`);
  const made = new Broker({ listen: "tcp://127.0.0.1:0", data: false, store, log });
  t.after(() => made.close());
  return made;
}

test("an address of NATS that cannot be read is refused before anything is touched, without the password", () => {
  const refused = (store: string, message: RegExp): void =>
    assert.throws(() => new Broker({ store }), { name: "UsageError", code: "QUEUE_OPTIONS_INVALID", message });
  refused("redis://host", /write nats:\/\/HOST:4222/);
  refused("nats://u:secret@host:99999", /^Cannot use the store nats:\/\/…@host:99999: 'host:99999' is not HOST:PORT/);
  refused("nats://host?replicas=9", /replicas are 1 to 5/);
  refused("nats://host?group=a.b", /a group's name has/);
  refused("nats://host?sync=always", /'sync' is not known/);
});

test(
  "a wrong password, nobody there, no JetStream, a forbidden subject: each is told in a sentence with a code",
  peers,
  async (t) => {
    const free = { user: "free", password: "right" };
    const bound = { user: "bound", password: "right", permissions: { publish: { deny: ["$JS.API.STREAM.CREATE.>"] } } };
    const servers = await start(t, { users: [free, bound] });
    const fails = async (store: string, code: string, message: RegExp): Promise<void> =>
      assert.rejects(broker(t, store).listen(), { code, message });
    await fails(servers.urlFor({ ...free, password: "wrong" }), "QUEUE_STORE_DENIED", /refuses the user, password or token/);
    await fails(servers.urlFor(undefined), "QUEUE_STORE_DENIED", /refuses the user, password or token/);
    await fails(
      servers.urlFor(bound),
      "QUEUE_STORE_DENIED",
      /the NATS user is not permitted to publish to '\$JS\.API\.STREAM\.CREATE\.HOLDFAST_queue'/,
    );
    await fails("nats://127.0.0.1:1", "QUEUE_STORE_UNAVAILABLE", /Cannot use the NATS servers 127\.0\.0\.1:1/);
    await fails(`${servers.url}?replicas=3`, "QUEUE_STORE_UNAVAILABLE", /not enough NATS servers for the requested replicas/);
    const plain = await start(t, { jetstream: false });
    await fails(plain.url, "QUEUE_STORE_UNAVAILABLE", /JetStream does not answer; nats-server has it with -js/);
  },
);

test("what docs/scale.md says a NATS user must be allowed is enough", peers, async (t) => {
  const text = await readFile(join(import.meta.dirname, "../../../docs/scale.md"), "utf8");
  const listed = (after: string): string[] => {
    const table = text.slice(text.indexOf(`| ${after}`)).split("\n\n", 1)[0]!;
    return table
      .split("\n")
      .flatMap((row) => [...(row.split(" | ")[0] ?? "").matchAll(/`([^`]+)`/g)].map(([, subject]) => subject!));
  };
  const [publish, subscribe] = [{ allow: listed("publish to") }, { allow: listed("subscribe to") }];
  assert.ok(publish.allow.length >= 10 && subscribe.allow.length === 2);
  const servers = await start(t, { users: [{ user: "bound", password: "right", permissions: { publish, subscribe } }] });
  const told: string[] = [];
  const brokers = [broker(t, servers.url, told), broker(t, servers.url, told)];
  for (const each of brokers) await each.listen();
  for (const { address } of brokers) {
    const jobs = queue<string, string>("jobs", { url: address });
    const runner = worker(jobs, (text) => `did ${text}`, { signals: [] });
    assert.equal(await jobs.call("one"), "did one");
    await runner.close();
    await jobs.close();
  }
  const connection = await ClusterConnection.open(parseNatsUrl(servers.url), "test");
  const denied: unknown[] = [];
  connection.listen((event) => event.kind === "error" && denied.push(event.error));
  const log = new GroupLog(connection, "queue");
  await log.purgeBefore(1);
  // Of a stream without replicas nobody else can lead: refused, but not for want of a permission.
  await connection.nats.request("$JS.API.STREAM.LEADER.STEPDOWN.HOLDFAST_queue", undefined, { timeout: 2000 });
  await sleep(100);
  await connection.close();
  assert.deepEqual(denied, []);
  for (const each of brokers) await each.close();
  assert.ok(!told.some((line) => /violation|may not/i.test(line)), told.join("\n"));
});

test("a broker that starts while the cluster has no leader waits until it has one", peers, async (t) => {
  const servers = await start(t, { nodes: 3 });
  const [first, ...others] = servers.nodes;
  await Promise.all(others.map((node) => node.kill()));
  const isLeaderless = async (): Promise<boolean> => {
    const cluster = (await first!.report())?.meta_cluster;
    return cluster !== undefined && cluster.leader === undefined;
  };
  while (!(await isLeaderless())) await sleep(50);
  const front = broker(t, `nats://127.0.0.1:${first!.port}?replicas=3`);
  const listening = front.listen();
  assert.equal(await Promise.race([listening, sleep(1000, "waits")]), "waits");
  for (const node of others) node.start();
  await listening;
  const jobs = queue<string, string>("jobs", { url: front.address });
  t.after(() => jobs.close());
  await jobs.add("one");
});

test("of brokers that start at once on an empty cluster one writes first, and that is not lost", peers, async (t) => {
  const servers = await start(t, { nodes: 3 });
  const url = parseNatsUrl(servers.url);
  const connections = await Promise.all([1, 2, 3].map((name) => ClusterConnection.open(url, `${name}`)));
  t.after(() => Promise.all(connections.map((connection) => connection.close())));
  const begin = async (group: string): Promise<void> => {
    const appended = connections.map(async (connection, index) => {
      const log = new GroupLog(connection, group);
      await log.open(3);
      const head = { kind: BATCH, epoch: 1, serial: 1, writer: `000000000000000${index}`, lastId: 0 } as const;
      return (await log.append(head, new Uint8Array(8), 0)).kind;
    });
    assert.deepEqual((await Promise.all(appended)).sort(), ["fenced", "fenced", "written"]);
    assert.equal((await new GroupLog(connections[0]!, group).info()).lastSequence, 1);
  };
  await Promise.all(Array.from({ length: 24 }, (_, index) => begin(`g${index}`)));
});

test(
  "while NATS is away new tasks are refused and nothing is lost; when it is back all goes on without a restart",
  peers,
  async (t) => {
    const servers = await start(t);
    const told: string[] = [];
    const front = broker(t, servers.url, told);
    await front.listen();
    const jobs = queue<string, string>("jobs", { url: front.address });
    t.after(() => jobs.close());
    const begun = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const runner = worker(jobs, async (text) => (begun.resolve(), await go.promise, `did ${text}`), { signals: [] });
    t.after(() => runner.close());
    const early = jobs.call("before", { timeout: "30s" });
    await begun.promise;
    await servers.nodes[0]!.kill();
    // The result is kept back; a submission behind it is held for two seconds, then refused, and the next ones at once.
    go.resolve();
    await sleep(200);
    await assert.rejects(jobs.add("refused", { timeout: "30s" }), { code: "QUEUE_STORE_UNAVAILABLE" });
    await assert.rejects(jobs.add("refused at once", { timeout: 500 }), { code: "QUEUE_STORE_UNAVAILABLE" });
    assert.equal(front.stats().cluster!.connected, false);
    assert.match(front.stats().storeTrouble!, /no answer within 2000 ms/);
    servers.nodes[0]!.start();
    assert.equal(await early, "did before");
    assert.equal(await jobs.call("after", { timeout: "20s" }), "did after");
    assert.equal(front.stats().storeTrouble, undefined);
    assert.match(told.join("\n"), /queue\.nats-down[^]*queue\.nats-up/);
  },
);

test(
  "when the log's bound is near new tasks are refused, those accepted are done all the same, and then there is room again",
  peers,
  async (t) => {
    const servers = await start(t);
    const connection = await ClusterConnection.open(parseNatsUrl(servers.url), "test");
    await connection.manager.streams.add({
      name: "HOLDFAST_queue",
      subjects: ["holdfast.queue.log"],
      max_bytes: 3_000_000,
      discard: "new",
    });
    await connection.close();
    const front = broker(t, servers.url);
    await front.listen();
    const jobs = queue<string, number>("jobs", { url: front.address });
    t.after(() => jobs.close());
    const accepted: string[] = [];
    const body = "x".repeat(20_000);
    const fill = async (): Promise<void> => {
      for (;;) accepted.push((await jobs.add(body + accepted.length, { timeout: "20s" })).id);
    };
    await assert.rejects(fill(), {
      code: "QUEUE_STORE_UNAVAILABLE",
      message: /log is nearly full; the rest is reserved for results/,
    });
    assert.ok(accepted.length > 20, `${accepted.length} were accepted`);
    const runner = worker(jobs, (text) => Number(text.slice(body.length)), { signals: [], concurrency: 4 });
    const results = await Promise.all(accepted.map((id) => jobs.task(id).result({ timeout: "20s" })));
    assert.deepEqual(
      results,
      results.map((_, index) => index),
    );
    // The bodies are garbage now; a round of compaction makes room.
    const again = async (): Promise<void> => {
      for (let tries = 0; tries < 100; tries += 1) {
        try {
          await jobs.add(body + 0, { timeout: "20s" });
          return;
        } catch {
          await sleep(50);
        }
      }
      assert.fail("no room came");
    };
    await again();
    await runner.close();
  },
);

test("a broker of a group tells its part in holdfast stats and in its metrics", peers, async (t) => {
  const servers = await start(t);
  const front = broker(t, servers.url);
  await front.listen();
  const dashboard = new Dashboard({ listen: "127.0.0.1:0", queue: front });
  await dashboard.listen();
  t.after(() => dashboard.close());
  const metrics = await (await fetch(`http://${dashboard.address}/metrics`)).text();
  assert.match(metrics, /^holdfast_queue_leading 1$/m);
  assert.match(metrics, /^holdfast_queue_log_lag 0$/m);
  const stats = new Holdfast(["stats", "--dashboard", dashboard.address]);
  await stats.printed(/group +queue: leading; term 1, log \d+/);
  await stats.ended();
});
