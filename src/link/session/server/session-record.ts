/**
 * ○ What a server keeps of a session and of a message that waits for its client, as a store's records (store/store.ts): values ↔ bytes.
 * A record's head never changes, its state changes often, its body seldom. Each part says of which kind it is and to which session a
 * message belongs, so that damage in one of them harms that session only, and is told there.
 */
import { ByteReader } from "../../../core/byte-reader.ts";
import { ByteWriter } from "../../../core/byte-writer.ts";
import { utf8 } from "../../../core/bytes.ts";
import { SESSION_ID_BYTES } from "../body.ts";
import type { InboxState } from "../inbox.ts";

const SESSION = 1;
const MESSAGE = 2;

/** Who a session belongs to. */
export interface SessionHead {
  readonly name: string;
  readonly named: boolean;
  readonly identity: string;
  readonly certificate: string;
  /** When it began, in ms since 1970-01-01 UTC. */
  readonly sinceMs: number;
}

/** How far its messages have come. */
export interface SessionReceipt extends InboxState {
  /** Messages to the client that were given up, of which it has not been told. */
  readonly missing: number;
}

export interface SessionBody {
  /** That of the client that has it now, and in hex those of clients before. */
  readonly id: Uint8Array;
  readonly idsBefore: readonly string[];
  readonly will: Uint8Array | undefined;
  readonly filters: readonly string[];
}

/** A message to the client. */
export interface MessageHead {
  /** The number of its session's record. */
  readonly session: number;
  readonly isTopic: boolean;
  readonly urgent: boolean;
  readonly expires: boolean;
  /** When it is given up, in ms since 1970-01-01 UTC. */
  readonly keepUntilMs: number;
}

export interface MessageState {
  readonly session: number;
  /** Under which it was written; 0: it was not. */
  readonly number: number;
}

export const sessionHead = {
  encode: ({ name, named, identity, certificate, sinceMs }: SessionHead): Uint8Array => {
    const writer = new ByteWriter().u8(SESSION).u8(Number(named)).f64(sinceMs);
    for (const text of [name, identity, certificate]) put(writer, utf8(text));
    return writer.take();
  },
  /** undefined: it is a message's. */
  decode(bytes: Uint8Array): SessionHead | undefined {
    const reader = new RecordReader(bytes);
    if (reader.u8() !== SESSION) return undefined;
    const named = reader.u8() === 1;
    const sinceMs = reader.f64();
    return { named, sinceMs, name: reader.text(), identity: reader.text(), certificate: reader.text() };
  },
};

export const sessionReceipt = {
  encode({ arrived, done, missing, ranges, rejects }: SessionReceipt): Uint8Array {
    const writer = new ByteWriter().u8(SESSION).f64(arrived).f64(done).f64(missing).u32(ranges.length);
    for (const { from, to } of ranges) writer.f64(from).f64(to);
    writer.u32(rejects.size);
    for (const [number, reason] of rejects) put(writer.f64(number), utf8(reason));
    return writer.take();
  },
  decode(bytes: Uint8Array): SessionReceipt {
    const reader = new RecordReader(bytes);
    reader.u8();
    const [arrived, done, missing] = [reader.f64(), reader.f64(), reader.f64()];
    const ranges = Array.from({ length: reader.u32() }, () => ({ from: reader.f64(), to: reader.f64() }));
    const rejects = new Map<number, string>();
    for (let count = reader.u32(); count > 0; count -= 1) rejects.set(reader.f64(), reader.text());
    return { arrived, done, missing, ranges, rejects };
  },
};

export const sessionBody = {
  encode({ id, idsBefore, will, filters }: SessionBody): Uint8Array {
    const writer = new ByteWriter().bytes(id).u8(idsBefore.length);
    for (const before of idsBefore) put(writer, utf8(before));
    writer.u8(Number(will !== undefined));
    if (will) put(writer, will);
    writer.u32(filters.length);
    for (const filter of filters) put(writer, utf8(filter));
    return writer.take();
  },
  decode(bytes: Uint8Array): SessionBody {
    const reader = new RecordReader(bytes);
    const id = reader.view(SESSION_ID_BYTES).slice();
    const idsBefore = Array.from({ length: reader.u8() }, () => reader.text());
    const will = reader.u8() === 1 ? reader.bytes() : undefined;
    return { id, idsBefore, will, filters: Array.from({ length: reader.u32() }, () => reader.text()) };
  },
};

export const messageHead = {
  encode: ({ session, isTopic, urgent, expires, keepUntilMs }: MessageHead): Uint8Array =>
    new ByteWriter()
      .u8(MESSAGE)
      .u8((isTopic ? 1 : 0) | (urgent ? 2 : 0) | (expires ? 4 : 0))
      .f64(session)
      .f64(keepUntilMs)
      .take(),
  decode(bytes: Uint8Array): MessageHead {
    const reader = new RecordReader(bytes);
    reader.u8();
    const flags = reader.u8();
    const has = (bit: number): boolean => (flags & bit) > 0;
    return { session: reader.f64(), keepUntilMs: reader.f64(), isTopic: has(1), urgent: has(2), expires: has(4) };
  },
};

export const messageState = {
  encode: ({ session, number }: MessageState): Uint8Array => new ByteWriter().u8(MESSAGE).f64(session).f64(number).take(),
  /** undefined: it is a session's. */
  decode(bytes: Uint8Array): MessageState | undefined {
    const reader = new RecordReader(bytes);
    return reader.u8() === MESSAGE ? { session: reader.f64(), number: reader.f64() } : undefined;
  },
};

function put(writer: ByteWriter, bytes: Uint8Array): void {
  writer.u32(bytes.length).bytes(bytes);
}

const decoder = new TextDecoder();

class RecordReader extends ByteReader {
  bytes(): Uint8Array {
    return this.view(this.u32()).slice();
  }

  text(): string {
    return decoder.decode(this.view(this.u32()));
  }

  /** Checksums have said that it is what was written. */
  override invalid(what: string): Error {
    return new Error(`Cannot read a session's record: it has ${what}`);
  }
}
