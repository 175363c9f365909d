/**
 * ○ Bodies of the control frames of session mode: values ↔ bytes (docs/link-protocol.md). Invariant: `decode(encode(value))` is the
 * value; a body with a byte too few or too many, or a number out of range, is a ProtocolError LINK_BODY_INVALID.
 */
import { ByteReader } from "../../core/byte-reader.ts";
import { ByteWriter } from "../../core/byte-writer.ts";
import { utf8 } from "../../core/bytes.ts";
import { ProtocolError } from "../../core/errors.ts";
import { REASONS_MAX } from "../limits.ts";

const MAGIC = "HOLDFAST";
export const VERSION = 1;
export const NONCE_BYTES = 16;
export const SESSION_ID_BYTES = 16;

export interface Challenge {
  /** Fresh for every connection, so that no proof can be played again. */
  readonly nonce: Uint8Array;
  readonly tokenRequired: boolean;
}

/** What one side has of the other's messages. */
export interface Receipt {
  /** All messages up to this number are done: handled by the application, or refused by it. */
  readonly done: number;
  /** Of those, the ones that the application refused, with its reason. */
  readonly rejects: ReadonlyMap<number, string>;
}

/** What a side tells the other in HELLO and WELCOME: how far it has come, and what it takes. */
export interface Terms {
  /** Highest number taken from the wire; the other side goes on after it. */
  readonly arrived: number;
  readonly receipt: Receipt;
  /** Longest message taken. */
  readonly messageBytesMax: number;
  /** Messages, and bytes of them, that may be on their way or in the application's hands. */
  readonly window: number;
  readonly windowBytes: number;
}

export interface Hello {
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
  readonly resumed: boolean;
  readonly terms: Terms;
  /** Silence before a heartbeat, and how long it may stay unanswered: the server decides. */
  readonly heartbeatMs: number;
  readonly heartbeatTimeoutMs: number;
  /** How long the session is kept without a connection. */
  readonly ttlMs: number;
  readonly proof: Uint8Array;
}

export const REFUSE_REASONS = ["unauthorised", "session-unknown", "version", "full", "draining"] as const;
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
  encode: ({ nonce, tokenRequired }: Challenge): Uint8Array =>
    new ByteWriter()
      .ascii(MAGIC)
      .u8(VERSION)
      .u8(tokenRequired ? 1 : 0)
      .bytes(nonce)
      .take(),
  decode(body: Uint8Array): Challenge {
    const reader = new BodyReader(body, "CHALLENGE");
    reader.magic();
    const tokenRequired = reader.u8() === 1;
    return reader.end({ tokenRequired, nonce: reader.bytes(NONCE_BYTES) });
  },
};

export const helloBody = {
  encode(hello: Hello): Uint8Array {
    const writer = new ByteWriter().ascii(MAGIC).u8(VERSION);
    writer
      .u8((hello.resume ? 1 : 0) | (hello.will ? 2 : 0))
      .bytes(hello.nonce)
      .bytes(hello.sessionId);
    putTerms(writer, hello.terms);
    writer.u32(hello.heartbeatMs);
    putShort(writer, utf8(hello.name));
    if (hello.will) putLong(writer, hello.will);
    putShort(writer, hello.proof);
    return writer.take();
  },
  decode(body: Uint8Array): Hello {
    const reader = new BodyReader(body, "HELLO");
    reader.magic();
    const flags = reader.u8();
    const nonce = reader.bytes(NONCE_BYTES);
    const sessionId = reader.bytes(SESSION_ID_BYTES);
    const terms = takeTerms(reader);
    const heartbeatMs = reader.u32();
    const name = reader.text(reader.u8());
    const will = flags & 2 ? reader.bytes(reader.u16()) : undefined;
    const proof = reader.bytes(reader.u8());
    return reader.end({ nonce, sessionId, resume: (flags & 1) === 1, terms, heartbeatMs, name, will, proof });
  },
  /** What the proof is computed over: everything before it. */
  proven: (body: Uint8Array, proofBytes: number): Uint8Array => body.subarray(0, body.length - proofBytes - 1),
};

export const welcomeBody = {
  encode(welcome: Welcome): Uint8Array {
    const writer = new ByteWriter().u8(welcome.resumed ? 1 : 0);
    putTerms(writer, welcome.terms);
    writer.u32(welcome.heartbeatMs).u32(welcome.heartbeatTimeoutMs).u32(welcome.ttlMs);
    putShort(writer, welcome.proof);
    return writer.take();
  },
  decode(body: Uint8Array): Welcome {
    const reader = new BodyReader(body, "WELCOME");
    const resumed = reader.u8() === 1;
    const terms = takeTerms(reader);
    const heartbeatMs = reader.u32();
    const heartbeatTimeoutMs = reader.u32();
    const ttlMs = reader.u32();
    return reader.end({ resumed, terms, heartbeatMs, heartbeatTimeoutMs, ttlMs, proof: reader.bytes(reader.u8()) });
  },
};

export const refuseBody = closeNoticeBody(REFUSE_REASONS, "REFUSE");
export const byeBody = closeNoticeBody(BYE_REASONS, "BYE");

export const receiptBody = {
  encode(receipt: Receipt): Uint8Array {
    const writer = new ByteWriter();
    putReceipt(writer, receipt);
    return writer.take();
  },
  decode(body: Uint8Array): Receipt {
    const reader = new BodyReader(body, "ACK");
    return reader.end(takeReceipt(reader));
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

function putTerms(writer: ByteWriter, { arrived, receipt, messageBytesMax, window, windowBytes }: Terms): void {
  writer.u64(BigInt(arrived));
  putReceipt(writer, receipt);
  writer.u32(messageBytesMax).u32(window).u32(windowBytes);
}

function takeTerms(reader: BodyReader): Terms {
  const arrived = reader.u64();
  const receipt = takeReceipt(reader);
  return { arrived, receipt, messageBytesMax: reader.u32(), window: reader.u32(), windowBytes: reader.u32() };
}

function putReceipt(writer: ByteWriter, { done, rejects }: Receipt): void {
  writer.u64(BigInt(done)).u16(rejects.size);
  const withReasons = rejects.size <= REASONS_MAX;
  for (const [number, reason] of rejects) {
    writer.u64(BigInt(number));
    putLong(writer, utf8(withReasons ? reason : ""));
  }
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

  magic(): void {
    if (String.fromCharCode(...this.view(MAGIC.length)) !== MAGIC) throw this.invalid(`no '${MAGIC}' at its start`);
    const version = this.u8();
    if (version !== VERSION) throw this.invalid(`version ${version}, not ${VERSION}`);
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
