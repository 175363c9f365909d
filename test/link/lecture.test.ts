/** The lecture's programs, in Python as they are, against ours. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { listen } from "../../src/link/index.ts";
import { requires } from "../support/requires.ts";
import { reader } from "./support/reader.ts";

const holdfast = join(import.meta.dirname, "../../bin/holdfast");

const CLIENT = `
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"hello")
s.recv(1)
`;

const SERVER = `
import socket
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
s.bind(("127.0.0.1", 0))
s.listen()
print(s.getsockname()[1], flush=True)
c, peer = s.accept()
while True:
    byte = c.recv(1)
    if not byte: break
    print(byte, flush=True)
`;

async function exitCode(child: ChildProcessWithoutNullStreams): Promise<number | null> {
  return child.exitCode ?? new Promise((resolve) => child.once("exit", resolve));
}

test(
  "holdfast listen prints what the lecture's Python client sends, and the kernel keeps the connection alive at 5 s",
  requires("iproute2", "python3-zmq"),
  async (t) => {
    const server = spawn(holdfast, ["listen", "0"]);
    t.after(() => server.kill("SIGKILL"));
    const talk = reader(server.stderr);
    const data = reader(server.stdout);
    const [, port] = await talk.until(/listening on 127\.0\.0\.1:(\d+)/);
    const client = spawn("/usr/bin/python3", ["-c", CLIENT, port!]);
    t.after(() => client.kill("SIGKILL"));
    await data.until(/hello/);
    await talk.until(/armed 5 s\/10 s\/3 → dead peer found in 35 s/);
    const sockets = execFileSync("ss", ["-tnoH", "state", "established", `( sport = :${port} )`]).toString();
    assert.match(sockets, /timer:\(keepalive,[34]\.\d*ms,0\)|timer:\(keepalive,[45]\.?\d*m?sec,0\)/);
    client.kill("SIGKILL");
    await talk.until(/ended: (fin|rst)/);
    server.kill("SIGTERM");
    assert.equal(await exitCode(server), 0);
    assert.equal(data.text(), "hello");
  },
);

test(
  "the lecture's Python server prints the bytes of the lines that holdfast connect reads from stdin",
  requires("python3-zmq"),
  async (t) => {
    const server = spawn("/usr/bin/python3", ["-c", SERVER]);
    t.after(() => server.kill("SIGKILL"));
    const printed = reader(server.stdout);
    const [port] = await printed.until(/\d+/);
    const client = spawn(holdfast, ["connect", `127.0.0.1:${port}`]);
    t.after(() => client.kill("SIGKILL"));
    client.stdin.write("hi\n");
    await printed.until(/b'h'\nb'i'\nb'\\n'\n/);
    client.stdin.end();
    assert.equal(await exitCode(client), 0);
  },
);

test("an accepted connection's keep-alive reads back from the kernel as 5 s, 10 s, 3", requires("python3-zmq"), async (t) => {
  const server = await listen({ port: 0 });
  t.after(() => server.close());
  const client = spawn("/usr/bin/python3", ["-c", CLIENT, String(server.port)]);
  t.after(() => client.kill("SIGKILL"));
  const bytes = await new Promise<string>((resolve) => server.once("bytes", (_link, chunk) => resolve(chunk.toString())));
  assert.equal(bytes, "hello");
  const [stats] = server.stats().connections;
  assert.deepEqual(stats?.keepAlive, { on: true, idleMs: 5000, intervalMs: 10_000, count: 3, userTimeoutMs: 34_000 });
  assert.ok(stats!.nextProbeInMs! > 4000 && stats!.nextProbeInMs! <= 5200, `next probe in ${stats!.nextProbeInMs} ms`);
  assert.equal(stats?.bytesIn, 5);
});
