/** Sessions by WebSocket: on an application's HTTP server, beside TCP, with `ws` as the other side, and what a stranger may do. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect as connectSocket } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { WebSocket } from "ws";
import { connect, listen } from "../../../src/link/index.ts";
import type { LinkEnd, SessionServer } from "../../../src/link/index.ts";
import type { SessionServerOptions, WebSocketOptions } from "../../../src/link/index.ts";
import { requires } from "../../support/requires.ts";
import { makeCertificates } from "../support/certificates.ts";
import { proxyTo } from "../support/proxy.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

interface Site {
  readonly server: SessionServer;
  readonly http: Server;
  readonly port: number;
  readonly url: string;
  readonly got: string[];
}

/** An application's HTTP server with sessions at /link; the sessions have no port of their own unless asked. */
async function site(
  t: TestContext,
  {
    session = {},
    listenToo = false,
    options = {},
    connectionsMax = 100,
  }: {
    session?: SessionServerOptions;
    listenToo?: boolean;
    options?: WebSocketOptions;
    connectionsMax?: number;
  } = {},
): Promise<Site> {
  const got: string[] = [];
  const server = await listen({
    port: listenToo ? 0 : false,
    connectionsMax,
    session: { onMessage: (_session, message) => void got.push(text(message)), ...session },
  });
  const http = createServer((_request, response) => void response.end("the application's page"));
  server.attach(http, { path: "/link", ...options });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  t.after(async () => {
    await server.close();
    http.closeAllConnections();
    http.close();
  });
  const { port } = http.address() as AddressInfo;
  return { server, http, port, url: `ws://127.0.0.1:${port}/link`, got };
}

test("both sides send by WebSocket on an application's HTTP server, whose pages are served as before", async (t) => {
  const { server, port, url, got } = await site(t);
  const heard: string[] = [];
  const client = await connect({
    url,
    session: { name: "page", onMessage: (message) => void heard.push(text(message)) },
  });
  t.after(() => client.close());
  await client.send("from the client");
  await server.session("page")!.send("from the server");
  await client.send("x".repeat(900_000));
  assert.deepEqual([got[0], got[1]!.length, heard], ["from the client", 900_000, ["from the server"]]);
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "the application's page");
  assert.deepEqual([server.address, server.port], ["", 0]);
  const { open, connections } = server.stats();
  assert.equal(open, 1);
  assert.equal(connections[0]!.keepAlive?.idleMs ?? 5000, 5000, "keep-alive is set on it as on any other");
});

test("a session that began on TCP goes on by WebSocket and back, its client killed each time: nothing lost, doubled or out of order", async (t) => {
  const { server, url, got } = await site(t, { listenToo: true });
  const folder = mkdtempSync(join(tmpdir(), "holdfast-move-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const ways = [String(server.port), url, String(server.port), url];
  const taken = ways.map(() => 0);
  const opened: string[] = [];
  server.on("session", (session, { resumed }) => opened.push(`${resumed} ${session.name}`));
  for (const [run, way] of ways.entries()) {
    const last = run === ways.length - 1;
    const words = [way, join(folder, "outbox"), String(run), last ? "100" : "1000000"];
    const child = fork(join(import.meta.dirname, "../support/spooling-child.ts"), words);
    t.after(() => child.kill("SIGKILL"));
    child.on("message", (message: string) => {
      assert.doesNotMatch(message, /^failed/);
      taken[run] = Number(/^taken (\d+)/.exec(message)?.[1] ?? taken[run]);
      if (!last && taken[run]! >= 70) child.kill("SIGKILL");
    });
    await once(child, "exit");
  }
  assert.deepEqual(opened, ["false spooler", "true spooler", "true spooler", "true spooler"]);
  assert.deepEqual(
    got,
    ways.flatMap((_, run) => {
      const count = got.filter((name) => name.startsWith(`${run}.`)).length;
      assert.ok(count >= taken[run]!, `${count} of ${taken[run]} of run ${run}`);
      return Array.from({ length: count }, (__, index) => `${run}.${index + 1}`);
    }),
  );
});

test(
  "wss: with an HTTPS server, and a client certificate is the identity as on TCP with TLS",
  requires("openssl"),
  async (t) => {
    const { ca, server: own, client: mine } = makeCertificates();
    const server = await listen({ port: false, session: {} });
    const https = createTlsServer({ ...own, ca, requestCert: true });
    server.attach(https);
    await new Promise<void>((resolve) => https.listen(0, "127.0.0.1", resolve));
    t.after(async () => {
      await server.close();
      https.close();
    });
    const url = `wss://127.0.0.1:${(https.address() as AddressInfo).port}`;
    const client = await connect({ url, tls: { ca, ...mine }, session: { name: "sensor" } });
    await client.send("one");
    assert.match(server.session("sensor")!.certificate, /^CN=client/);
    await client.close();
    await assert.rejects(connect({ url, session: {}, reconnect: false }), { code: "LINK_ENDED" }, "an unknown authority");
  },
);

test("a page of another origin is refused, one of the same origin or a named one is not", async (t) => {
  const { port, url } = await site(t);
  const outcome = (target: string, origin: string): Promise<string> =>
    new Promise((resolve) => {
      const socket = new WebSocket(target, "holdfast-link", { origin });
      socket.on("open", () => resolve("open"));
      socket.on("unexpected-response", (_request, { statusCode }) => resolve(String(statusCode)));
      socket.on("error", () => {});
      t.after(() => socket.terminate());
    });
  assert.equal(await outcome(url, `http://127.0.0.1:${port}`), "open");
  assert.equal(await outcome(url, "http://evil.example"), "403");
  assert.equal(await outcome(url, "null"), "403");
  const named = await site(t, { options: { allowedOrigins: ["https://app.example.org"] } });
  assert.equal(await outcome(named.url, "https://app.example.org"), "open");
  assert.equal(await outcome(named.url, `http://127.0.0.1:${named.port}`), "403");
  const all = await site(t, { options: { allowedOrigins: "*" } });
  assert.equal(await outcome(all.url, "http://evil.example"), "open");
});

test("what is no handshake of ours is answered with the status that says why", async (t) => {
  const { port } = await site(t);
  const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
  const ask = async (path: string, headers: Readonly<Record<string, string>>): Promise<string> => {
    const socket = connectSocket(port, "127.0.0.1");
    const all = { Host: "x", Connection: "Upgrade", Upgrade: "websocket", ...headers };
    socket.write(
      `GET ${path} HTTP/1.1\r\n${Object.entries(all)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join("")}\r\n`,
    );
    const [answer] = (await once(socket, "data")) as [Buffer];
    socket.destroy();
    return answer.toString().split("\r\n")[0]!;
  };
  const right = { "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "holdfast-link" };
  assert.equal(await ask("/link", right), "HTTP/1.1 101 Switching Protocols");
  assert.equal(await ask("/link?token=1", right), "HTTP/1.1 101 Switching Protocols");
  assert.equal(await ask("/other", right), "HTTP/1.1 404 Not Found");
  assert.equal(await ask("/link", { ...right, "Sec-WebSocket-Version": "8" }), "HTTP/1.1 426 Upgrade Required");
  assert.equal(await ask("/link", { ...right, "Sec-WebSocket-Key": "short" }), "HTTP/1.1 400 Bad Request");
  assert.equal(await ask("/link", { ...right, "Sec-WebSocket-Protocol": "mqtt" }), "HTTP/1.1 400 Bad Request");
  assert.equal(await ask("/link", { ...right, Upgrade: "h2c" }), "HTTP/1.1 400 Bad Request");
});

/** A handshake of `ws` done: a stranger who has said nothing yet. */
async function stranger(t: TestContext, url: string, headers: Readonly<Record<string, string>> = {}): Promise<WebSocket> {
  const socket = new WebSocket(url, "holdfast-link", { headers });
  socket.on("error", () => {});
  t.after(() => socket.terminate());
  await once(socket, "open");
  return socket;
}

test("Pings are answered, a flood of them and garbage end the connection with 1002 and a reason", async (t) => {
  const { server, url } = await site(t);
  const ends: string[] = [];
  server.on("stranger", (_peer, { reason, message }) => ends.push(`${reason}: ${message}`));
  const polite = await stranger(t, url);
  polite.ping("there?");
  assert.equal(text((await once(polite, "pong"))[0] as Buffer), "there?");
  const flooding = await stranger(t, url);
  for (let count = 0; count < 100; count += 1) flooding.ping();
  assert.equal((await once(flooding, "close"))[0], 1002);
  const texting = await stranger(t, url);
  texting.send("text");
  assert.equal((await once(texting, "close"))[0], 1002);
  const lying = await stranger(t, url);
  lying.send(Buffer.from("this is not the link protocol"));
  assert.equal((await once(lying, "close"))[0], 1000);
  assert.equal(ends.length, 3);
  assert.match(ends[0]!, /^protocol: .*control frames/);
  assert.match(ends[1]!, /^protocol: .*text is not taken/);
});

test("a client that closes by WebSocket has left; one whose TCP connection breaks is away", async (t) => {
  const { server, port } = await site(t);
  const proxy = await proxyTo(port);
  t.after(() => proxy.close());
  const client = await connect({
    url: `ws://127.0.0.1:${proxy.port}/link`,
    session: { name: "a" },
    reconnect: { base: 50, cap: 50 },
  });
  const ends: LinkEnd[] = [];
  server.on("presence", (_session, presence, end) => void (presence !== "online" && ends.push(end!)));
  await once(client, "open");
  proxy.reset();
  await once(client, "open");
  await client.close();
  while (ends.length < 3) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(
    ends.map(({ reason }) => reason),
    ["rst", "closed", "closed"],
  );
});

test("strangers by WebSocket take the slots of strangers, and give way as those of TCP do", async (t) => {
  const { server, url } = await site(t, { connectionsMax: 3, listenToo: true });
  const known = await connect({ url, session: { name: "known" } });
  t.after(() => known.close());
  const first = await stranger(t, url);
  await stranger(t, url);
  const closed = once(first, "close");
  const late = await connect({ port: server.port, session: { name: "late" } });
  await closed; // the oldest stranger gave way
  await late.send("in");
  await known.send("still there");
  assert.equal(server.stats().ended["too-many"], 1);
  await late.close();
});

test("behind a trusted proxy a client's network is the one the proxy tells; from others the header means nothing", async (t) => {
  const peers: string[] = [];
  const { server, url } = await site(t, { options: { trustedProxies: ["127.0.0.0/8"] } });
  server.on("stranger", (peer) => peers.push(peer));
  for (const forwarded of ["203.0.113.9", "198.51.100.1, 203.0.113.9, 127.0.0.2", "2001:db8::7", "nonsense"]) {
    const socket = await stranger(t, url, { "X-Forwarded-For": forwarded });
    socket.close();
    await once(socket, "close");
  }
  const unbelieving = await site(t);
  unbelieving.server.on("stranger", (peer) => peers.push(peer));
  const socket = await stranger(t, unbelieving.url, { "X-Forwarded-For": "203.0.113.9" });
  socket.close();
  await once(socket, "close");
  while (peers.length < 5) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(peers.slice(0, 3), ["203.0.113.9", "203.0.113.9", "[2001:db8::7]"]);
  assert.match(peers[3]!, /^127\.0\.0\.1:\d+$/);
  assert.match(peers[4]!, /^127\.0\.0\.1:\d+$/);
  assert.throws(() => server.attach(createServer(), { trustedProxies: ["10.0.0.0/33"] }), { code: "LINK_OPTION_INVALID" });
});

test("clients that break off in the middle of an upgrade, taken or refused, harm nobody", async (t) => {
  const { server, port, url } = await site(t);
  const handshake = (path: string, more = ""): string =>
    `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
    `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: holdfast-link\r\n${more}\r\n`;
  const GARBAGE = Buffer.from(Uint8Array.from({ length: 2000 }, (_, index) => (index * 37) % 256)).toString("latin1");
  const openings = [
    handshake("/link"),
    handshake("/other"),
    handshake("/link", "Origin: http://evil.example\r\n"),
    handshake("/link") + GARBAGE,
    handshake("/link").slice(0, 60),
  ];
  const ends = openings.flatMap((opening) =>
    Array.from({ length: 20 }, async (_, index) => {
      const socket = connectSocket(port, "127.0.0.1");
      socket.on("error", () => {});
      socket.write(opening, "latin1", () => (index % 2 === 0 ? socket.resetAndDestroy() : socket.end()));
      await once(socket.resume(), "close");
    }),
  );
  await Promise.all(ends);
  const client = await connect({ url, session: {} });
  await client.send("still there");
  await client.close();
  while (server.stats().open > 0) await new Promise((resolve) => setImmediate(resolve));
});

test("a server that has closed takes no upgrade, and its HTTP server goes on", async (t) => {
  const { server, port, url } = await site(t);
  const client = await connect({ url, session: {}, reconnect: false });
  await server.close();
  assert.equal((await client.closed).reason, "drained");
  await assert.rejects(connect({ url, session: {}, reconnect: false }), { code: "LINK_REFUSED" });
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), "the application's page");
});

test("an address that is no WebSocket URL is a usage error", async () => {
  for (const url of ["http://127.0.0.1/", "127.0.0.1:80", "ws://user:word@host/"])
    await assert.rejects(connect({ url, session: {} }), { code: "ADDRESS_INVALID" });
});
