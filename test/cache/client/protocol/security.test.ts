/** TLS, passwords, and what is refused. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect, type AddressInfo } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { createServer } from "node:tls";
import { CacheClient } from "../../../../src/cache/index.ts";
import { requires } from "../../../support/requires.ts";
import { fakeServer } from "../support/fake-server.ts";
import { memcached, memcachedWith, temporary } from "../support/test-servers.ts";

interface Certificate {
  readonly key: Buffer;
  readonly cert: Buffer;
}

function certificate(t: TestContext): Certificate {
  const folder = temporary(t);
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  const subject = ["-subj", "/CN=cache.internal", "-addext", "subjectAltName=DNS:cache.internal,DNS:localhost,IP:127.0.0.1"];
  const make = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  execFileSync("openssl", [...make, "-keyout", key, "-out", cert, ...subject], { stdio: "ignore" });
  return { key: readFileSync(key), cert: readFileSync(cert) };
}

/** A TLS listener in front of a plain server; with `ca` it asks clients for a certificate. */
async function tlsFront(t: TestContext, target: number, own: Certificate, ca?: Buffer): Promise<string> {
  const front = createServer({ ...own, ...(ca && { ca, requestCert: true, rejectUnauthorized: true }) }, (socket) => {
    const far = connect(target, "127.0.0.1");
    socket.pipe(far).pipe(socket);
    socket.on("error", () => far.destroy());
    far.on("error", () => socket.destroy());
  });
  front.on("tlsClientError", () => {});
  front.listen(0, "127.0.0.1");
  await once(front, "listening");
  t.after(() => front.close());
  return `127.0.0.1:${(front.address() as AddressInfo).port}`;
}

const needs = requires("memcached");

test("over TLS everything works as without, large values too", needs, async (t) => {
  const own = certificate(t);
  const address = await tlsFront(t, (await memcached(t)).port, own);
  await using cache = new CacheClient({ servers: [address], tls: { ca: own.cert } });
  const value = Buffer.alloc(900_000, "0123456789");
  assert.equal(await cache.set("k", value), true);
  assert.deepEqual(await cache.get("k"), value);
  const keys = Array.from({ length: 500 }, (_, index) => `key:${index}`);
  await Promise.all(keys.map((key) => cache.set(key, key)));
  assert.equal((await cache.getMany(keys)).size, 500);
});

test("a server whose certificate nobody vouches for is not talked to", needs, async (t) => {
  const address = await tlsFront(t, (await memcached(t)).port, certificate(t));
  await using cache = new CacheClient({ servers: [address], tls: true });
  await assert.rejects(cache.get("k"), { code: "CACHE_UNREACHABLE", message: /self.signed certificate/ });
});

test("servers found by DNS must bear the name that was looked up", needs, async (t) => {
  const own = certificate(t);
  const address = await tlsFront(t, (await memcached(t)).port, own);
  const port = address.split(":")[1]!;
  const resolve = async (): Promise<readonly string[]> => ["127.0.0.1"];
  await using right = new CacheClient({ servers: { dns: `cache.internal:${port}`, resolve }, tls: { ca: own.cert } });
  assert.equal(await right.set("k", 1), true);
  await using wrong = new CacheClient({ servers: { dns: `other.internal:${port}`, resolve }, tls: { ca: own.cert } });
  await assert.rejects(wrong.set("k", 1), { code: "CACHE_UNREACHABLE", message: /other\.internal/ });
});

test("a client certificate is shown to a server that asks for one", needs, async (t) => {
  const [own, mine] = [certificate(t), certificate(t)];
  const address = await tlsFront(t, (await memcached(t)).port, own, mine.cert);
  await using known = new CacheClient({ servers: [address], tls: { ca: own.cert, ...mine } });
  assert.equal(await known.set("k", 1), true);
  await using unknown = new CacheClient({ servers: [address], tls: { ca: own.cert } });
  await assert.rejects(unknown.get("k"), { code: "CACHE_UNREACHABLE" });
});

test("ASCII authentication: the right password opens, a wrong one is CACHE_AUTH_FAILED", needs, async (t) => {
  const users = join(temporary(t), "users");
  writeFileSync(users, "alice:secret\nbob:hunter2\n");
  const { address } = await memcached(t, "-Y", users);
  await using alice = new CacheClient({ servers: [address], credentials: { username: "alice", password: "secret" } });
  assert.equal(await alice.set("k", 1), true);
  assert.deepEqual(await alice.get("k"), 1);
  await using mallory = new CacheClient({ servers: [address], credentials: { username: "alice", password: "guess" } });
  await assert.rejects(mallory.get("k"), { code: "CACHE_AUTH_FAILED" });
  await using nobody = new CacheClient({ servers: [address] });
  await assert.rejects(nobody.get("k"), { code: "CACHE_REFUSED" });
});

test(
  "SASL PLAIN: the right password opens, a wrong one is CACHE_AUTH_FAILED",
  requires("memcached", "sasl2-bin"),
  async (t) => {
    const folder = temporary(t);
    const database = join(folder, "sasldb");
    writeFileSync(
      join(folder, "memcached.conf"),
      `mech_list: plain\npwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: ${database}\n`,
    );
    const { hostname } = await import("node:os");
    execFileSync("saslpasswd2", ["-p", "-c", "-a", "memcached", "-f", database, "-u", hostname(), "alice"], {
      input: "secret",
    });
    const { address } = await memcachedWith(t, { SASL_CONF_PATH: folder }, "-S");
    const as = (password: string): CacheClient =>
      new CacheClient({ servers: [address], credentials: { username: "alice", password, by: "sasl" } });
    await using alice = as("secret");
    assert.equal(await alice.set("k", { n: 1 }), true);
    assert.deepEqual(await alice.get("k"), { n: 1 });
    assert.deepEqual([...(await alice.getMany(["k", "none"])).keys()], ["k"]);
    assert.equal(await alice.fetch("f", () => "loaded"), "loaded");
    assert.equal(await alice.get("f"), "loaded");
    await assert.rejects(alice.invalidate("f"), { code: "CACHE_REFUSED" });
    await using mallory = as("guess");
    await assert.rejects(mallory.get("k"), { code: "CACHE_AUTH_FAILED" });
  },
);

test("SASL sends the credentials first, as RFC 4616 has them", async (t) => {
  const seen: Buffer[] = [];
  const server = await fakeServer(t, () => undefined, { greets: false });
  await using cache = new CacheClient({
    servers: [server.address],
    credentials: { username: "alice", password: "secret", by: "sasl" },
    timeout: "5s",
  });
  void cache.get("k").catch(() => {});
  while (server.sockets.size === 0) await new Promise(setImmediate);
  const [socket] = server.sockets;
  socket!.on("data", (chunk: Buffer) => seen.push(chunk));
  await once(socket!, "data");
  const packet = Buffer.concat(seen);
  assert.equal(packet[0], 0x80);
  assert.equal(packet[1], 0x21);
  assert.equal(packet.toString("latin1", 24, 24 + 5 + 13), "PLAIN\0alice\0secret");
});
