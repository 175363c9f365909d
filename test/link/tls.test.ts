/** Both modes over TLS, with keep-alive set and read back under it, and client certificates as identity. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectSocket } from "node:net";
import { test } from "node:test";
import { connect, listen } from "../../src/link/index.ts";
import type { SessionClient } from "../../src/link/index.ts";
import { requires } from "../support/requires.ts";
import { makeCertificates } from "./support/certificates.ts";

const { skip } = requires("openssl");
const certificates = skip === false ? makeCertificates() : undefined;

test("byte mode over TLS carries bytes, and its keep-alive reads back as 5 s, 10 s, 3", { skip }, async (t) => {
  const { ca, server: own } = certificates!;
  const server = await listen({ port: 0, tls: own });
  t.after(() => server.close());
  const opened = once(server, "open");
  const bytes = once(server, "bytes");
  const client = await connect({ port: server.port, tls: { ca } });
  t.after(() => client.close());
  await client.send("hello");
  const [, report] = await opened;
  assert.deepEqual(report.actual, { idleMs: 5000, intervalMs: 10_000, count: 3, userTimeoutMs: 34_000 });
  assert.deepEqual(report.warnings, []);
  assert.equal(String((await bytes)[1]), "hello");
  assert.deepEqual(client.stats()!.keepAlive, { on: true, ...report.actual });
});

test(
  "with client certificates, a name belongs to the certificate's subject, also when that is renewed",
  { skip },
  async (t) => {
    const { ca, server: own, client: mine, renewed } = certificates!;
    const got: string[] = [];
    const server = await listen({
      port: 0,
      tls: { ...own, ca, requestCert: true },
      session: { onMessage: (_session, message) => void got.push(Buffer.from(message).toString()) },
    });
    t.after(() => server.close());
    await assert.rejects(connect({ port: server.port, tls: { ca }, session: {}, reconnect: false }), { code: "LINK_ENDED" });
    const client = await connect({
      port: server.port,
      tls: { ca, ...mine },
      session: { name: "sensor" },
      reconnect: { base: 1, cap: 5 },
    });
    t.after(() => client.close());
    await client.send("one");
    const [session] = server.sessions;
    assert.equal(session!.certificate, "CN=client; DNS:localhost, IP Address:127.0.0.1; CN=test authority");
    const resumed = once(client, "open");
    session!.connection!.transport.destroy();
    await client.send("two");
    assert.equal((await resumed)[0].resumed, true);
    assert.deepEqual(got, ["one", "two"]);
    // The server's own certificate is the same authority's, and somebody else's.
    const as = (pair: { key: Buffer; cert: Buffer }): Promise<SessionClient> =>
      connect({ port: server.port, tls: { ca, ...pair }, session: { name: "sensor" } });
    await assert.rejects(as(own), { code: "LINK_REFUSED" });
    const taken = once(client, "close");
    const next = await as(renewed);
    t.after(() => next.close());
    assert.equal((await taken)[0].reason, "taken-over");
    assert.equal(server.session("sensor"), session);
  },
);

test("a client that does not trust the server's certificate does not send to it", { skip }, async (t) => {
  const server = await listen({ port: 0, tls: certificates!.server });
  t.after(() => server.close());
  await assert.rejects(connect({ port: server.port, tls: true }), { code: "LINK_ENDED" });
});

test("plain text to a TLS server is counted as refused, and the server goes on", { skip }, async (t) => {
  const { ca, server: own } = certificates!;
  const server = await listen({ port: 0, tls: own });
  t.after(() => server.close());
  const socket = connectSocket(server.port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write("hello\r\n\r\n hello hello hello");
  socket.resume();
  await once(socket, "close");
  assert.equal(server.stats().ended.refused, 1);
  const client = await connect({ port: server.port, tls: { ca } });
  await client.close();
});

for (const session of [undefined, {}] as const) {
  test(
    `a client that never finishes its TLS handshake does not hold up close() in ${session ? "session" : "byte"} mode`,
    { skip },
    async () => {
      const server = session
        ? await listen({ port: 0, tls: certificates!.server, session: { onMessage() {} } })
        : await listen({ port: 0, tls: certificates!.server });
      const stranger = connectSocket(server.port).on("error", () => {});
      await once(stranger, "connect");
      stranger.write(Buffer.from([0x16, 0x03, 0x01]));
      const began = performance.now();
      await Promise.all([server.close(), new Promise((resolve) => stranger.once("close", resolve))]);
      assert.ok(performance.now() - began < 2000);
    },
  );
}
