/**
 * One end of the torture, a process of its own that may be killed at any moment: `torture-end.ts ROLE ARGS…`. A sender says by IPC what it
 * has given to its client ("taken"), how long after that it knew what became of it ("knew"), and of what it was told that it may not have
 * arrived ("told"). A receiver writes what it has into a file before it confirms.
 */
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import mqtt from "mqtt";
import { connect, listen } from "../../src/link/index.ts";

const [role, ...args] = process.argv.slice(2) as [string, ...string[]];

/** 200 bytes, of which the first say which message it is. */
const text = (run: string, number: number): string => `${run}.${number}`.padEnd(200, " ");

function store(file: string, message: string): void {
  appendFileSync(file, `${message.trimEnd()}\n`);
}

function say(message: Readonly<Record<string, number | string>>): void {
  process.send!(message);
}

/** Sends at a steady rate, whatever becomes of it; says "done" when all is settled. */
async function sendAll(
  { run, count, perSecond }: { run: string; count: number; perSecond: number },
  send: (message: string, id: string) => Promise<unknown>,
): Promise<void> {
  const startMs = performance.now();
  const open: Promise<void>[] = [];
  for (let number = 1; number <= count;) {
    const due = Math.min(count, Math.ceil(((performance.now() - startMs) * perSecond) / 1000));
    for (; number <= due; number += 1) {
      const sentMs = performance.now();
      const knew = (): void => say({ knew: performance.now() - sentMs });
      open.push(
        send(text(run, number), `${run}.${number}`).then(knew, () => {
          knew();
          say({ told: 1 });
        }),
      );
    }
    // A client that writes at the end of a turn has it now.
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    say({ taken: number - 1 });
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await Promise.all(open);
}

interface Sending {
  readonly port: number;
  readonly run: string;
  readonly count: number;
  readonly perSecond: number;
  readonly folder: string;
  /** How long a silent server is believed to be there: longer than the line is long. */
  readonly patienceMs: number;
}

function sending(): Sending {
  const [port, run, count, perSecond, folder, patienceMs] = args as [string, string, string, string, string, string];
  return {
    port: Number(port),
    run,
    count: Number(count),
    perSecond: Number(perSecond),
    folder,
    patienceMs: Number(patienceMs),
  };
}

/** What is used of socket.io, which is installed for the bench alone. */
interface IoSocket {
  emitWithAck(event: string, message: string): Promise<unknown>;
  on(event: string, listener: (message: string, done: () => void) => void): void;
  close(): void;
}
interface IoServer {
  on(event: "connection", listener: (socket: IoSocket) => void): void;
}

const ROLES: Readonly<Record<string, () => Promise<void>>> = {
  "holdfast-server": async () => {
    const [port, file] = args as [string, string];
    await listen({
      port: Number(port),
      session: { heartbeatMin: "200ms", onMessage: (_session, message) => store(file, Buffer.from(message).toString()) },
    });
    say({ ready: 1 });
  },
  "holdfast-sender": async () => {
    const { port, folder, patienceMs, ...how } = sending();
    const client = await connect({
      port,
      session: { name: "sensor", spool: join(folder, "outbox"), heartbeat: patienceMs },
      reconnect: { base: 100, cap: 500 },
    });
    // Each that may not have arrived is told by an event, those too that a sender before this one left in the spool; its promise says it again.
    client.on("gap", ({ count }) => say({ told: count }));
    await sendAll(how, (message) => client.send(message).catch(() => {}));
    while (client.unconfirmed.messages > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    say({ done: 1 });
  },
  "socketio-server": async () => {
    const [port, file, packages, patienceMs] = args as [string, string, string, string];
    const { Server } = createRequire(join(packages, "x.js"))("socket.io") as {
      Server: new (http: unknown, options: object) => IoServer;
    };
    const http = createServer();
    const io = new Server(http, {
      connectionStateRecovery: { maxDisconnectionDuration: 120_000 },
      pingInterval: Number(patienceMs),
      pingTimeout: Number(patienceMs),
      transports: ["websocket"],
    });
    io.on("connection", (socket) =>
      socket.on("message", (message, done) => {
        store(file, message);
        done();
      }),
    );
    http.listen(Number(port), "127.0.0.1", () => say({ ready: 1 }));
  },
  "socketio-sender": async () => {
    const { port, folder, patienceMs, ...how } = sending();
    const { io } = createRequire(join(folder, "x.js"))("socket.io-client") as {
      io: (url: string, options: object) => IoSocket;
    };
    const socket = io(`http://127.0.0.1:${port}`, {
      transports: ["websocket"],
      ackTimeout: 4 * patienceMs,
      retries: 100,
      reconnectionDelay: 100,
      reconnectionDelayMax: 500,
    });
    await sendAll(how, (message) => socket.emitWithAck("message", message));
    say({ done: 1 });
  },
  "mqtt-subscriber": async () => {
    const [port, file] = args as [string, string];
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
      clientId: "subscriber",
      clean: false,
      reconnectPeriod: 100,
      resubscribe: false,
    });
    client.on("message", (_topic, message) => store(file, message.toString()));
    await client.subscribeAsync("torture", { qos: 1 });
    say({ ready: 1 });
  },
  "mqtt-sender": async () => {
    const { port, folder: _, patienceMs, ...how } = sending();
    const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
      clientId: "sensor",
      clean: false,
      keepalive: patienceMs / 1000,
      reconnectPeriod: 100,
      connectTimeout: 10 * patienceMs,
    });
    client.on("error", () => {});
    await sendAll(how, (message) => client.publishAsync("torture", message, { qos: 1 }));
    say({ done: 1 });
  },
  "jetstream-subscriber": async () => {
    const [port, file] = args as [string, string];
    const nats = await connectNats({ servers: `127.0.0.1:${port}`, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
    const manager = await jetstreamManager(nats);
    await manager.streams.add({ name: "torture", subjects: ["torture"], duplicate_window: 120_000_000_000 });
    await manager.consumers.add("torture", {
      durable_name: "store",
      ack_policy: AckPolicy.Explicit,
      ack_wait: 5_000_000_000,
      max_ack_pending: 1, // or order would be lost with the first that is sent again
    });
    const consumer = await jetstream(nats).consumers.get("torture", "store");
    say({ ready: 1 });
    for (;;) {
      try {
        for await (const message of await consumer.consume()) {
          store(file, message.string());
          await message.ackAck();
        }
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 100)); // the server is away
      }
    }
  },
  "jetstream-sender": async () => {
    const { port, folder: _, patienceMs, ...how } = sending();
    const nats = await connectNats({
      servers: `127.0.0.1:${port}`,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 100,
      pingInterval: patienceMs,
      waitOnFirstConnect: true,
      timeout: 10 * patienceMs,
    });
    const stream = jetstream(nats, { timeout: 4 * patienceMs });
    // As its documentation says: published again under the same id until it is acknowledged.
    const publish = async (message: string, id: string): Promise<void> => {
      for (;;) {
        try {
          await stream.publish("torture", message, { msgID: id });
          return;
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
    };
    await sendAll(how, publish);
    say({ done: 1 });
  },
};

process.on("disconnect", () => process.exit());
await ROLES[role]!();
