/** Servers that go down, and peers that do not read, on real sockets. */
import assert from "node:assert/strict";
import { connect as connectSocket } from "node:net";
import { test } from "node:test";
import { connect, listen } from "../../../src/link/index.ts";
import type { LinkEnd } from "../../../src/link/index.ts";
import { proxyTo } from "../support/proxy.ts";
import { HELLO, RawClient } from "../support/raw-client.ts";

test("400 clients move to the next server while the old one drains over 4 s, evenly, and no message is in doubt", async (t) => {
  const count = 400;
  const got = new Map<string, number>();
  const onMessage = (_session: unknown, message: Uint8Array): void => {
    const key = Buffer.from(message).toString();
    got.set(key, (got.get(key) ?? 0) + 1);
  };
  const old = await listen({ port: 0, session: { onMessage } });
  const next = await listen({ port: 0, session: { onMessage } });
  const proxy = await proxyTo(old.port);
  const clients = await Promise.all(
    Array.from({ length: count }, (_, index) => connect({ port: proxy.port, session: { name: `c${index}` } })),
  );
  t.after(async () => {
    await Promise.all(clients.map((client) => client.close({ within: 0 })));
    await Promise.all([proxy.close(), next.close()]);
  });
  const arrivals: number[] = [];
  next.on("session", () => arrivals.push(performance.now()));
  proxy.target = next.port;

  const start = performance.now();
  let sent = 0;
  const sends: Promise<void>[] = [];
  const sending = setInterval(() => {
    for (const [index, client] of clients.entries()) if (index % 10 === sent % 10) sends.push(client.send(`${index} ${sent}`));
    sent += 1;
  }, 50);
  await old.drain({ over: 4000 });
  while (arrivals.length < count) await new Promise((resolve) => setTimeout(resolve, 50));
  clearInterval(sending);
  await Promise.all(sends);
  assert.ok(
    [...got.values()].every((times) => times === 1),
    "each message once",
  );
  assert.equal(got.size, sends.length);
  const perSecond = [0, 1, 2, 3].map((second) => arrivals.filter((at) => Math.floor((at - start) / 1000) === second).length);
  // Even would be 100 a second; a storm, all 400 in one. The bounds allow for a machine that is busy with other things.
  for (const arrived of perSecond) assert.ok(arrived >= 10 && arrived <= 270, perSecond.join(" "));
});

test("a session's client that stops reading is ended as stalled-reader after the stall time", async (t) => {
  const server = await listen({
    port: 0,
    userTimeout: "off",
    session: { stall: 500, heartbeat: "1h", outboxMax: "64m", messageMax: "1m" },
  });
  t.after(() => server.close());
  const ended = new Promise<LinkEnd>((resolve) =>
    server.on("presence", (_session, presence, end) => presence === "away" && resolve(end!)),
  );
  const opened = new Promise<{ send(bytes: Uint8Array): Promise<void> }>((resolve) =>
    server.once("session", (session) => resolve(session)),
  );
  const rawClient = new RawClient(server.port);
  const large = { ...HELLO.terms, messageBytesMax: 1_048_576, windowBytes: 64 * 1_048_576 };
  assert.equal((await rawClient.hello({ terms: large })).name, "WELCOME");
  rawClient.socket.pause();
  const session = await opened;
  const chunk = new Uint8Array(1_000_000);
  for (let count = 0; count < 30; count += 1) session.send(chunk).catch(() => {});
  assert.equal((await ended).reason, "stalled-reader");
});

test("in byte mode, more than a reader may be behind is LINK_FULL, and takes nothing", async (t) => {
  const server = await listen({ port: 0, unsentMax: "1m" });
  const opened = new Promise<{ send(bytes: Uint8Array): Promise<void> }>((resolve) =>
    server.once("open", (link) => resolve(link)),
  );
  const socket = connectSocket(server.port, "127.0.0.1");
  t.after(() => {
    socket.destroy();
    return server.close();
  });
  const link = await opened;
  const chunk = new Uint8Array(500_000);
  const sends = Array.from({ length: 40 }, () => link.send(chunk));
  const outcome = await Promise.race(
    sends.map((send) =>
      send.then(
        () => new Promise<never>(() => {}),
        (error: { code: string }) => error.code,
      ),
    ),
  );
  assert.equal(outcome, "LINK_FULL");
  for (const send of sends) send.catch(() => {});
});
