/**
 * ● The sensor gateway: every message of a session goes into a queue, the last one and the sensor's presence into a cache. It knows
 * queue and cache by shape only. Invariant: a reading is confirmed to its sensor when the queue has it, not before; while the queue
 * refuses for the time being, or is closed, it is kept unconfirmed, so that a full queue slows the sensors down instead of losing readings.
 */
import { createHash, randomUUID } from "node:crypto";
import type { Clock } from "../../../core/clock.ts";
import { codeOf, OperationError } from "../../../core/errors.ts";
import type { Random } from "../../../core/random.ts";
import { Backoff } from "../../backoff.ts";
import type { LinkEnd } from "../../end.ts";
import type { Presence, ServerSession } from "./server-session.ts";
import { GATEWAY_CAP_MS } from "../../limits.ts";

/** A message of a sensor on its way into the queue. */
export interface Reading {
  /** The session's name. */
  readonly sensor: string;
  /** Counts the session's messages, from 1; 0 for one that is not confirmed. */
  readonly number: number;
  /** When it arrived, in ms since 1970-01-01 UTC. */
  readonly receivedMs: number;
  /** The message as text, where it is UTF-8. */
  readonly text?: string;
  /** The message in base64, where it is not. */
  readonly base64?: string;
}

/** Where readings go: `Queue` of holdfast/queue, or anything with such an `add`. */
export interface ReadingQueue {
  /** `key` is the same whenever the same message is added again. */
  add(reading: Reading, options: { readonly key: string }): Promise<unknown>;
}

/** Where last values go: `CacheClient` of holdfast/cache, or anything with such a `set`. */
export interface ReadingCache {
  set(key: string, value: unknown): Promise<unknown>;
}

/** Options of the gateway, beside `session`. */
export interface GatewayOptions {
  /** Puts every message into this queue; confirmed when the queue has it. */
  readonly toQueue?: ReadingQueue;
  /**
   * Keeps the last message of each named session under "sensor:NAME" and its presence under "sensor:NAME:presence", as
   * `{ presence, lastSeenMs, reason }`. The name is percent-encoded. A cache that fails delays and refuses nothing.
   */
  readonly toCache?: ReadingCache;
}

/** What the gateway adds to a session server. */
export interface Gateway {
  /** Adds no more: what the queue does not have yet stays unconfirmed, and its session gives it to the next server. */
  close(): void;
  message(session: ServerSession, message: Uint8Array, number: number): Promise<void>;
  presence(session: ServerSession, presence: Presence, end: LinkEnd | undefined): void;
}

/** @param cacheFailed told of every write that the cache did not take */
export function gateway(
  { toQueue, toCache }: GatewayOptions,
  { clock, random, cacheFailed }: { clock: Clock; random: Random; cacheFailed: (error: unknown) => void },
): Gateway {
  const keep = (key: string, value: unknown): void => void toCache?.set(key, value).catch(cacheFailed);
  const closing = new AbortController();
  return {
    close: () => closing.abort(),
    async message(session, message, number) {
      const content = contentOf(message);
      if (toQueue) {
        const reading = { sensor: session.name, number, receivedMs: clock.wallMs(), ...content };
        await add(toQueue, reading, { key: keyOf(session, number), clock, random, signal: closing.signal });
      }
      if (session.name !== "") keep(cacheKey(session.name), content.text ?? message);
    },
    presence(session, presence, end) {
      if (session.name === "") return;
      keep(`${cacheKey(session.name)}:presence`, { presence, lastSeenMs: session.lastSeenMs, reason: end?.reason ?? null });
    },
  };
}

/**
 * Adds, again and again while queue or network fail; what is wrong with the reading itself is told to its sender. Never resolves where the queue
 * or the server is closed: neither a receipt nor a refusal would be true.
 */
async function add(
  queue: ReadingQueue,
  reading: Reading,
  { key, clock, random, signal }: { key: string; clock: Clock; random: Random; signal: AbortSignal },
): Promise<void> {
  const backoff = new Backoff({ cap: GATEWAY_CAP_MS }, random);
  for (;;) {
    try {
      await queue.add(reading, { key });
      return;
    } catch (error) {
      if (signal.aborted || codeOf(error) === "CLOSED") return new Promise(() => {});
      if (!(error instanceof OperationError)) throw error;
      const againMs = clock.now() + backoff.next(clock.now());
      await new Promise<void>((resolve) => clock.at(againMs, resolve));
    }
  }
}

/** The session's id is a secret: its hash names it as well. */
function keyOf(session: ServerSession, number: number): string {
  if (number === 0) return `link-${randomUUID()}`; // unconfirmed: nobody sends it again
  return `link-${createHash("sha256").update(session.state.id).digest("hex").slice(0, 24)}-${number}`;
}

function cacheKey(name: string): string {
  return `sensor:${encodeURIComponent(name)}`;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

function contentOf(message: Uint8Array): { text: string; base64?: never } | { base64: string; text?: never } {
  try {
    return { text: decoder.decode(message) };
  } catch {
    return { base64: Buffer.from(message).toString("base64") };
  }
}
