/**
 * ● Reads beside get and gets: with the time that an item has left (the servers are asked, not the near cache), of any number of keys
 * as a stream, and of the keys themselves.
 */
import { Buffer, isUtf8 } from "node:buffer";
import { OperationError } from "../../../core/errors.ts";
import { durationMs } from "../../../core/units.ts";
import type { Codec } from "../operations/codec.ts";
import { readValue, type ValueReader, type Versioned } from "../operations/get-operation.ts";
import type { CallOptions } from "./cache-client-options.ts";
import { checkSignal } from "./call-limits.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Key } from "./key.ts";
import { isTagKey } from "./tags.ts";
import { isPlaceholder, PLACEHOLDER_S } from "./lease.ts";
import { metadump } from "../pool/metadump.ts";
import type { PoolServerSettings } from "../pool/pool-server.ts";
import { wireKeyOf } from "../operations/wire-key.ts";

/** A value with its version and the time that it has left. */
export interface Timed<T> extends Versioned<T> {
  /** Seconds until it expires, as its server counts them; undefined: never. */
  readonly ttl: number | undefined;
}

/** An item that `keys` found. */
export interface ListedItem {
  /** Without the client's prefix; bytes where they are no UTF-8. What `keys: "hash"` made of a key is listed as it was made. */
  readonly key: Key;
  /** Seconds until it expires; undefined: never. */
  readonly ttl: number | undefined;
  /** What its server keeps for it, key and bookkeeping included. */
  readonly sizeBytes: number;
}

/** 1,000 keys asked for at once: ten lines of a `get`, by when the server answers the first. */
const KEYS_PER_STEP = 1000;

export class Reads {
  readonly #dispatch: Dispatch;
  readonly #codec: Codec<unknown>;

  constructor(dispatch: Dispatch, codec: Codec<unknown>) {
    this.#dispatch = dispatch;
    this.#codec = codec;
  }

  /** Those found, each with its time. @throws OperationError CACHE_REFUSED where a server has no meta commands */
  async timed<T, K extends Key>(keys: Iterable<K>, options: CallOptions | undefined): Promise<Map<K, Timed<T>>> {
    const dispatch = this.#dispatch;
    const all = [...keys];
    for (const key of all) {
      const poolServer = dispatch.pool.route(dispatch.toWireKey(key));
      if (!poolServer || poolServer.meta) continue;
      throw new OperationError("CACHE_REFUSED", `Cannot read times from ${poolServer.server.name}: it has no meta commands`);
    }
    return dispatch.lookupMany("mg", all, this.#codec, readTimed as ValueReader<Timed<T>>, options);
  }

  /** All items of all servers under the client's prefix, one server after the other. A placeholder is none. */
  async *list(settings: PoolServerSettings, { signal, timeout }: CallOptions): AsyncGenerator<ListedItem, void, undefined> {
    const dispatch = this.#dispatch;
    const { clock } = dispatch;
    checkSignal(signal);
    const stallMs = timeout === undefined ? settings.stallMs : durationMs(timeout, "timeout");
    await dispatch.limits.started({ deadlineMs: clock.now() + stallMs, signal });
    const ending = signal ? AbortSignal.any([signal, dispatch.closing]) : dispatch.closing;
    const prefix = Buffer.from(dispatch.prefix);
    for (const { server } of dispatch.pool.poolServers) {
      for await (const { key, expiresS, sizeBytes } of metadump(server, { ...settings, stallMs }, ending)) {
        if (!key.subarray(0, prefix.length).equals(prefix)) continue;
        const own = textOr(key.subarray(prefix.length));
        if (typeof own === "string" && isTagKey(own)) continue;
        const ttl = expiresS < 0 ? undefined : Math.max(0, expiresS - Math.floor(clock.wallMs() / 1000));
        const mayBeHeld = ttl !== undefined && ttl <= PLACEHOLDER_S;
        if (mayBeHeld && isPlaceholder(await dispatch.look(wireKeyOf(key), { signal }))) continue;
        yield { key: own, ttl, sizeBytes };
      }
    }
  }

  /** What is there of any number of keys, in their order. While some are taken, the next are asked for. */
  async *each<T, K extends Key>(
    keys: Iterable<K> | AsyncIterable<K>,
    options: CallOptions | undefined,
  ): AsyncGenerator<[key: K, value: T], void, undefined> {
    let asked: Promise<Map<K, T>> | undefined;
    for await (const step of stepsOf(keys)) {
      const next = this.#dispatch.getMany<T, K>(step, this.#codec, options);
      next.catch(() => {}); // told below, once what was asked before it is taken
      if (asked) yield* await asked;
      asked = next;
    }
    if (asked) yield* await asked;
  }
}

async function* stepsOf<K>(keys: Iterable<K> | AsyncIterable<K>): AsyncGenerator<K[]> {
  let step: K[] = [];
  for await (const key of keys) {
    step.push(key);
    if (step.length < KEYS_PER_STEP) continue;
    yield step;
    step = [];
  }
  if (step.length > 0) yield step;
}

function textOr(bytes: Buffer): Key {
  return isUtf8(bytes) ? bytes.toString() : bytes;
}

const readTimed: ValueReader<Timed<unknown>> = (reply, codec, server) => ({
  value: readValue(reply, codec, server),
  cas: reply.cas,
  ttl: reply.ttl === undefined || reply.ttl < 0 ? undefined : reply.ttl,
});
