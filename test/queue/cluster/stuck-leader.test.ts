import assert from "node:assert/strict";
import { test } from "node:test";
import type { JetStreamClient } from "@nats-io/jetstream";
import { TimeoutError } from "@nats-io/transport-node";
import { ClusterConnection } from "../../../src/store/nats/cluster-connection.ts";
import { BATCH, type EntryHead } from "../../../src/store/log/log-codec.ts";
import { GroupLog } from "../../../src/store/log/log.ts";
import { parseNatsUrl } from "../../../src/store/nats/nats-url.ts";
import { NatsServers } from "../../support/nats.ts";
import { requires } from "../../support/requires.ts";

const HEAD: EntryHead = { kind: BATCH, epoch: 1, serial: 1, writer: "0011223344556677", lastId: 0 };

/** The real cluster, but that whoever leads the log now takes no entry as long as it leads: nats-server does that by chance only. */
function withStuckLeader(connection: ClusterConnection, log: GroupLog, stuck: string): ClusterConnection {
  const publish: JetStreamClient["publish"] = async (...said) => {
    if ((await log.info()).leader === stuck) throw new TimeoutError();
    return connection.jetstream.publish(...said);
  };
  return new Proxy(connection, {
    get(target, name) {
      if (name === "jetstream") return { publish };
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

test(
  "a log whose leader on NATS answers but takes no entry is led by another within seconds",
  requires("nats-server"),
  async (t) => {
    await using servers = await NatsServers.start({ nodes: 3 });
    const connection = await ClusterConnection.open(parseNatsUrl(servers.url), "test");
    t.after(() => connection.close());
    const log = new GroupLog(connection, "queue");
    await log.open(3);
    assert.equal((await log.append(HEAD, new Uint8Array(8), 0)).kind, "written");

    const { leader } = await log.info();
    const told: string[] = [];
    const stuck = new GroupLog(withStuckLeader(connection, log, leader), "queue", (message) => void told.push(message));
    const begunMs = performance.now();
    assert.deepEqual(await stuck.append({ ...HEAD, serial: 2 }, new Uint8Array(8), 1), { kind: "written", sequence: 2 });
    const tookMs = performance.now() - begunMs;
    t.diagnostic(`written after ${tookMs.toFixed(0)} ms`);
    assert.ok(tookMs < 20_000, `${tookMs} ms`);
    assert.notEqual((await log.info()).leader, leader);
    assert.match(told[0]!, new RegExp(`^nats-server ${leader}, the leader of the log, accepts no messages`));
  },
);
