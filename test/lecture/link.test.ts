/** The lecture's keep-alive programs: a Python client and a Python server, on either side of ours. Ports and values as in the lecture. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { connect as connectSocket } from "node:net";
import { after, before, suite, test } from "node:test";
import { listen as listenHere } from "../../src/link/index.ts";
import { Holdfast } from "../support/holdfast.ts";
import { Namespace } from "../support/namespace.ts";
import { requires } from "../support/requires.ts";

const CLIENT = `
import socket, sys, time
client = socket.create_connection(("127.0.0.1", 12345))
for byte in b"sensor 1: 21.5\\n":
    client.send(bytes([byte]))
print("sent", flush=True)
sys.stdin.read()
`;

const SERVER = `
import socket
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
server.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5)
server.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
server.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
server.bind(("", 12345))
server.listen()
print("listening", flush=True)
connection, _ = server.accept()
while True:
    data = connection.recv(1)
    if not data:
        break
    print(data.decode(), end="", flush=True)
`;

/** As it is printed, with its four questions of the class; its port and what `hasattr` is asked of are arguments. */
const PRINTED_SERVER = `
import socket as module
import sys
from socket import socket, AF_INET, SOCK_STREAM, IPPROTO_TCP, SOL_SOCKET, SO_KEEPALIVE, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL
asked = socket if sys.argv[1] == 'class' else module
def echo(port):
    sock = socket(AF_INET, SOCK_STREAM)
    if hasattr(asked, 'SO_KEEPALIVE'):
        sock.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
    if hasattr(asked, 'TCP_KEEPIDLE'):
        sock.setsockopt(IPPROTO_TCP, TCP_KEEPIDLE, 1)
    if hasattr(asked, 'TCP_KEEPINTVL'):
        sock.setsockopt(IPPROTO_TCP, TCP_KEEPINTVL, 1)
    if hasattr(asked, 'TCP_KEEPCNT'):
        sock.setsockopt(IPPROTO_TCP, TCP_KEEPCNT, 3)
    sock.bind(('localhost', port))
    sock.listen(1)
    print('listening', file=sys.stderr, flush=True)
    sc, name = sock.accept()
    while True:
        data = sc.recv(1)
        if data == b'':
            break
        print(data, flush=True)
echo(12345)
`;

suite("the lecture's keep-alive connection", requires("root", "iproute2"), () => {
  let namespace: Namespace;
  before(() => {
    namespace = new Namespace();
  });
  after(() => namespace[Symbol.dispose]());

  test("holdfast listen prints what a Python client sends, over a socket kept alive 5 s / 10 s / 3", async () => {
    await using listen = new Holdfast(["listen", "12345"], { namespace });
    await listen.printed(/12345/, "stderr");
    const client = namespace.spawn("/usr/bin/python3", ["-c", CLIENT], { stdio: ["pipe", "pipe", "inherit"] });
    try {
      await listen.printed(/sensor 1: 21\.5\n/);
      const sockets = namespace.run("ss", ["-tnoH", "sport", "=", ":12345"]);
      const [, remainingSeconds] = /timer:\(keepalive,([\d.]+)(?:sec|s)?/.exec(sockets) ?? [];
      assert.ok(Number(remainingSeconds) <= 5, `a keep-alive timer of at most 5 s in: ${sockets}`);
    } finally {
      client.stdin!.end();
      await once(client, "exit");
    }
    await listen.printed(/keep-alive 5 s\/10 s\/3, dead peer detected within 40 s, 35 s after activity/, "stderr");
    await listen.printed(/ended: fin/, "stderr");
    const { code } = await listen.stop("SIGTERM");
    assert.deepEqual({ code, stdout: listen.stdout }, { code: 0, stdout: "sensor 1: 21.5\n" });
  });

  test("holdfast connect sends stdin to a Python server that prints it byte by byte", async () => {
    const server = namespace.spawn("/usr/bin/python3", ["-c", SERVER], { stdio: ["ignore", "pipe", "inherit"] });
    const serverEnd = once(server, "close");
    let printed = "";
    server.stdout!.setEncoding("utf8").on("data", (text: string) => (printed += text));
    await once(server.stdout!, "data");
    const connect = new Holdfast(["connect", "localhost:12345"], { namespace });
    connect.child.stdin!.end("Hello\nover a long connection\n");
    assert.equal((await connect.ended()).code, 0, connect.stderr);
    await serverEnd;
    assert.equal(printed, "listening\nHello\nover a long connection\n");
  });
});

suite("the server as it is printed", requires("root", "iproute2", "tcpdump"), () => {
  for (const [asked, probes] of [
    ["class", false],
    ["module", true],
  ] as const) {
    test(`with hasattr asked of the ${asked} it sends ${probes ? "a probe a second" : "nothing on an idle connection"}`, async () => {
      using namespace = new Namespace();
      const server = namespace.spawn("/usr/bin/python3", ["-c", PRINTED_SERVER, asked], {
        stdio: ["ignore", "ignore", "pipe"],
      });
      const ended = once(server, "exit");
      await once(server.stderr!, "data");
      const client = new Holdfast(["connect", "127.0.0.1:12345", "--idle", "1h"], { namespace });
      await client.printed(/connected/, "stderr");
      const packets = namespace.spawn("tcpdump", ["-nlU", "-i", "lo", "-c", "4", "tcp", "port", "12345"], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      await once(packets.stderr!, "data"); // it listens
      let seen = "";
      packets.stdout!.setEncoding("utf8").on("data", (text: string) => (seen += text));
      if (probes) await once(packets, "exit");
      else await new Promise((resolve) => setTimeout(resolve, 3000));
      packets.kill();
      // A probe has a number below the next, and no data; the client's kernel answers.
      if (probes) assert.match(seen, /12345 > .*length 0\n.*> 127\.0\.0\.1\.12345: .*length 0\n/);
      else assert.equal(seen, "");
      client.child.stdin!.end();
      await ended;
    });
  }
});

test("listen --by byte --format python prints every byte as that server does", requires("root", "iproute2"), async () => {
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const script = "import sys\nfor byte in sys.stdin.buffer.read(): print(bytes([byte]))";
  const expected = execFileSync("/usr/bin/python3", ["-c", script], { input: everyByte }).toString();
  await using listen = new Holdfast(["listen", "0", "--by", "byte", "--format", "python"]);
  const [, port] = await listen.printed(/listening on 127\.0\.0\.1:(\d+)/, "stderr");
  connectSocket(Number(port), "127.0.0.1").end(everyByte);
  await listen.printed(/b'\\xff'\n/);
  assert.equal(listen.stdout, expected);
  assert.match(listen.stderr, /asks the class, which has no such name, and never sends a probe; write 'import socket'/);
});

test("a connection accepted without options reads back from the kernel as the lecture's 5 s, 10 s, 3", async () => {
  const server = await listenHere({ port: 0 });
  const client = connectSocket(server.port, "127.0.0.1");
  client.write("hello");
  await once(server, "bytes");
  const [stats] = server.stats().connections;
  assert.deepEqual(stats?.keepAlive, { on: true, idleMs: 5000, intervalMs: 10_000, count: 3, userTimeoutMs: 34_000 });
  assert.ok(stats!.nextProbeInMs! > 4000 && stats!.nextProbeInMs! <= 5200, `next probe in ${stats!.nextProbeInMs} ms`);
  assert.equal(stats?.bytesIn, 5);
  client.destroy();
  await server.close();
});
