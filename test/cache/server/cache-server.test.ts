import assert from "node:assert/strict";
import { mkdtempSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CacheServer } from "../../../src/cache/index.ts";
import { HOLDFAST_CACHE, startCache } from "../support/servers.ts";

/** Sends a request and collects everything until the server closes. */
async function ask(address: string, request: string): Promise<string> {
  const target = address.startsWith("unix:")
    ? { path: address.slice(5) }
    : { host: "127.0.0.1", port: Number(address.split(":").at(-1)) };
  const socket = connect(target);
  socket.end(request, "latin1");
  let replies = "";
  for await (const chunk of socket.setEncoding("latin1")) replies += chunk as string;
  return replies;
}

test("a server answers over TCP and over a unix socket", async () => {
  const path = join(mkdtempSync(join(tmpdir(), "holdfast-")), "cache.sock");
  const server = new CacheServer({ listen: ["127.0.0.1:0", `unix:${path}`] });
  await server.listen();
  try {
    assert.match(server.address, /^127\.0\.0\.1:\d+$/);
    assert.equal(await ask(server.address, "set k 0 0 2\r\nhi\r\n"), "STORED\r\n");
    assert.equal(await ask(`unix:${path}`, "get k\r\nquit\r\n"), "VALUE k 0 2\r\nhi\r\nEND\r\n");
    const stats = server.stats();
    assert.equal(stats.items, 1);
    assert.equal(stats.hits, 1);
  } finally {
    await server.close();
  }
});

test("close may be called twice and frees the port", async () => {
  const first = new CacheServer({ listen: "127.0.0.1:0" });
  await first.listen();
  const { address } = first;
  await Promise.all([first.close(), first.close()]);
  const second = new CacheServer({ listen: address });
  await second.listen();
  await second.close();
});

test("a port in use is refused with a code", async () => {
  const first = new CacheServer({ listen: "127.0.0.1:0" });
  await first.listen();
  const second = new CacheServer({ listen: first.address });
  await assert.rejects(second.listen(), { code: "CACHE_LISTEN_FAILED" });
  await first.close();
});

test("a client that asks for much and reads late gets all of it", async () => {
  const server = new CacheServer({ listen: "127.0.0.1:0" });
  await server.listen();
  try {
    await ask(server.address, `set k 0 0 500000\r\n${"x".repeat(500_000)}\r\n`);
    const replies = await ask(server.address, "get k k k k\r\n".repeat(10));
    assert.equal(replies.length, 10 * (4 * ("VALUE k 0 500000\r\n".length + 500_002) + 5));
  } finally {
    await server.close();
  }
});

test("more connections than allowed are told so", async () => {
  const server = new CacheServer({ listen: "127.0.0.1:0", connections: 1 });
  await server.listen();
  try {
    const held = connect({ host: "127.0.0.1", port: Number(server.address.split(":")[1]) });
    await new Promise((resolve) => held.once("connect", resolve));
    while (server.stats().connections === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await ask(server.address, "version\r\n"), "ERROR Too many open connections\r\n");
    held.destroy();
  } finally {
    await server.close();
  }
});

test("config get cluster names the nodes to a server that was told them, and is an error to any other", async () => {
  const node = "a.example|10.0.0.1|11211";
  const answers = [];
  for (const cluster of [[node, "b.example||11212"], undefined]) {
    const server = new CacheServer({ listen: "127.0.0.1:0", ...(cluster && { cluster }) });
    await server.listen();
    answers.push(await ask(server.address, "config get cluster\r\n"));
    await server.close();
  }
  const text = `1\n${node} b.example||11212\n`;
  assert.deepEqual(answers, [`CONFIG cluster 0 ${text.length}\r\n${text}\r\nEND\r\n`, "ERROR\r\n"]);
});

test("-r lifts the limit on core files, whatever it was before", { skip: process.platform !== "linux" }, async () => {
  const server = await startCache(["sh", "-c", 'ulimit -S -c 0; exec "$0" "$@"', ...HOLDFAST_CACHE], ["-r"]);
  try {
    const [, soft, hard] = /^Max core file size\s+(\S+)\s+(\S+)/m.exec(readFileSync(`/proc/${server.pid}/limits`, "latin1"))!;
    assert.equal(soft, hard);
  } finally {
    await server.stop();
  }
});
