import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Broker, queue, worker } from "../../../src/queue/index.ts";
import { ClusterConnection } from "../../../src/store/nats/cluster-connection.ts";
import { SURE_MS } from "../../../src/store/log/election.ts";
import { GroupBus } from "../../../src/queue/cluster/group-bus.ts";
import { LogFollower } from "../../../src/store/log/log-follower.ts";
import { parseNatsUrl } from "../../../src/store/nats/nats-url.ts";
import { NatsServers } from "../../support/nats.ts";
import { requires } from "../../support/requires.ts";

const peers = requires("nats-server");

/** A NATS server and a broker that leads on it. */
async function start(t: TestContext): Promise<{ broker: Broker; url: string; told: string[] }> {
  const servers = await NatsServers.start();
  t.after(() => servers[Symbol.asyncDispose]());
  const told: string[] = [];
  const broker = new Broker({
    listen: "tcp://127.0.0.1:0",
    data: false,
    store: servers.url,
    log: (event) => void told.push(event),
  });
  t.after(() => broker.close());
  await broker.listen();
  return { broker, url: servers.url, told };
}

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 300 && !holds(); tries += 1) await sleep(10);
  assert.ok(holds());
}

/** Writes "I lead" behind all that the log holds, as a broker does that hears nothing of the leader. */
async function takeLead(follower: LogFollower): Promise<void> {
  for (let tries = 0; tries < 20; tries += 1) {
    await follower.follow();
    await sleep(50);
    if (await follower.lead({}, () => {})) return;
  }
  assert.fail("it could not lead");
}

test("a leader that stood still and hears a later one steps down at once, with nothing to write", peers, async (t) => {
  const { broker, url, told } = await start(t);
  const where = parseNatsUrl(url);
  const other = await LogFollower.open({ url: where }, {});
  t.after(() => other.close());
  await takeLead(other);
  assert.ok(!told.includes("queue.leader-lost"), "it has not heard of it yet");
  const { writer, replica } = other;
  const nothing = (): void => {};
  const bus = new GroupBus(other.connection, where.group, writer, {
    heartbeat: nothing,
    toCore: nothing,
    toPeerRelay: nothing,
    trouble: nothing,
  });
  bus.heartbeat({ kind: "leading", writer, epoch: replica.epoch, ready: false, sequence: other.seen, broker: "", address: "" });
  await until(() => told.includes("queue.leader-lost"));
  assert.equal(broker.stats().cluster!.role, "following");
  bus.close();
});

test("a leader that could not confirm its lead gives nothing out, and goes on when it can", peers, async (t) => {
  const { broker, url } = await start(t);
  const jobs = queue<string, string>("jobs", { url: broker.address });
  t.after(() => jobs.close());
  const task = await jobs.add("one");
  const connection = await ClusterConnection.open(parseNatsUrl(url), "test");
  t.after(() => connection.close());
  const { streams } = connection.manager;
  const { state } = await streams.info("HOLDFAST_queue");
  await streams.update("HOLDFAST_queue", { max_msgs: state.messages });
  // Its last append says nothing any more of who leads now.
  await sleep(SURE_MS + 100);
  let begun = 0;
  const runner = worker(jobs, (text) => ((begun += 1), `did ${text}`), { signals: [] });
  t.after(() => runner.close());
  await until(() => broker.stats().workers.length === 1);
  await sleep(3 * SURE_MS);
  assert.equal(begun, 0);
  await streams.update("HOLDFAST_queue", { max_msgs: -1 });
  assert.equal(await task.result({ timeout: "10s" }), "did one");
});
