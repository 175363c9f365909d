/**
 * Load for a server that speaks memcached's text protocol: as light as it can be made, so that the server is what is measured,
 * and the same for every server. Invariant: every key is stored and every value is as long as the next, so a batch's replies have
 * a length known beforehand; the generator counts bytes and parses nothing. A reply of another length stalls its connection, and
 * the run ends with an error. `verify` compares whole replies once, before anything is measured.
 */
import { once } from "node:events";
import { createConnection, type NetConnectOpts, type Socket } from "node:net";
import { between, type Random } from "../../src/core/random.ts";

/** Commands sent in one write, and what the server must answer. */
export interface Batch {
  readonly request: Uint8Array;
  readonly replyBytes: number;
  readonly operations: number;
}

/** What is stored: `count` keys, each with a value of `valueBytes` bytes. */
export interface KeySpace {
  readonly count: number;
  readonly valueBytes: number;
}

/** 512: more than 16 for each of 32 connections, so that neither side profits from seeing the same keys in the same order. */
const BATCHES = 512;

/** 64 KiB: what Node reads from a socket at once by default. */
const READ_BYTES = 64 * 1024;

/** 20 s without any reply: a lost or longer reply, not a slow server. */
const STALL_MS = 20_000;

/** Eight digits: five million keys of one length. */
function keyOf(index: number): string {
  return `key:${String(index).padStart(8, "0")}`;
}

function valueOf({ valueBytes }: KeySpace): string {
  return "v".repeat(valueBytes);
}

function setOf(keys: KeySpace, index: number): string {
  return `set ${keyOf(index)} 0 0 ${keys.valueBytes}\r\n${valueOf(keys)}\r\n`;
}

function hitOf(keys: KeySpace, index: number): string {
  return `VALUE ${keyOf(index)} 0 ${keys.valueBytes}\r\n${valueOf(keys)}\r\n`;
}

/** Batches of `pipeline` commands each: `get` of one key, and every tenth on average a `set`. */
export function mixedBatches(keys: KeySpace, pipeline: number, random: Random): readonly Batch[] {
  return Array.from({ length: BATCHES }, () => {
    let request = "";
    let replyBytes = 0;
    for (let command = 0; command < pipeline; command += 1) {
      const index = between(random, 0, keys.count - 1);
      const write = random() < 0.1;
      request += write ? setOf(keys, index) : `get ${keyOf(index)}\r\n`;
      replyBytes += write ? "STORED\r\n".length : hitOf(keys, index).length + "END\r\n".length;
    }
    return { request: Buffer.from(request), replyBytes, operations: pipeline };
  });
}

/** Batches of one `get` that names `width` keys; each key counts as an operation. */
export function multiGetBatches(keys: KeySpace, width: number, random: Random): readonly Batch[] {
  return Array.from({ length: BATCHES }, () => {
    const indices = Array.from({ length: width }, () => between(random, 0, keys.count - 1));
    const request = Buffer.from(`get ${indices.map(keyOf).join(" ")}\r\n`);
    return { request, replyBytes: width * hitOf(keys, 0).length + "END\r\n".length, operations: width };
  });
}

/** Stores every key, a thousand a write. */
export async function fill(at: NetConnectOpts, keys: KeySpace): Promise<void> {
  const socket = createConnection(at);
  await once(socket, "connect");
  for (let start = 0; start < keys.count; start += 1000) {
    const end = Math.min(start + 1000, keys.count);
    let request = "";
    for (let index = start; index < end; index += 1) request += setOf(keys, index);
    const answer = await exchange(socket, Buffer.from(request), (end - start) * "STORED\r\n".length);
    if (answer !== "STORED\r\n".repeat(end - start)) throw new Error(`Cannot fill the server: it says ${answer.slice(0, 80)}`);
  }
  socket.destroy();
}

/** Reads keys back and compares every byte, so that a fast wrong answer is never measured. */
export async function verify(at: NetConnectOpts, keys: KeySpace, random: Random): Promise<void> {
  const socket = createConnection(at);
  await once(socket, "connect");
  const indices = Array.from({ length: 100 }, () => between(random, 0, keys.count - 1));
  const wanted = `${indices.map((index) => hitOf(keys, index)).join("")}END\r\n`;
  const answer = await exchange(socket, Buffer.from(`get ${indices.map(keyOf).join(" ")}\r\n`), wanted.length);
  socket.destroy();
  if (answer !== wanted) throw new Error(`Cannot measure the server: its answer to a get is wrong: ${answer.slice(0, 80)}`);
}

async function exchange(socket: Socket, request: Uint8Array, replyBytes: number): Promise<string> {
  let answer = "";
  const late = setTimeout(
    () => socket.destroy(new Error(`the server stalls after ${JSON.stringify(answer.slice(-80))}`)),
    STALL_MS,
  );
  try {
    socket.write(request);
    while (answer.length < replyBytes) answer += String((await once(socket, "data"))[0]);
    return answer;
  } finally {
    clearTimeout(late);
  }
}

/** Connections that keep one batch each in flight: as soon as its replies are in, the next one goes out. */
export class ClosedLoop {
  readonly #batches: readonly Batch[];
  readonly #sockets: Socket[] = [];
  readonly #shared = new Uint8Array(READ_BYTES);
  #running = true;
  #failure: Error | undefined;

  /** Operations answered since the start. */
  operations = 0;

  constructor(batches: readonly Batch[]) {
    this.#batches = batches;
  }

  /** Opens the connections and begins to send. */
  async start(at: NetConnectOpts, connections: number): Promise<void> {
    for (let index = 0; index < connections; index += 1) {
      let next = Math.floor((index * this.#batches.length) / connections);
      let batch = this.#batches[next]!;
      let missing = 0;
      const send = (): void => {
        next = (next + 1) % this.#batches.length;
        batch = this.#batches[next]!;
        missing = batch.replyBytes;
        socket.write(batch.request);
      };
      const onBytes = (count: number): boolean => {
        missing -= count;
        if (missing === 0) {
          this.operations += batch.operations;
          if (this.#running) send();
        } else if (missing < 0) this.#failure = new Error("the server sent more than it was asked for");
        return true;
      };
      const socket = createConnection({ ...at, noDelay: true, onread: { buffer: this.#shared, callback: onBytes } });
      socket.on("error", (error) => (this.#failure = error));
      this.#sockets.push(socket);
      await once(socket, "connect");
      send();
    }
  }

  /**
   * Lets the load run and tells how many operations were answered meanwhile.
   *
   * @throws Error when the server closed a connection, answered too much, or nothing at all
   */
  async run(ms: number): Promise<number> {
    const before = this.operations;
    const giveUpAt = performance.now() + STALL_MS;
    do {
      await new Promise((resolve) => void setTimeout(resolve, ms));
      if (this.#failure) throw this.#failure;
      if (performance.now() > giveUpAt) throw new Error(`the server answered nothing for ${STALL_MS} ms`);
    } while (this.operations === before); // on a machine that is busy otherwise the server may not have had its turn yet
    return this.operations - before;
  }

  stop(): void {
    this.#running = false;
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** What an open loop saw. Latency counts from the moment a request was due, not from when it could be sent. */
export interface Latencies {
  readonly operations: number;
  /** Microseconds that the given share (0.999) of the requests stayed below. */
  quantileUs(share: number): number;
}

/**
 * Sends single commands at a fixed rate, whatever the server does, and measures each one's latency.
 *
 * @param batches of one command each
 */
export async function openLoop(
  at: NetConnectOpts,
  batches: readonly Batch[],
  { connections, perSecond, ms }: { connections: number; perSecond: number; ms: number },
): Promise<Latencies> {
  const total = Math.floor((perSecond * ms) / 1000);
  const latencies = new Float64Array(total);
  const seen: { answered: number; failure?: Error } = { answered: 0 };
  const settle = (dueMs: number): void => {
    latencies[seen.answered] = performance.now() - dueMs;
    seen.answered += 1;
  };
  const buffer = new Uint8Array(READ_BYTES);
  const lanes = await Promise.all(Array.from({ length: connections }, () => openLane(at, buffer, settle)));
  for (const { socket } of lanes) socket.on("error", (error) => (seen.failure = error));

  const startMs = performance.now();
  let sent = 0;
  while (seen.answered < total) {
    const nowMs = performance.now();
    for (let dueMs = startMs + (sent * 1000) / perSecond; sent < total && dueMs <= nowMs;) {
      lanes[sent % connections]!.send(batches[sent % batches.length]!, dueMs);
      sent += 1;
      dueMs = startMs + (sent * 1000) / perSecond;
    }
    if (seen.failure) throw seen.failure;
    if (nowMs > startMs + ms + STALL_MS) throw new Error(`the server owes ${total - seen.answered} answers`);
    await new Promise((resolve) => void setImmediate(resolve)); // not a timer: those wake a millisecond late
  }
  for (const { socket } of lanes) socket.destroy();
  latencies.sort();
  return { operations: total, quantileUs: (share) => latencies[Math.min(total - 1, Math.floor(total * share))]! * 1000 };
}

/** One connection of an open loop. */
interface Lane {
  readonly socket: Socket;
  send(batch: Batch, dueMs: number): void;
}

/** @param settle told when each request was due, once its reply is in */
async function openLane(at: NetConnectOpts, buffer: Uint8Array, settle: (dueMs: number) => void): Promise<Lane> {
  const owed: { missing: number; readonly dueMs: number }[] = []; // oldest first
  const callback = (count: number): boolean => {
    for (let rest = count; rest > 0;) {
      const first = owed[0];
      if (!first) throw new Error("the server sent more than it was asked for");
      const taken = Math.min(rest, first.missing);
      first.missing -= taken;
      rest -= taken;
      if (first.missing > 0) return true;
      owed.shift();
      settle(first.dueMs);
    }
    return true;
  };
  const socket = createConnection({ ...at, noDelay: true, onread: { buffer, callback } });
  await once(socket, "connect");
  return {
    socket,
    send({ request, replyBytes }, dueMs) {
      owed.push({ missing: replyBytes, dueMs });
      socket.write(request);
    },
  };
}
