import assert from "node:assert/strict";
import { test } from "node:test";
import { Broker, queue } from "../../src/queue/index.ts";
import { curveKeyPair } from "../../src/zmq/index.ts";

test("a broker with PLAIN accepts clients with the password only", async (t) => {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false, security: { plain: { ada: "secret" } } });
  await broker.listen();
  t.after(() => broker.close());
  const right = queue("q", { url: broker.address, security: { plain: { username: "ada", password: "secret" } } });
  const wrong = queue("q", { url: broker.address, security: { plain: { username: "ada", password: "guess" } } });
  const open = queue("q", { url: broker.address });
  t.after(() => Promise.all([right.close(), wrong.close(), open.close()]));
  await right.add("x");
  await assert.rejects(wrong.add("x", { timeout: 300 }), { code: "QUEUE_UNREACHABLE" });
  await assert.rejects(open.add("x", { timeout: 300 }), { code: "QUEUE_UNREACHABLE" });
});

test("a broker with CURVE accepts the clients whose keys it knows", async (t) => {
  const [server, friend, stranger] = [curveKeyPair(), curveKeyPair(), curveKeyPair()];
  const broker = new Broker({
    listen: "tcp://127.0.0.1:0",
    data: false,
    security: { curve: { ...server, clients: [friend.publicKey] } },
  });
  await broker.listen();
  t.after(() => broker.close());
  const connect = (keys: { publicKey: string; secretKey: string }) =>
    queue("q", { url: broker.address, security: { curve: { ...keys, serverKey: server.publicKey } } });
  const [known, unknown] = [connect(friend), connect(stranger)];
  t.after(() => Promise.all([known.close(), unknown.close()]));
  await known.add("x");
  await assert.rejects(unknown.add("x", { timeout: 300 }), { code: "QUEUE_UNREACHABLE" });
});
