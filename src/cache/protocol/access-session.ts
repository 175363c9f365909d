/**
 * ○ A connection whose commands must be allowed: stands before a session, reads each command's verb and keys, and hands it on or answers a
 * refusal. Invariant: the session behind it gets whole commands that are allowed and the values that it says it waits for
 * (`valueBytesLeft`), never a byte more: what it takes for a value cannot be a command that was not looked at. Without an access file there
 * is none of this.
 */
import { Buffer } from "node:buffer";
import type { AskedRights } from "../../access/access-table.ts";
import type { Action } from "../../access/right.ts";
import { CR, LF, SPACE } from "../../core/ascii.ts";
import { BINARY_HEADER_BYTES, BinaryRequest, OPCODE, STATUS } from "../../memcached/binary.ts";
import type { ReplyBuffer } from "../../memcached/reply-buffer.ts";
import { decodeKey } from "../../memcached/key-encoding.ts";
import { Tokens } from "../../memcached/tokens.ts";
import { VERB, verbAt } from "../../memcached/verbs.ts";
import { GET_LINE_BYTES_MAX } from "./limits.ts";
import type { CacheSession, CloseReason } from "./cache-session.ts";

/** A session that says what it waits for. */
export interface GuardedSession extends CacheSession {
  /** Bytes that are the value of a command, or that are skipped, and are still to come. */
  readonly valueBytesLeft: number;
}

export interface AccessSessionOptions {
  readonly session: GuardedSession;
  readonly isBinary: boolean;
  readonly out: ReplyBuffer;
  /** Of who is logged in by now. */
  readonly rights: () => AskedRights;
}

/** What a command needs. No keys: the right to manage. */
interface Need {
  readonly actions: readonly Action[];
  readonly keys: readonly string[];
}

const NOTHING: Need = { actions: [], keys: [] };
const READ: readonly Action[] = ["cache:read"];
const WRITE: readonly Action[] = ["cache:write"];
const BOTH: readonly Action[] = ["cache:read", "cache:write"];
const MANAGE: Need = { actions: ["cache:manage"], keys: [] };

const tokens = new Tokens();
const request = new BinaryRequest();

export class AccessSession implements CacheSession {
  readonly #options: AccessSessionOptions;
  readonly #session: GuardedSession;
  /** Bytes of an allowed command that the session has not taken. */
  #allowed = 0;
  /** Bytes of a refused command's value. */
  #skipped = 0;
  /** Bytes of the waiting line known to hold no LF. */
  #searched = 0;
  #ending: CloseReason | undefined;
  blocked = false;

  constructor(options: AccessSessionOptions) {
    this.#options = options;
    this.#session = options.session;
  }

  get ending(): CloseReason | undefined {
    return this.#ending ?? this.#session.ending;
  }

  get state(): string {
    return this.#skipped > 0 ? "conn_swallow" : this.#session.state;
  }

  release(): void {
    this.#session.release();
  }

  consume(input: Buffer, start: number, end: number, goesOn = false): number {
    let at = start;
    // A turn of the session begins with its first bytes of this read.
    let continues = goesOn;
    this.blocked = false;
    while (at < end && this.ending === undefined) {
      if (this.#skipped > 0) {
        const part = Math.min(this.#skipped, end - at);
        this.#skipped -= part;
        at += part;
        continue;
      }
      if (this.#allowed === 0) this.#allowed = this.#session.valueBytesLeft;
      if (this.#allowed === 0) {
        const next = this.#options.isBinary ? this.#request(input, at, end) : this.#line(input, at, end);
        if (next === undefined) return at;
        at = next;
        continue;
      }
      const until = Math.min(end, at + this.#allowed);
      const next = this.#session.consume(input, at, until, continues);
      continues = true;
      this.#allowed -= next - at;
      at = next;
      this.blocked = this.#session.blocked;
      if (next < until || this.blocked) return at;
    }
    return at;
  }

  // ---- text

  /** Looks at the next line. @returns where to go on; undefined: it has not come whole */
  #line(input: Buffer, at: number, end: number): number | undefined {
    const lf = input.subarray(0, end).indexOf(LF, at + this.#searched);
    if (lf < 0) {
      this.#searched = end - at;
      if (end - at > GET_LINE_BYTES_MAX) this.#ending = "error";
      return undefined;
    }
    this.#searched = 0;
    const length = lf + 1 - at;
    const lineEnd = lf > at && input[lf - 1] === CR ? lf - 1 : lf;
    if (this.#may(textNeed(input, at, lineEnd))) {
      this.#allowed = length;
      return at;
    }
    // Its words are still cut.
    const verb = verbOf(input, at, lineEnd);
    const valueToken = verb === VERB.ms ? 2 : isStore(verb) ? 4 : -1;
    const valueBytes = valueToken < 0 ? -1 : tokens.i32(valueToken);
    if (valueBytes >= 0) this.#skipped = valueBytes + 2;
    if (!tokens.is(tokens.count - 1, "noreply")) this.#options.out.put(REFUSED);
    return lf + 1;
  }

  // ---- binary

  #request(input: Buffer, at: number, end: number): number | undefined {
    if (end - at < BINARY_HEADER_BYTES) return undefined;
    const isRequest = request.read(input, at);
    const head = BINARY_HEADER_BYTES + request.extraBytes + request.keyBytes;
    // What is none is the session's to refuse: it ends the connection.
    if (!isRequest || request.valueBytes < 0) {
      this.#allowed = end - at;
      return at;
    }
    if (end - at < head) return undefined;
    const key = at + BINARY_HEADER_BYTES + request.extraBytes;
    if (this.#may(binaryNeed(request.command, input.toString("utf8", key, key + request.keyBytes)))) {
      this.#allowed = head;
      return at;
    }
    this.#skipped = request.valueBytes;
    this.#options.out.put(binaryRefusal(request));
    return at + head;
  }

  #may({ actions, keys }: Need): boolean {
    if (actions.length === 0) return true;
    const rights = this.#options.rights();
    for (const action of actions) {
      if (keys.length === 0 && !rights.mayAny(action)) {
        rights.refused(action);
        return false;
      }
      for (const key of keys) {
        if (rights.may(action, key)) continue;
        rights.refused(action, key);
        return false;
      }
    }
    return true;
  }
}

const REFUSED = Buffer.from("CLIENT_ERROR access denied\r\n");

/** As memcached finds it: a line that begins with a blank has none. */
function verbOf(input: Buffer, at: number, lineEnd: number): number {
  let wordEnd = at;
  while (wordEnd < lineEnd && input[wordEnd] !== SPACE) wordEnd += 1;
  return wordEnd - at < 2 ? -1 : verbAt(input, at, wordEnd);
}

const STORES: ReadonlySet<number> = new Set([VERB.set, VERB.add, VERB.replace, VERB.append, VERB.prepend, VERB.cas]);

function isStore(verb: number): boolean {
  return STORES.has(verb);
}

function textNeed(input: Buffer, at: number, lineEnd: number): Need {
  const verb = verbOf(input, at, lineEnd);
  tokens.split(input, at, lineEnd);
  switch (verb) {
    case VERB.get:
    case VERB.gets:
      return { actions: READ, keys: words(input, at, lineEnd).slice(1) };
    case VERB.gat:
    case VERB.gats:
      return { actions: BOTH, keys: words(input, at, lineEnd).slice(2) };
    case VERB.delete:
    case VERB.touch:
      return { actions: WRITE, keys: [keyAt(1)] };
    case VERB.incr:
    case VERB.decr:
      return { actions: BOTH, keys: [keyAt(1)] };
    // With flags that it makes or touches an item by, and a value that comes back from a command that writes.
    case VERB.mg:
      return { actions: hasFlag("NT") ? BOTH : READ, keys: [metaKey()] };
    case VERB.me:
      return { actions: READ, keys: [metaKey()] };
    case VERB.ms:
    case VERB.md:
      return { actions: WRITE, keys: [metaKey()] };
    case VERB.ma:
      return { actions: BOTH, keys: [metaKey()] };
    case VERB.mn:
    case VERB.quit:
    case VERB.version:
      return NOTHING;
    default:
      return isStore(verb) ? { actions: WRITE, keys: [keyAt(1)] } : MANAGE;
  }
}

function words(input: Buffer, at: number, lineEnd: number): string[] {
  return input
    .toString("utf8", at, lineEnd)
    .split(" ")
    .filter((word) => word !== "");
}

/** "" where there is none: the session refuses the line, and who may only some keys is refused before. */
function keyAt(token: number): string {
  if (token >= tokens.count) return "";
  return Buffer.from(tokens.bytes.buffer, tokens.bytes.byteOffset).toString("utf8", tokens.starts[token], tokens.ends[token]);
}

/** One of these letters begins a flag of a meta command. */
function hasFlag(letters: string): boolean {
  for (let token = 2; token < tokens.count; token += 1)
    if (letters.includes(String.fromCharCode(tokens.bytes[tokens.starts[token]!]!))) return true;
  return false;
}

/** The key as it is stored: with the flag `b` it comes in base64. */
function metaKey(): string {
  if (tokens.count < 2 || !hasFlag("b")) return keyAt(1);
  return decodeKey(tokens.bytes, tokens.starts[1]!, tokens.ends[1]!)?.toString() ?? "";
}

function binaryNeed(command: number, key: string): Need {
  switch (command) {
    case OPCODE.get:
    case OPCODE.getk:
      return { actions: READ, keys: [key] };
    case OPCODE.gat:
    case OPCODE.gatk:
    case OPCODE.increment:
    case OPCODE.decrement:
      return { actions: BOTH, keys: [key] };
    case OPCODE.set:
    case OPCODE.add:
    case OPCODE.replace:
    case OPCODE.append:
    case OPCODE.prepend:
    case OPCODE.delete:
    case OPCODE.touch:
      return { actions: WRITE, keys: [key] };
    case OPCODE.quit:
    case OPCODE.noop:
    case OPCODE.version:
    case OPCODE.saslListMechanisms:
    case OPCODE.saslAuth:
    case OPCODE.saslStep:
      return NOTHING;
    default:
      return MANAGE;
  }
}

const DENIED = Buffer.from("Access denied");

/** memcached's status for who has not authenticated is the nearest that there is. */
function binaryRefusal({ opcode, opaque }: BinaryRequest): Buffer {
  const reply = Buffer.alloc(BINARY_HEADER_BYTES + DENIED.length);
  reply[0] = 0x81;
  reply[1] = opcode;
  reply.writeUInt16BE(STATUS.authError, 6);
  reply.writeUInt32BE(DENIED.length, 8);
  reply.writeUInt32BE(opaque, 12);
  DENIED.copy(reply, BINARY_HEADER_BYTES);
  return reply;
}
