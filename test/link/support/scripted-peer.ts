/**
 * The side of a conversation of vectors.json that the test plays: says frames, and awaits those of the other side. Receipts, progress and
 * heartbeats may come between; any other frame must be the one awaited.
 */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { encodeFrame, SessionFrameDecoder } from "../../../src/link/session/session-frame.ts";
import type { SessionFrame, SessionFrameName } from "../../../src/link/session/session-frame.ts";
import { bodyOf, fieldsOf } from "./frame-values.ts";
import type { Fields } from "./frame-values.ts";

const MAY_COME_BETWEEN: readonly SessionFrameName[] = ["ACK", "PROGRESS", "PING", "PONG"];
/** Their `text` stands for their bytes, `times` over. */
const WITH_BYTES: readonly string[] = ["MESSAGE", "PART", "TOPIC", "NOTE"];

/** What the words of a conversation that begin with `$` stand for: they are learnt when first heard. */
export type Known = Map<string, string>;

/** These are another each time. */
const NONCES: readonly string[] = ["$nonce", "$server"];

export class ScriptedPeer {
  readonly #socket: Socket;
  readonly #decoder = new SessionFrameDecoder({ messageBytesMax: 1_048_576 });
  readonly #closed = Promise.withResolvers<void>();
  #changed = Promise.withResolvers<void>();

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("close", () => this.#closed.resolve());
    socket.on("data", (chunk: Buffer) => {
      this.#decoder.push(chunk);
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    });
  }

  say(name: SessionFrameName, fields: Fields, known: Known): void {
    this.raw(encodeFrame(name, bodyOf(name, resolve(withBytes(name, fields), known) as Fields)));
  }

  raw(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  async hear(name: SessionFrameName, fields: Fields, known: Known): Promise<void> {
    for (;;) {
      const frame = await this.#next();
      const heard = fieldsOf(frame.name, frame.body);
      if (frame.name === name && matches(heard, withBytes(name, fields), known)) return;
      const expected = `${name} ${JSON.stringify(fields)}`;
      assert.ok(MAY_COME_BETWEEN.includes(frame.name), `${frame.name} ${JSON.stringify(heard)} came instead of ${expected}`);
    }
  }

  /** Resolves when the other side has closed. */
  async ended(): Promise<void> {
    this.#socket.resume();
    await this.#closed.promise;
  }

  cut(): void {
    this.#socket.destroy();
  }

  async #next(): Promise<SessionFrame> {
    for (let frame = this.#decoder.next(); ; frame = this.#decoder.next()) {
      if (frame) return frame;
      const closed = this.#closed.promise.then(() => assert.fail("the connection was closed"));
      await Promise.race([this.#changed.promise, closed]);
    }
  }
}

function withBytes(name: string, fields: Fields): Fields {
  if (!WITH_BYTES.includes(name) || fields["text"] === undefined) return fields;
  const { text, times, ...rest } = fields;
  return { ...rest, bytes: Buffer.from(repeated(text as string, times)).toString("hex") };
}

export function repeated(text: string, times: unknown): string {
  return text.repeat((times as number | undefined) ?? 1);
}

/** With the words that are known in place of those that begin with `$`. */
function resolve(value: unknown, known: Known): unknown {
  if (typeof value === "string") return value.replace(/^\$\w+/, (word) => known.get(word) ?? word);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, resolve(each, known)]));
}

/** True when all that is expected is there: "*" is anything, `$name` anything the first time and then the same. */
export function matches(heard: unknown, expected: unknown, known: Known): boolean {
  if (expected === "*") return true;
  if (typeof expected === "string" && /^\$\w+$/.test(expected)) {
    if (!known.has(expected) || NONCES.includes(expected)) known.set(expected, heard as string);
    return known.get(expected) === heard;
  }
  if (typeof expected === "string") return heard === resolve(expected, known);
  if (typeof expected !== "object" || expected === null) return heard === expected;
  if (Array.isArray(expected)) return JSON.stringify(heard) === JSON.stringify(expected);
  return Object.entries(expected).every(([key, each]) => matches((heard as Fields | undefined)?.[key], each, known));
}
