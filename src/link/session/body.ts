/**
 * ○ Bodies of the control frames of session mode: values ↔ bytes (docs/link-protocol.md). Invariant: `decode(encode(value))` is the
 * value; a body with a byte too few or too many, or a number out of range, is a ProtocolError LINK_BODY_INVALID.
 */
import { ByteReader } from "../../core/byte-reader.ts";
import { ByteWriter } from "../../core/byte-writer.ts";
import { EMPTY, utf8 } from "../../core/bytes.ts";
import { ProtocolError } from "../../core/errors.ts";
import { REASONS_BYTES_MAX } from "../limits.ts";
import type { NumberRange } from "./number-ranges.ts";

const MAGIC = "HOLDFAST";
/** What is spoken, and the first version, which CHALLENGE names and which still is. */
export const VERSION = 2;
const VERSION_FIRST = 1;
export type Version = 1 | 2;
export const NONCE_BYTES = 16;
export const SESSION_ID_BYTES = 16;

export interface Challenge {
  /** Fresh for every connection, so that no proof can be played again. */
  readonly nonce: Uint8Array;
  readonly tokenRequired: boolean;
  /** The highest version that the server speaks. */
  readonly version: Version;
}

/** What one side has of the other's messages. */
export interface Receipt {
  /** All messages up to this number are done: handled by the application, or refused by it. */
  readonly done: number;
  /** Of those, the ones that the application refused, with its reason. */
  readonly rejects: ReadonlyMap<number, string>;
  /** Numbers beyond `done` that are done as well (version 2). */
  readonly ranges?: readonly NumberRange[] | undefined;
}

/** What a side tells the other in HELLO and WELCOME: how far it has come, and what it takes. */
export interface Terms {
  /** Highest number taken from the wire; the other side goes on after it. */
  readonly arrived: number;
  readonly receipt: Receipt;
  /** Of which messages a part has arrived, and how many bytes (version 2). */
  readonly partial?: ReadonlyMap<number, number> | undefined;
  /** Longest message taken. */
  readonly messageBytesMax: number;
  /** Messages, and bytes of them, that may be on their way or in the application's hands. */
  readonly window: number;
  readonly windowBytes: number;
}

export interface Hello {
  readonly version: Version;
  /** The server's (version 2): a HELLO that was recorded on another connection is not taken. */
  readonly serverNonce?: Uint8Array | undefined;
  readonly nonce: Uint8Array;
  /** Drawn by the client, unguessable; both know it from the first HELLO on, whether or not the WELCOME arrives. */
  readonly sessionId: Uint8Array;
  /** The client has been welcome to this session before: a server that does not know it must not begin it anew. */
  readonly resume: boolean;
  readonly terms: Terms;
  readonly heartbeatMs: number;
  /** Who it is, for people, presence and per-client tokens; may be empty. */
  readonly name: string;
  /** What the server shall announce when the session is lost; undefined for nothing. */
  readonly will: Uint8Array | undefined;
  /** HMAC-SHA256 with the token as key; empty without a token. */
  readonly proof: Uint8Array;
}

export interface Welcome {
  /** The client's (version 2): a WELCOME that was recorded on another connection is not taken. */
  readonly clientNonce?: Uint8Array | undefined;
  readonly resumed: boolean;
  /** The session was there, with what waits for its name, but not this client: numbers begin at 1 (version 2). */
  readonly restarted?: boolean;
  readonly terms: Terms;
  /** Silence before a heartbeat, and how long it may stay unanswered: the server decides. */
  readonly heartbeatMs: number;
  readonly heartbeatTimeoutMs: number;
  /** How long the session is kept without a connection. */
  readonly ttlMs: number;
  readonly proof: Uint8Array;
}

export const REFUSE_REASONS = ["unauthorised", "session-unknown", "version", "full", "draining", "taken-over"] as const;
export type RefuseReason = (typeof REFUSE_REASONS)[number];

export const BYE_REASONS = ["closed", "drained", "max-age", "protocol", "taken-over", "heartbeat", "stalled-reader"] as const;
export type ByeReason = (typeof BYE_REASONS)[number];

/** How a side announces the end: REFUSE before the WELCOME, BYE after it. */
export interface CloseNotice<Word> {
  readonly word: Word;
  /** How long the client shall stay away. */
  readonly retryAfterMs: number;
  readonly text: string;
}

const textDecoder = new TextDecoder("utf-8", { fatal: true });

export const challengeBody = {
  encode: ({ nonce, tokenRequired, version }: Challenge): Uint8Array =>
    new ByteWriter()
      .ascii(MAGIC)
      .u8(VERSION_FIRST)
      .u8((tokenRequired ? 1 : 0) | (version > 1 ? 2 : 0))
      .bytes(nonce)
      .take(),
  decode(body: Uint8Array): Challenge {
    const reader = new BodyReader(body, "CHALLENGE");
    reader.magic(VERSION_FIRST);
    const flags = reader.u8();
    const version = flags & 2 ? 2 : 1;
    return reader.end({ tokenRequired: (flags & 1) === 1, version, nonce: reader.bytes(NONCE_BYTES) });
  },
};

export const helloBody = {
  encode(hello: Hello): Uint8Array {
    const writer = new ByteWriter().ascii(MAGIC).u8(hello.version);
    writer.u8((hello.resume ? 1 : 0) | (hello.will ? 2 : 0)).bytes(hello.nonce);
    if (hello.version > 1) writer.bytes(hello.serverNonce!);
    writer.bytes(hello.sessionId);
    putTerms(writer, hello.terms, hello.version);
    writer.u32(hello.heartbeatMs);
    putShort(writer, utf8(hello.name));
    if (hello.will) putLong(writer, hello.will);
    putShort(writer, hello.proof);
    return writer.take();
  },
  decode(body: Uint8Array): Hello {
    const reader = new BodyReader(body, "HELLO");
    const version = reader.magic(VERSION);
    const flags = reader.u8();
    const nonce = reader.bytes(NONCE_BYTES);
    const serverNonce = version > 1 ? reader.bytes(NONCE_BYTES) : undefined;
    const sessionId = reader.bytes(SESSION_ID_BYTES);
    const terms = takeTerms(reader, version);
    const heartbeatMs = reader.u32();
    const name = reader.text(reader.u8());
    const will = flags & 2 ? reader.bytes(reader.u16()) : undefined;
    const proof = reader.bytes(reader.u8());
    const resume = (flags & 1) === 1;
    return reader.end({
      version,
      nonce,
      ...(serverNonce && { serverNonce }),
      sessionId,
      resume,
      terms,
      heartbeatMs,
      name,
      will,
      proof,
    });
  },
  /** What the proof is computed over: everything before it. */
  proven: (body: Uint8Array, proofBytes: number): Uint8Array => body.subarray(0, body.length - proofBytes - 1),
};

export const welcomeBody = {
  encode(welcome: Welcome): Uint8Array {
    const version = welcome.clientNonce ? 2 : 1;
    const writer = new ByteWriter().u8((welcome.resumed ? 1 : 0) | (version > 1 ? 2 : 0) | (welcome.restarted ? 4 : 0));
    if (welcome.clientNonce) writer.bytes(welcome.clientNonce);
    putTerms(writer, welcome.terms, version);
    writer.u32(welcome.heartbeatMs).u32(welcome.heartbeatTimeoutMs).u32(welcome.ttlMs);
    putShort(writer, welcome.proof);
    return writer.take();
  },
  decode(body: Uint8Array): Welcome {
    const reader = new BodyReader(body, "WELCOME");
    const flags = reader.u8();
    const resumed = (flags & 1) === 1;
    const restarted = (flags & 4) > 0;
    const version = flags & 2 ? 2 : 1;
    const clientNonce = version > 1 ? reader.bytes(NONCE_BYTES) : undefined;
    const terms = takeTerms(reader, version);
    const heartbeatMs = reader.u32();
    const heartbeatTimeoutMs = reader.u32();
    const ttlMs = reader.u32();
    const proof = reader.bytes(reader.u8());
    return reader.end({
      ...(clientNonce && { clientNonce, restarted }),
      resumed,
      terms,
      heartbeatMs,
      heartbeatTimeoutMs,
      ttlMs,
      proof,
    });
  },
};

export const refuseBody = closeNoticeBody(REFUSE_REASONS, "REFUSE");
export const byeBody = closeNoticeBody(BYE_REASONS, "BYE");

export const receiptBody = {
  encode(receipt: Receipt): Uint8Array {
    const writer = new ByteWriter();
    putReceipt(writer, receipt);
    if (receipt.ranges && receipt.ranges.length > 0) putRanges(writer, receipt.ranges);
    return writer.take();
  },
  decode(body: Uint8Array): Receipt {
    const reader = new BodyReader(body, "ACK");
    const receipt = takeReceipt(reader);
    return reader.left > 0 ? reader.end({ ...receipt, ranges: takeRanges(reader) }) : receipt;
  },
};

export const TOPIC_VERBS = ["message", "publish", "subscribe", "unsubscribe"] as const;
export type TopicVerb = (typeof TOPIC_VERBS)[number];

/** What TOPIC and NOTE carry (version 2). */
export interface TopicBody {
  /** "message" is one without a topic, in a NOTE alone. */
  readonly verb: TopicVerb;
  /** To the server: it is to be kept as the topic's last value; to a client: it was. */
  readonly keep: boolean;
  /** How long it is worth delivering; 0 for ever. */
  readonly expiresMs: number;
  /** Or a filter. */
  readonly topic: string;
  readonly bytes: Uint8Array;
}

export const topicBody = {
  encode({ verb, keep, expiresMs, topic, bytes }: TopicBody): Uint8Array {
    const writer = new ByteWriter()
      .u8(TOPIC_VERBS.indexOf(verb))
      .u8(keep ? 1 : 0)
      .u32(expiresMs);
    putLong(writer, utf8(topic));
    return writer.bytes(bytes).take();
  },
  /** The bytes are a view of the body. */
  decode(body: Uint8Array): TopicBody {
    const reader = new BodyReader(body, "TOPIC");
    const verb = TOPIC_VERBS[reader.u8()];
    const keep = (reader.u8() & 1) > 0;
    const expiresMs = reader.u32();
    const topic = reader.text(reader.u16());
    if (verb === undefined) throw reader.invalid("an unknown verb");
    return { verb, keep, expiresMs, topic, bytes: reader.view(reader.left) };
  },
};

/** A part of a message (version 2). */
export interface PartBody {
  readonly number: number;
  /** How much of the message came before. */
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly last: boolean;
  /** No more of the message will come. */
  readonly givenUp: boolean;
  /** The message is read as it arrives, and may be of any length. */
  readonly isStream: boolean;
  /** What it carries is a TOPIC. */
  readonly isTopic: boolean;
}

/** What a PART has before its bytes. */
export const PART_HEAD_BYTES = 17;

export const partBody = {
  head: ({ number, offset, last, givenUp, isStream, isTopic }: Omit<PartBody, "bytes">): Uint8Array =>
    new ByteWriter()
      .u8((last ? 1 : 0) | (givenUp ? 2 : 0) | (isStream ? 4 : 0) | (isTopic ? 8 : 0))
      .u64(BigInt(number))
      .u64(BigInt(offset))
      .take(),
  /** The bytes are a view of the body. */
  decode(body: Uint8Array): PartBody {
    const reader = new BodyReader(body, "PART");
    const flags = reader.u8();
    const number = reader.u64();
    const offset = reader.u64();
    const bytes = reader.view(reader.left);
    const has = (bit: number): boolean => (flags & bit) > 0;
    return { number, offset, bytes, last: has(1), givenUp: has(2), isStream: has(4), isTopic: has(8) };
  },
};

/** How much of a message has arrived, or of a stream has been taken by the application (version 2). */
export interface Progress {
  readonly number: number;
  readonly bytes: number;
}

export const progressBody = {
  encode: ({ number, bytes }: Progress): Uint8Array => new ByteWriter().u64(BigInt(number)).u64(BigInt(bytes)).take(),
  decode(body: Uint8Array): Progress {
    const reader = new BodyReader(body, "PROGRESS");
    return reader.end({ number: reader.u64(), bytes: reader.u64() });
  },
};

export const gapBody = {
  /** @param next the number of the next MESSAGE: those before it will never come */
  encode: (next: number): Uint8Array => new ByteWriter().u64(BigInt(next)).take(),
  decode(body: Uint8Array): number {
    const reader = new BodyReader(body, "GAP");
    return reader.end(reader.u64());
  },
};

function closeNoticeBody<Word extends string>(
  words: readonly Word[],
  frame: string,
): { encode(notice: CloseNotice<Word>): Uint8Array; decode(body: Uint8Array): CloseNotice<Word> } {
  return {
    encode({ word, retryAfterMs, text }) {
      const writer = new ByteWriter().u8(words.indexOf(word) + 1).u32(retryAfterMs);
      putLong(writer, utf8(text));
      return writer.take();
    },
    decode(body) {
      const reader = new BodyReader(body, frame);
      const word = words[reader.u8() - 1];
      const retryAfterMs = reader.u32();
      const text = reader.text(reader.u16());
      if (word === undefined) throw reader.invalid("an unknown reason");
      return reader.end({ word, retryAfterMs, text });
    },
  };
}

function putTerms(
  writer: ByteWriter,
  { arrived, receipt, partial = new Map<number, number>(), messageBytesMax, window, windowBytes }: Terms,
  version: Version,
): void {
  writer.u64(BigInt(arrived));
  putReceipt(writer, receipt);
  if (version > 1) {
    putRanges(writer, receipt.ranges ?? []);
    writer.u8(partial.size);
    for (const [number, bytes] of partial) writer.u64(BigInt(number)).u64(BigInt(bytes));
  }
  writer.u32(messageBytesMax).u32(window).u32(windowBytes);
}

function takeTerms(reader: BodyReader, version: Version): Terms {
  const arrived = reader.u64();
  let receipt = takeReceipt(reader);
  let partial: Map<number, number> | undefined;
  if (version > 1) {
    receipt = { ...receipt, ranges: takeRanges(reader) };
    partial = new Map();
    for (let count = reader.u8(); count > 0; count -= 1) partial.set(reader.u64(), reader.u64());
  }
  const base = partial === undefined ? {} : { partial };
  return {
    ...base,
    arrived,
    receipt,
    messageBytesMax: reader.u32(),
    window: reader.u32(),
    windowBytes: reader.u32(),
  };
}

function putReceipt(writer: ByteWriter, { done, rejects }: Receipt): void {
  writer.u64(BigInt(done)).u16(rejects.size);
  let room = REASONS_BYTES_MAX;
  for (const [number, reason] of rejects) {
    const text = utf8(reason);
    room -= text.length;
    writer.u64(BigInt(number));
    putLong(writer, room < 0 ? EMPTY : text);
  }
}

function putRanges(writer: ByteWriter, ranges: readonly NumberRange[]): void {
  writer.u16(ranges.length);
  for (const { from, to } of ranges) writer.u64(BigInt(from)).u64(BigInt(to));
}

function takeRanges(reader: BodyReader): NumberRange[] {
  return Array.from({ length: reader.u16() }, () => ({ from: reader.u64(), to: reader.u64() }));
}

function takeReceipt(reader: BodyReader): Receipt {
  const done = reader.u64();
  const count = reader.u16();
  const rejects = new Map<number, string>();
  for (let index = 0; index < count; index += 1) rejects.set(reader.u64(), reader.text(reader.u16()));
  return { done, rejects };
}

function putShort(writer: ByteWriter, bytes: Uint8Array): void {
  writer.u8(bytes.length).bytes(bytes);
}

function putLong(writer: ByteWriter, bytes: Uint8Array): void {
  writer.u16(bytes.length).bytes(bytes);
}

class BodyReader extends ByteReader {
  readonly #frame: string;

  constructor(body: Uint8Array, frame: string) {
    super(body);
    this.#frame = frame;
  }

  bytes(count: number): Uint8Array {
    return new Uint8Array(this.view(count)); // a copy, so that it does not keep the whole chunk alive
  }

  text(count: number): string {
    try {
      return textDecoder.decode(this.bytes(count));
    } catch (cause) {
      if (cause instanceof ProtocolError) throw cause;
      throw this.invalid("text that is not UTF-8");
    }
  }

  /** @returns the version, from the first to `most` */
  magic(most: number): Version {
    if (String.fromCharCode(...this.view(MAGIC.length)) !== MAGIC) throw this.invalid(`no '${MAGIC}' at its start`);
    const version = this.u8();
    if (version < VERSION_FIRST || version > most) throw this.invalid(`version ${version}, not ${VERSION_FIRST} to ${most}`);
    return version as Version;
  }

  /** The value, when nothing is left over. */
  end<T>(value: T): T {
    if (this.left > 0) throw this.invalid(`${this.left} bytes too many`);
    return value;
  }

  override invalid(what: string): ProtocolError {
    return new ProtocolError("LINK_BODY_INVALID", `Cannot read ${this.#frame}: it has ${what}`);
  }
}
