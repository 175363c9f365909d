/**
 * ● A session client's file: what it has been given to send and is not done, under which session and numbers, and how far the server's
 * messages were handled. The next process goes on where one that was killed stopped. Records are appended, and are in the file before
 * what they say is written to a connection; nothing waits for the disk, so that a power cut may lose the last of them. Invariant: what a
 * reader of the file would restore is what the client has now, but for messages taken in this turn.
 */
import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { resolve } from "node:path";
import { ByteReader } from "../../../core/byte-reader.ts";
import { ByteWriter } from "../../../core/byte-writer.ts";
import { UsageError } from "../../../core/errors.ts";
import { SPOOL_BYTES_LOOSE } from "../../limits.ts";
import { SESSION_ID_BYTES } from "../body.ts";
import type { Clock } from "../../../core/clock.ts";
import type { OutgoingMessage } from "../outgoing-message.ts";
import type { Spool, SpooledMessage } from "./spool.ts";

const RECORD = { session: 1, known: 2, message: 4, number: 5, settled: 6, handled: 7 } as const;
const HEAD_BYTES = 5;

/** What a file says. */
interface Left {
  sessionId: Uint8Array | undefined;
  serverKnows: boolean;
  handled: number;
  readonly messages: Map<number, { -readonly [Key in keyof SpooledMessage]: SpooledMessage[Key] }>;
}

export class SpoolFile implements Spool {
  readonly left: Spool["left"];
  readonly #path: string;
  readonly #lock: string;
  readonly #clock: Clock;
  #fd: number;
  /** Those that are not done, and what the file calls them. */
  readonly #ids = new Map<OutgoingMessage, number>();
  #lastId = 0;
  #pending: Uint8Array[] = [];
  #scheduled: NodeJS.Immediate | undefined;
  #fileBytes = 0;
  #closed = false;
  #session: { id: Uint8Array; known: boolean; handled: number };

  /** @throws UsageError LINK_OPTION_INVALID when another process has it; the system's error when it cannot be opened */
  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#clock = clock;
    this.#lock = resolve(`${path}.lock`);
    lock(this.#lock);
    const left = existsSync(path) ? read(readFileSync(path), clock.wallMs()) : nothingLeft();
    this.#session = { id: left.sessionId ?? new Uint8Array(0), known: left.serverKnows, handled: left.handled };
    this.left = { ...left, messages: [...left.messages.values()] };
    this.#fd = openSync(path, "a", 0o600);
  }

  /** Messages that the process before had are this one's. The file is written anew, without what is done. */
  restored(messages: readonly OutgoingMessage[]): void {
    for (const message of messages) this.#name(message);
    this.#rewrite();
  }

  began(id: Uint8Array): void {
    this.#session = { id, known: false, handled: 0 };
    this.#append(RECORD.session, id);
  }

  opened(): void {
    if (this.#session.known) return;
    this.#session.known = true;
    this.#append(RECORD.known);
  }

  pushed(message: OutgoingMessage): void {
    this.#append(RECORD.message, this.#encode(message, this.#name(message)));
  }

  numbered(message: OutgoingMessage): void {
    const id = this.#ids.get(message);
    if (id !== undefined) this.#append(RECORD.number, new ByteWriter().u32(id).u64(BigInt(message.number)).take());
  }

  settled(message: OutgoingMessage): void {
    const id = this.#ids.get(message);
    if (id === undefined) return;
    this.#ids.delete(message);
    this.#append(RECORD.settled, new ByteWriter().u32(id).take());
  }

  handled(done: number): void {
    if (done <= this.#session.handled) return;
    this.#session.handled = done;
    this.#append(RECORD.handled, u64(done));
  }

  flush(): void {
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    if (this.#pending.length === 0) return;
    const bytes = Buffer.concat(this.#pending);
    this.#pending = [];
    for (let at = 0; at < bytes.length;) at += writeSync(this.#fd, bytes, at);
    this.#fileBytes += bytes.length;
    if (this.#fileBytes <= SPOOL_BYTES_LOOSE) return;
    let live = 0;
    for (const message of this.#ids.keys()) live += message.bytes.length;
    if (this.#fileBytes > 2 * live + SPOOL_BYTES_LOOSE) this.#rewrite();
  }

  /** The client is done. */
  close(): void {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    OPEN.delete(this.#lock);
    if (this.#ids.size === 0) ftruncateSync(this.#fd);
    closeSync(this.#fd);
    rmSync(this.#lock, { force: true });
  }

  #name(message: OutgoingMessage): number {
    this.#lastId += 1;
    this.#ids.set(message, this.#lastId);
    return this.#lastId;
  }

  #append(type: number, body: Uint8Array = new Uint8Array(0)): void {
    if (this.#closed) return;
    this.#pending.push(record(type, body));
    this.#scheduled ??= setImmediate(() => this.flush());
  }

  #rewrite(): void {
    const { id, known, handled } = this.#session;
    const records: Uint8Array[] = [];
    if (id.length > 0) records.push(record(RECORD.session, id));
    if (known) records.push(record(RECORD.known, new Uint8Array(0)));
    records.push(record(RECORD.handled, u64(handled)));
    for (const [message, each] of this.#ids) {
      records.push(record(RECORD.message, this.#encode(message, each)));
      if (message.number > 0)
        records.push(record(RECORD.number, new ByteWriter().u32(each).u64(BigInt(message.number)).take()));
    }
    const bytes = Buffer.concat(records);
    writeFileSync(`${this.#path}.new`, bytes, { mode: 0o600 });
    renameSync(`${this.#path}.new`, this.#path);
    closeSync(this.#fd);
    this.#fd = openSync(this.#path, "a", 0o600);
    this.#fileBytes = bytes.length;
    this.#pending = [];
  }

  #encode({ isTopic, urgent, deadlineMs, bytes }: OutgoingMessage, id: number): Uint8Array {
    const flags = (isTopic ? 1 : 0) | (urgent ? 2 : 0);
    const keepUntilMs = this.#clock.wallMs() + deadlineMs - this.#clock.now();
    return new ByteWriter()
      .u32(id)
      .u8(flags)
      .u64(BigInt(Math.round(keepUntilMs)))
      .bytes(bytes)
      .take();
  }
}

class SpoolReader extends ByteReader {
  override invalid(what: string): Error {
    return new Error(`Cannot read the spool: it has ${what}`);
  }
}

function nothingLeft(): Left {
  return { sessionId: undefined, serverKnows: false, handled: 0, messages: new Map() };
}

/** A record that was cut off when the process was killed is the last one, and was never acted on. */
function read(bytes: Uint8Array, wallMs: number): Left {
  const left = nothingLeft();
  for (let at = 0; at + HEAD_BYTES <= bytes.length;) {
    const head = new SpoolReader(bytes.subarray(at, at + HEAD_BYTES));
    const type = head.u8();
    const length = head.u32();
    const from = at + HEAD_BYTES;
    if (from + length > bytes.length) break;
    apply(left, { type, body: new SpoolReader(bytes.subarray(from, from + length)), wallMs });
    at = from + length;
  }
  return left;
}

function apply(left: Left, { type, body, wallMs }: { type: number; body: ByteReader; wallMs: number }): void {
  switch (type) {
    case RECORD.session:
      left.sessionId = new Uint8Array(body.view(SESSION_ID_BYTES));
      left.serverKnows = false;
      left.handled = 0;
      for (const message of left.messages.values()) message.number = 0;
      return;
    case RECORD.known:
      left.serverKnows = true;
      return;
    case RECORD.message: {
      const id = body.u32();
      const flags = body.u8();
      const keepForMs = body.u64() - wallMs;
      const bytes = new Uint8Array(body.view(body.left));
      left.messages.set(id, { number: 0, isTopic: (flags & 1) > 0, urgent: (flags & 2) > 0, keepForMs, bytes });
      return;
    }
    case RECORD.number: {
      const message = left.messages.get(body.u32());
      if (message) message.number = body.u64();
      return;
    }
    case RECORD.settled:
      left.messages.delete(body.u32());
      return;
    case RECORD.handled:
      left.handled = body.u64();
  }
}

function record(type: number, body: Uint8Array): Uint8Array {
  return new ByteWriter().u8(type).u32(body.length).bytes(body).take();
}

function u64(number: number): Uint8Array {
  return new ByteWriter().u64(BigInt(number)).take();
}

/** Locks that this process holds. */
const OPEN = new Set<string>();

/** The lock of a process that is no more is taken over. */
function lock(path: string): void {
  const holder = existsSync(path) ? Number(readFileSync(path, "utf8")) : 0;
  if (OPEN.has(path) || (holder > 0 && holder !== process.pid && isAlive(holder)))
    throw new UsageError("LINK_OPTION_INVALID", `Cannot open the spool: process ${holder} has it (${path})`);
  writeFileSync(path, String(process.pid), { mode: 0o600 });
  OPEN.add(path);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false; // there is no such process
  }
}
