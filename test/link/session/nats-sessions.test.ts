/** Sessions on NATS: of the servers with one log one takes clients, and the next goes on with its sessions. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { suite, test } from "node:test";
import type { TestContext } from "node:test";
import { connect, listen } from "../../../src/link/index.ts";
import type { SessionServer } from "../../../src/link/index.ts";
import { NatsServers } from "../../support/nats.ts";
import { requires } from "../../support/requires.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

interface Group {
  readonly nats: NatsServers;
  readonly servers: readonly SessionServer[];
  readonly addresses: readonly string[];
  readonly got: string[];
  readonly wills: string[];
  /** The one that takes clients, once there is one. */
  leader(): Promise<SessionServer>;
}

async function group(t: TestContext, count = 2): Promise<Group> {
  const nats = await NatsServers.start();
  t.after(() => nats[Symbol.asyncDispose]());
  const got: string[] = [];
  const wills: string[] = [];
  const servers: SessionServer[] = [];
  for (let each = 0; each < count; each += 1) {
    const server = await listen({
      port: 0,
      session: { store: nats.url, willDelay: "4s", onMessage: (_session, message) => void got.push(text(message)) },
    });
    server.on("will", (_session, will) => wills.push(text(will)));
    t.after(() => server.close());
    servers.push(server);
  }
  const leader = async (): Promise<SessionServer> => {
    const led = servers.find(({ leading }) => leading);
    if (led) return led;
    await Promise.race(servers.map((server) => once(server, "leading")));
    return leader();
  };
  return { nats, servers, addresses: servers.map(({ port }) => `127.0.0.1:${port}`), got, wills, leader };
}

suite("sessions on NATS", { ...requires("nats-server"), timeout: 60_000 }, () => {
  test("a session goes on with the next server when its own closes, with what waits for it and without a will", async (t) => {
    const { servers, addresses, got, wills, leader } = await group(t);
    const first = await leader();
    const next = servers.find((server) => server !== first)!;
    assert.deepEqual([next.leading, next.address, next.port > 0], [false, "", true], "it knows its port and does not listen");
    await assert.rejects(connect({ port: next.port, session: {}, reconnect: false }), { code: "LINK_ENDED" });

    const heard: string[] = [];
    const session = { name: "pump", will: "lost", onMessage: (message: Uint8Array) => void heard.push(text(message)) };
    const client = await connect({ addresses, session, reconnect: { base: 5, cap: 50 } });
    t.after(() => client.close());
    await once(client, "open");
    await client.send("1");
    const closed = first.close();
    const sent = client.send("2");
    const [how] = (await once(client, "open")) as [{ resumed: boolean }];
    await Promise.all([closed, sent]);
    assert.equal(how.resumed, true);
    assert.equal(await leader(), next);
    await next.session("pump")!.send("command");
    assert.deepEqual([got, heard, wills], [["1", "2"], ["command"], []]);
  });

  test("while no NATS server is there nobody takes clients; then the session goes on", async (t) => {
    const { nats, addresses, got, leader } = await group(t);
    const client = await connect({ addresses, session: { name: "pump" }, reconnect: { base: 5, cap: 50 } });
    t.after(() => client.close());
    await leader();
    await client.send("1");
    const first = await leader();
    const troubles: string[] = [];
    first.on("store", (trouble) => trouble && troubles.push(trouble.code));
    const [node] = nats.nodes;
    await node!.kill();
    const sent = client.send("2");
    while (first.leading) await once(first, "leading");
    assert.equal(first.address, "");
    node!.start();
    await sent;
    assert.deepEqual(got, ["1", "2"]);
    assert.ok(troubles.length > 0 && troubles.every((code) => code === "QUEUE_STORE_UNAVAILABLE"), troubles.join());
  });

  test("a client by WebSocket is answered 503 by a server that stands by", async (t) => {
    const { servers, leader } = await group(t);
    const first = await leader();
    const next = servers.find((server) => server !== first)!;
    const http = createServer();
    next.attach(http, { path: "/link" });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    t.after(() => http.close());
    const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/link`;
    await assert.rejects(connect({ url, session: {}, reconnect: false }), /503/);
  });

  test("a port that is taken is told at once", async (t) => {
    const { nats, leader } = await group(t, 1);
    const { port } = await leader();
    await assert.rejects(listen({ port, session: { store: nats.url } }), { code: "EADDRINUSE" });
  });
});
