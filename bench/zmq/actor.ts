/**
 * The bench's actor in TypeScript, the twin of libzmq.cpp: `node actor.ts MODULE ROLE bind|connect ENDPOINT SIZE [PUBLIC_KEY
 * SECRET_KEY SERVER_KEY]`. MODULE is `zeromq`, `holdfast` (the same code, the other import), or `holdfast-batch` (what only Holdfast
 * has: trySend, receiveBatch).
 */
import { createInterface } from "node:readline";

/** Questions under way in the pipelined test. */
const WINDOW = 128;

export const SUBSCRIBERS = 100;

interface AnySocket {
  bind(endpoint: string): Promise<void>;
  connect(endpoint: string): void;
  send(frames: Uint8Array | Uint8Array[]): Promise<void>;
  receive(): Promise<Buffer[]>;
  close(): unknown;
}

interface BatchSocket extends AnySocket {
  trySend(frames: Uint8Array | Uint8Array[]): string;
  receiveBatch(most?: number): Promise<Buffer[][]>;
}

type Play = (socket: AnySocket, count: number) => Promise<void>;

const [, , module_, role, how, endpoint, size, publicKey, secretKey, serverKey] = process.argv as [
  string,
  string,
  string,
  keyof typeof ROLES,
  "bind" | "connect",
  string,
  string,
  ...string[],
];
const body = Buffer.alloc(Number(size), "x");

const push: Play = async (socket, count) => {
  for (let at = 0; at < count; at += 1) await socket.send(body);
};

const pull: Play = async (socket, count) => {
  for (let at = 0; at < count; at += 1) await socket.receive();
};

const request: Play = async (socket, count) => {
  for (let at = 0; at < count; at += 1) {
    await socket.send(body);
    await socket.receive();
  }
};

const reply: Play = async (socket, count) => {
  for (let at = 0; at < count; at += 1) await socket.send(await socket.receive());
};

const deal: Play = async (socket, count) => {
  let sent = 0;
  for (; sent < WINDOW && sent < count; sent += 1) await socket.send(body);
  for (let at = 0; at < count; at += 1) {
    await socket.receive();
    if (sent < count) {
      await socket.send(body);
      sent += 1;
    }
  }
};

/** Sends without a promise while there is room; else the promise to wait for. */
function sendNow(socket: BatchSocket, frames: Uint8Array | Uint8Array[]): Promise<void> | undefined {
  return socket.trySend(frames) === "sent" ? undefined : socket.send(frames);
}

const pushBatch: Play = async (socket, count) => {
  for (let at = 0; at < count; at += 1) {
    const waiting = sendNow(socket as BatchSocket, body);
    if (waiting) await waiting;
  }
};

const pullBatch: Play = async (socket, count) => {
  for (let left = count; left > 0;) left -= (await (socket as BatchSocket).receiveBatch(Math.min(left, 256))).length;
};

const dealBatch: Play = async (socket, count) => {
  const dealer = socket as BatchSocket;
  let sent = 0;
  for (; sent < WINDOW && sent < count; sent += 1) await dealer.send(body);
  for (let received = 0; received < count;) {
    const batch = await dealer.receiveBatch();
    received += batch.length;
    for (let at = 0; at < batch.length && sent < count; at += 1) {
      const waiting = sendNow(dealer, body);
      if (waiting) await waiting;
      sent += 1;
    }
  }
};

const routeBatch: Play = async (socket, count) => {
  const router = socket as BatchSocket;
  for (let left = count; left > 0;) {
    const batch = await router.receiveBatch(Math.min(left, 256));
    left -= batch.length;
    for (const message of batch) {
      const waiting = sendNow(router, message);
      if (waiting) await waiting;
    }
  }
};

/** Role → socket class, and how it is played with each style of code. */
const ROLES = {
  push: { type: "Push", plain: push, batch: pushBatch },
  pull: { type: "Pull", plain: pull, batch: pullBatch },
  request: { type: "Request", plain: request, batch: request },
  reply: { type: "Reply", plain: reply, batch: reply },
  deal: { type: "Dealer", plain: deal, batch: dealBatch },
  route: { type: "Router", plain: reply, batch: routeBatch },
  publish: { type: "XPublisher", plain: push, batch: pushBatch },
  subscribe: { type: "Subscriber", plain: pull, batch: pullBatch },
} as const;

const zmq = (module_ === "zeromq" ? await import("zeromq") : await import("../../src/zmq/index.ts")) as unknown as Record<
  string,
  new (options: object) => AnySocket
>;
const { type, plain, batch } = ROLES[role];
const socket = new zmq[type]!({
  linger: 0,
  ...(role === "publish" && { sendHighWaterMark: 0, verbosity: "allSubs" }),
  ...(publicKey && { curvePublicKey: publicKey, curveSecretKey: secretKey }),
  ...(publicKey && (how === "bind" ? { curveServer: true } : { curveServerKey: serverKey })),
});
if (how === "bind") await socket.bind(endpoint);
else socket.connect(endpoint);
console.log("bound");
if (role === "publish") await pull(socket, SUBSCRIBERS); // all have subscribed
console.log("ready");

const play = module_ === "holdfast-batch" ? batch : plain;
for await (const line of createInterface({ input: process.stdin })) {
  await play(socket, Number(line.slice("run ".length)));
  console.log("ok");
}
await socket.close();
