/**
 * Real traffic for the tests, run inside a network namespace of its own: `unshare -n node lab-traffic.ts FILE`. Captures loopback
 * with tcpdump into FILE while four connections live: one whose keep-alive probes are answered and then not, one that must
 * retransmit, one whose reader stops (zero window), and one that talks memcached. 127.0.0.3 and 127.0.0.4 lose what they send once
 * their route is a black hole; nothing is simulated.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const file = process.argv[2]!;
const ip = (...args: string[]): void => void execFileSync("ip", args);

// Our rules must come before the one that delivers local addresses, which is the first of all by default.
ip("link", "set", "lo", "up");
ip("rule", "add", "pref", "100", "lookup", "local");
ip("rule", "del", "pref", "0");
const cut = (address: string): void => ip("rule", "add", "pref", "50", "from", address, "blackhole");

const capture = spawn("tcpdump", ["-i", "lo", "-n", "-U", "--immediate-mode", "-B", "16384", "-w", file, "tcp"], {
  stdio: ["ignore", "ignore", "pipe"],
});
await once(capture.stderr, "data");

const accepted = new Map<string, Socket>();
const server = createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => socket.destroy());
  accepted.set(socket.remoteAddress!, socket);
});
server.listen(7000, "127.0.0.1");
await once(server, "listening");

/** A connection from an address of its own; resolves to both its ends. */
async function pair(localAddress: string): Promise<{ client: Socket; server: Socket }> {
  const client = connect({ host: "127.0.0.1", port: 7000, localAddress, noDelay: true });
  client.on("error", () => client.destroy());
  await once(client, "connect");
  while (!accepted.has(localAddress)) await sleep(5);
  return { client, server: accepted.get(localAddress)! };
}

async function keepAlive(): Promise<void> {
  const { client, server } = await pair("127.0.0.3");
  client.resume();
  server.setKeepAlive(true, 1000, 1000, 2);
  server.write("armed");
  await sleep(3600);
  cut("127.0.0.3");
  await new Promise((resolve) => server.once("close", resolve)); // with ETIMEDOUT
  client.destroy();
}

async function retransmissions(): Promise<void> {
  const { client, server } = await pair("127.0.0.4");
  client.resume();
  server.write("heard\n");
  await sleep(300);
  cut("127.0.0.4");
  server.write("never acknowledged\n");
  await sleep(3500);
  server.destroy();
  client.destroy();
}

async function zeroWindow(): Promise<void> {
  const { client, server } = await pair("127.0.0.5");
  client.pause();
  for (let written = 0; written < 6 * 1024 * 1024; written += 65_536) server.write(Buffer.alloc(65_536));
  await sleep(2500);
  client.resume();
  await sleep(300);
  client.end();
  server.end();
  await sleep(200);
}

async function memcached(): Promise<void> {
  const { client, server } = await pair("127.0.0.6");
  server.on("data", (bytes) => server.write(bytes.toString().startsWith("set") ? "STORED\r\n" : "END\r\n"));
  client.resume();
  for (let round = 0; round < 20; round += 1) {
    client.write(`set key:${round} 0 0 5\r\nhello\r\n`);
    await sleep(10);
    client.write(`get key:${round}\r\n`);
    await sleep(10);
  }
  client.end();
  server.end();
}

await Promise.all([keepAlive(), retransmissions(), zeroWindow(), memcached()]);
await sleep(300);
capture.kill("SIGINT");
await once(capture, "close");
process.exit(0);
