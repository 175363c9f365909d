import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { NatsServers } from "../../support/nats.ts";
import { requires } from "../../support/requires.ts";

const STREAM = { name: "S", subjects: ["s"] };

test("three nats-servers take a stream of three replicas as soon as they are ready", requires("nats-server"), async () => {
  await using nats = await NatsServers.start({ nodes: 3 });
  const connection = await connect({ servers: nats.hosts });
  try {
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ ...STREAM, num_replicas: 3 });
    assert.equal((await jetstream(connection).publish("s", "one")).seq, 1);
    assert.ok((await nats.streamLeader("S")).isRunning);
    assert.ok((await nats.metaLeader()).isRunning);
  } finally {
    await connection.close();
  }
});

test(
  "a nats-server asks for its user's password, holds what its bound allows, and stops and goes on",
  requires("nats-server"),
  async () => {
    const users = [
      { user: "all", password: "secret" },
      { user: "few", password: "secret", permissions: { publish: { deny: ["$JS.API.STREAM.CREATE.>"] } } },
    ];
    await using nats = await NatsServers.start({ users, maxStoreBytes: 1024 ** 2 });
    await assert.rejects(connect({ servers: nats.hosts, reconnect: false }), /Authorization/i);
    const connection = await connect({ servers: nats.hosts, user: "all", pass: "secret" });
    try {
      const manager = await jetstreamManager(connection);
      await manager.streams.add(STREAM);
      const client = jetstream(connection);
      const fill = async (): Promise<void> => {
        for (let count = 0; count < 20; count += 1) await client.publish("s", new Uint8Array(100_000));
      };
      await assert.rejects(fill(), /insufficient|maximum bytes|resource limits/i);
      const [node] = nats.nodes;
      await node!.stop();
      await assert.rejects(client.publish("s", "stopped", { timeout: 300 }), /timeout/i);
      node!.continue();
      assert.equal(await node!.isReady({ jetstream: true }), true);
    } finally {
      await connection.close();
    }
  },
);
