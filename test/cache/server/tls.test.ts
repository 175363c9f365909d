/** TLS: certificates from files, read again while the server runs; addresses with and without. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { connect, type ConnectionOptions } from "node:tls";
import { CacheServer, type CacheServerOptions } from "../../../src/cache/index.ts";
import { parseListenAddress } from "../../../src/cache/server/listen-address.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-tls-"));

/** A certificate that signs itself, made when the tests run. */
function certificate(name: string): { readonly cert: string; readonly key: string } {
  const [cert, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  const request = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=${name}`.split(" ");
  execFileSync("openssl", [...request, "-keyout", key, "-out", cert], { stdio: "ignore" });
  return { cert, key };
}

const first = certificate("first");
const second = certificate("second");

async function withServer(options: CacheServerOptions, body: (server: CacheServer) => Promise<void>): Promise<void> {
  const server = new CacheServer({ listen: "127.0.0.1:0", ...options });
  await server.listen();
  try {
    await body(server);
  } finally {
    await server.close();
  }
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

/** Asks over TLS; also tells the name on the server's certificate. */
async function ask(
  address: string,
  request: string,
  options: ConnectionOptions = {},
): Promise<{ answer: string; name: string }> {
  const socket = connect({ host: "127.0.0.1", port: portOf(address), rejectUnauthorized: false, ...options });
  await once(socket, "secureConnect");
  const name = String(socket.getPeerCertificate().subject.CN);
  socket.write(request);
  let answer = "";
  for await (const chunk of socket.setEncoding("latin1")) answer += chunk as string;
  return { answer, name };
}

test("a value of a megabyte goes through TLS and back", async () => {
  await withServer({ tls: { chainCert: first.cert, key: first.key } }, async ({ address }) => {
    const value = "x".repeat(2 ** 20 - 1000);
    const { answer } = await ask(address, `set k 0 0 ${value.length}\r\n${value}\r\nget k\r\nquit\r\n`);
    assert.ok(answer === `STORED\r\nVALUE k 0 ${value.length}\r\n${value}\r\nEND\r\n`);
  });
});

test("refresh_certs reads the files again for new connections; what cannot be read changes nothing", async () => {
  const [cert, key] = [join(folder, "live.crt"), join(folder, "live.key")];
  copyFileSync(first.cert, cert);
  copyFileSync(first.key, key);
  await withServer({ tls: { chainCert: cert, key } }, async (server) => {
    assert.equal((await ask(server.address, "quit\r\n")).name, "first");
    copyFileSync(second.cert, cert);
    const mismatch = await ask(server.address, "refresh_certs\r\nquit\r\n");
    assert.match(mismatch.answer, /^SERVER_ERROR Cannot use the TLS files/);
    assert.throws(() => server.reload(), { code: "CACHE_TLS_FILES_INVALID" });
    assert.equal((await ask(server.address, "quit\r\n")).name, "first");
    copyFileSync(second.key, key);
    assert.equal((await ask(server.address, "refresh_certs\r\nquit\r\n")).answer, "OK\r\n");
    assert.equal((await ask(server.address, "quit\r\n")).name, "second");
  });
});

test("one server has addresses with TLS, without, and with clients' certificates required", async () => {
  const listen = ["127.0.0.1:0", "notls:127.0.0.1:0", "mtls:127.0.0.1:0"];
  await withServer({ listen, tls: { chainCert: first.cert, key: first.key, caCert: second.cert } }, async (server) => {
    const [tls, plain, mutual] = server.addresses;
    assert.equal((await ask(tls!, "mn\r\nquit\r\n")).answer, "MN\r\n");
    const socket = createConnection({ host: "127.0.0.1", port: portOf(plain!) });
    socket.write("mn\r\n");
    assert.equal(String((await once(socket, "data"))[0]), "MN\r\n");
    socket.destroy();
    const shown = { cert: readFileSync(second.cert), key: readFileSync(second.key) };
    assert.equal((await ask(mutual!, "mn\r\nquit\r\n", shown)).answer, "MN\r\n");
    await assert.rejects(ask(mutual!, "mn\r\nquit\r\n"), { code: /ERR_SSL|ECONNRESET/ });
  });
});

test("a client that speaks no TLS to a TLS address is closed, counted, and harms nobody", async () => {
  await withServer({ tls: { chainCert: first.cert, key: first.key } }, async ({ address }) => {
    const socket = createConnection({ host: "127.0.0.1", port: portOf(address) });
    socket.on("error", () => undefined);
    socket.write("get k\r\nget k\r\n");
    await once(socket, "close");
    assert.match((await ask(address, "stats\r\nquit\r\n")).answer, /STAT ssl_handshake_errors 1\r\n/);
  });
});

test("files that are no certificates are refused before the server listens", () => {
  const nonsense = join(folder, "nonsense");
  writeFileSync(nonsense, "no certificate", { mode: 0o600 });
  assert.throws(() => new CacheServer({ tls: { chainCert: nonsense } }), { code: "CACHE_TLS_FILES_INVALID" });
  assert.throws(() => new CacheServer({ tls: {} }), { code: "CACHE_TLS_FILES_INVALID" });
});

test("memcached's prefixes of addresses are read", () => {
  assert.deepEqual(parseListenAddress("notls:proto[ascii]:[::1]:5"), { address: "[::1]:5", tls: "notls", protocol: "ascii" });
  assert.deepEqual(parseListenAddress("unix:/a:b"), { address: "unix:/a:b", tls: "btls", protocol: undefined });
  assert.throws(() => parseListenAddress("proto[latin]:1"), { code: "CACHE_LISTEN_INVALID" });
});

test("an address may speak another protocol than the server", async () => {
  await withServer({ listen: ["proto[binary]:127.0.0.1:0"] }, async ({ address }) => {
    const socket = createConnection({ host: "127.0.0.1", port: portOf(address) });
    socket.write("get k\r\n".repeat(5));
    await once(socket, "close"); // no binary request begins with a letter
  });
});

test("refresh_certs asked of one thread reaches all of them", async () => {
  const [cert, key] = [join(folder, "all.crt"), join(folder, "all.key")];
  copyFileSync(first.cert, cert);
  copyFileSync(first.key, key);
  await withServer({ tls: { chainCert: cert, key }, threads: 3 }, async ({ address }) => {
    copyFileSync(second.cert, cert);
    copyFileSync(second.key, key);
    assert.equal((await ask(address, "refresh_certs\r\nquit\r\n")).answer, "OK\r\n");
    for (let alike = 0; alike < 12;) alike = (await ask(address, "quit\r\n")).name === "second" ? alike + 1 : 0;
  });
});
