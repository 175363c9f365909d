/** SessionState mode on real sockets. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectSocket } from "node:net";
import { test } from "node:test";
import { connect, listen } from "../../../src/link/index.ts";
import type { ServerSession } from "../../../src/link/index.ts";
import { proxyTo } from "../support/proxy.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

test("send resolves when the server's application has the message", async (t) => {
  let release = (): void => {};
  const seen: string[] = [];
  const server = await listen({
    port: 0,
    session: {
      onMessage(_session, message) {
        seen.push(text(message));
        return new Promise<void>((resolve) => (release = resolve));
      },
    },
  });
  t.after(() => server.close());
  const client = await connect({ port: server.port, session: { name: "sensor-7" } });
  t.after(() => client.close());
  let done = false;
  const sent = client.send("21.5").then(() => (done = true));
  while (seen.length === 0) await new Promise((resolve) => setImmediate(resolve));
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(done, false, "not before the handler's promise resolves");
  release();
  await sent;
  assert.deepEqual(seen, ["21.5"]);
  assert.equal([...server.sessions][0]!.name, "sensor-7");
});

test("a message that the server's application refuses rejects with its reason", async (t) => {
  const server = await listen({
    port: 0,
    session: {
      onMessage: (_session, message) => (text(message) === "bad" ? Promise.reject(new Error("no such sensor")) : undefined),
    },
  });
  t.after(() => server.close());
  const client = await connect({ port: server.port, session: {} });
  t.after(() => client.close());
  const [good, bad, after] = await Promise.allSettled([client.send("good"), client.send("bad"), client.send("after")]);
  assert.equal(good.status, "fulfilled");
  assert.equal(after.status, "fulfilled");
  assert.ok(bad.status === "rejected");
  assert.match(String(bad.reason), /no such sensor/);
  assert.equal((bad.reason as { code: string }).code, "LINK_REJECTED");
});

test("a session goes on after its connection was reset, and what was sent meanwhile arrives once", async (t) => {
  const got: string[] = [];
  const server = await listen({ port: 0, session: { onMessage: (_session, message) => void got.push(text(message)) } });
  t.after(() => server.close());
  const proxy = await proxyTo(server.port);
  t.after(() => proxy.close());
  const client = await connect({ port: proxy.port, session: { name: "a" }, reconnect: { base: 1, cap: 5 } });
  t.after(() => client.close());
  await once(client, "open");
  for (let round = 0; round < 5; round += 1) {
    const sends = Array.from({ length: 50 }, (_, index) => client.send(`${round}.${index}`));
    proxy.reset();
    const [how] = (await once(client, "open")) as [{ resumed: boolean }];
    assert.equal(how.resumed, true);
    await Promise.all(sends);
  }
  assert.deepEqual(
    got,
    Array.from({ length: 250 }, (_, index) => `${Math.floor(index / 50)}.${index % 50}`),
  );
  assert.equal(server.stats().sessions.length, 1);
});

test("the server can send too, also while the client is away", async (t) => {
  const server = await listen({ port: 0, session: {} });
  t.after(() => server.close());
  const opened = once(server, "session") as Promise<[ServerSession]>;
  const got: string[] = [];
  const proxy = await proxyTo(server.port);
  t.after(() => proxy.close());
  const client = await connect({
    port: proxy.port,
    session: { onMessage: (message) => void got.push(text(message)) },
    reconnect: { base: 1, cap: 5 },
  });
  t.after(() => client.close());
  const [session] = await opened;
  await session.send("one");
  proxy.reset();
  await once(client, "end");
  await session.send("two");
  assert.deepEqual(got, ["one", "two"]);
});

test("a wrong token is refused, and the client says so instead of trying for ever", async (t) => {
  const server = await listen({ port: 0, session: { token: (name) => (name === "sensor-7" ? "secret" : undefined) } });
  t.after(() => server.close());
  const attempt = (name: string, token?: string): Promise<unknown> =>
    connect({ port: server.port, session: { name, ...(token === undefined ? {} : { token }) } });
  await assert.rejects(attempt("sensor-7", "wrong"), { code: "LINK_REFUSED" });
  await assert.rejects(attempt("sensor-8", "secret"), { code: "LINK_REFUSED" });
  await assert.rejects(attempt("sensor-7"), { code: "LINK_REFUSED" });
  const client = await connect({ port: server.port, session: { name: "sensor-7", token: "secret" } });
  await client.send("hello");
  await client.close();
});

test("drain confirms what is under way, and no send is in doubt", async (t) => {
  const got: string[] = [];
  const server = await listen({
    port: 0,
    session: {
      async onMessage(_session, message) {
        await new Promise((resolve) => setImmediate(resolve));
        got.push(text(message));
      },
    },
  });
  const client = await connect({ port: server.port, session: {} });
  t.after(() => client.close({ within: 0 }));
  const sends = Array.from({ length: 100 }, (_, index) => client.send(String(index)));
  await new Promise((resolve) => setImmediate(resolve));
  const ended = once(client, "end");
  await server.drain();
  const [end] = await ended;
  assert.equal((end as { reason: string }).reason, "drained");
  // What had arrived was confirmed before the connection ended; what had not left stays with the client.
  assert.equal(client.unconfirmed.messages, 100 - got.length);
  const closed = client.close({ within: 0 });
  const outcomes = await Promise.allSettled(sends);
  assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, got.length);
  await closed;
});

test("garbage instead of a hello ends that connection with its reason, and the others notice nothing", async (t) => {
  const server = await listen({ port: 0, session: {} });
  t.after(() => server.close());
  const client = await connect({ port: server.port, session: {} });
  t.after(() => client.close());
  const strange = once(server, "stranger") as Promise<[string, { reason: string; message: string }]>;
  const socket = connectSocket(server.port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  socket.resume();
  const [, end] = await strange;
  assert.equal(end.reason, "protocol");
  await client.send("still here");
});

test("a token that cannot be looked up refuses the client, and the server goes on", async (t) => {
  const lookup = (name: string): string => {
    if (name !== "known") throw new Error("no such client");
    return "secret";
  };
  const server = await listen({ port: 0, session: { token: lookup } });
  t.after(() => server.close());
  await assert.rejects(connect({ port: server.port, session: { name: "unknown", token: "secret" } }), { code: "LINK_REFUSED" });
  const client = await connect({ port: server.port, session: { name: "known", token: "secret" } });
  await client.close();
});

test("a signal ends the client: before it began, while it waits for a server, and while it is connected", async (t) => {
  await assert.rejects(connect({ port: 1, session: {}, signal: AbortSignal.abort() }), { code: "ABORTED" });
  await assert.rejects(connect({ port: 1, session: { window: 0 } }), { code: "LINK_OPTION_INVALID" });
  const waiting = new AbortController();
  const client = await connect({ port: 1, session: {}, signal: waiting.signal });
  const sent = client.send("x");
  waiting.abort();
  await assert.rejects(sent, { code: "LINK_ENDED" });
  await client.closed;
  const server = await listen({ port: 0 });
  t.after(() => server.close());
  const connected = new AbortController();
  const bytes = await connect({ port: server.port, signal: connected.signal });
  connected.abort();
  assert.equal((await bytes.closed).reason, "closed");
});

test("connections past connectionsMax are closed at once and counted as too-many", async (t) => {
  const server = await listen({ port: 0, connectionsMax: 1 });
  t.after(() => server.close());
  const first = await connect({ port: server.port });
  t.after(() => first.close());
  const second = await connect({ port: server.port });
  assert.ok(["fin", "rst"].includes((await second.closed).reason));
  assert.equal(server.stats().ended["too-many"], 1);
  assert.equal(server.stats().open, 1);
});
