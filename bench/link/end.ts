/**
 * One end of the link bench, a process of its own: `end.ts ROLE ARGS…`. Talks to the bench over Node's IPC: says `{ port }` when it
 * listens, `{ ready }` when all its connections stand, and does what it is told.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createServer as createTcpServer } from "node:net";
import { Aedes } from "aedes";
import mqtt from "mqtt";
import { WebSocket, WebSocketServer } from "ws";
import { connect, listen } from "../../src/link/index.ts";

/** A contender sends this many messages and resolves when all have arrived. */
type Sender = (count: number) => Promise<void>;

const MESSAGE = Buffer.alloc(100, 0x61);
/** Messages on their way at a time: enough to keep both ends busy, few enough to stay in the processor's cache. */
const WINDOW = 1000;
/** Connections made at a time, below the accept queue of the smallest somaxconn. */
const CONNECTING = 100;

const [role, ...args] = process.argv.slice(2);

function say(message: unknown): void {
  process.send!(message);
}

const ROLES: Readonly<Record<string, () => Promise<void>>> = {
  "byte-server": async () => say({ port: (await listen({ port: 0, connectionsMax: 100_000 })).port }),
  "session-server": async () => {
    const heartbeat = args[0] ?? "30s";
    say({ port: (await listen({ port: 0, connectionsMax: 100_000, session: { heartbeat, sessionsMax: 100_000 } })).port });
  },
  "stored-server": async () => say({ port: (await listen({ port: 0, session: { store: args[0]! } })).port }),
  "many-senders": async () => {
    const [port, sessions] = args.map(Number);
    const clients = await Promise.all(Array.from({ length: sessions! }, () => connect({ port: port!, session: {} })));
    send(async (count) => {
      await Promise.all(clients.map((client) => windowed(count / sessions!, () => client.send(MESSAGE))));
    });
  },
  "byte-clients": () => hold((localAddress, port) => connect({ port, localAddress })),
  "session-clients": () => hold((localAddress, port) => connect({ port, localAddress, session: {} })),
  "ws-server": async () => {
    const http = createServer();
    const server = new WebSocketServer({ server: http, perMessageDeflate: false });
    let due = Infinity;
    server.on("connection", (socket) =>
      socket.on("message", (bytes: Buffer) => {
        if (bytes.length === 8) due = Number(bytes.readBigUInt64BE());
        else due -= 1;
        if (due === 0) socket.send("done");
      }),
    );
    http.listen(0, "127.0.0.1", () => say({ port: (http.address() as AddressInfo).port }));
  },
  "mqtt-server": async () => {
    const broker = await Aedes.createBroker();
    const server = createTcpServer((socket) => void broker.handle(socket));
    server.listen(0, "127.0.0.1", () => say({ port: (server.address() as AddressInfo).port }));
  },
  "session-sender": async () => {
    const client = await connect({ port: Number(args[0]), session: {} });
    send((count) => windowed(count, () => client.send(MESSAGE)));
  },
  "mqtt-sender": async () => {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${args[0]}`);
    send((count) => windowed(count, () => client.publishAsync("bench", MESSAGE, { qos: 1 })));
  },
  "ws-sender": async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${args[0]}`, { perMessageDeflate: false });
    await new Promise((resolve) => socket.once("open", resolve));
    send(async (count) => {
      const expected = Buffer.alloc(8);
      expected.writeBigUInt64BE(BigInt(count));
      socket.send(expected);
      const done = new Promise((resolve) => socket.once("message", resolve));
      for (let sent = 0; sent < count;) {
        for (; sent < count && socket.bufferedAmount < WINDOW * MESSAGE.length; sent += 1) socket.send(MESSAGE);
        await new Promise((resolve) => setImmediate(resolve));
      }
      await done;
    });
  },
};

/** Opens `count` connections to a port, spread over the addresses 127.0.0.FROM …, and keeps them. */
async function hold(open: (localAddress: string, port: number) => Promise<unknown>): Promise<void> {
  const [port, count, from] = args.map(Number) as [number, number, number];
  const held: unknown[] = [];
  while (held.length < count) {
    const batch = Array.from({ length: Math.min(CONNECTING, count - held.length) }, (_, index) =>
      open(`127.0.0.${from + ((held.length + index) % 4)}`, port),
    );
    held.push(...(await Promise.all(batch)));
  }
  say({ ready: held.length });
}

/** Sends as told, and says how long it took. */
function send(sender: Sender): void {
  process.on("message", ({ count }: { count: number }) => {
    const start = performance.now();
    void sender(count).then(() => say({ ms: performance.now() - start }));
  });
  say({ ready: 1 });
}

/** Keeps WINDOW confirmations awaited until `count` have come. */
async function windowed(count: number, sendOne: () => Promise<unknown>): Promise<void> {
  let sent = 0;
  const lane = async (): Promise<void> => {
    while (sent < count) {
      sent += 1;
      await sendOne();
    }
  };
  await Promise.all(Array.from({ length: WINDOW }, lane));
}

await ROLES[role!]!();
