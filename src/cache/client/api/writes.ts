/**
 * ● The verbs that change items. A placeholder (lease.ts) is no item to any of them: where the server would take it for one, they look
 * for it, in the same write where that suffices.
 */
import { OperationError, UsageError, codeOf } from "../../../core/errors.ts";
import { bytes, checked, NUMBER_FLAG, type Codec, type Encoded } from "../operations/codec.ts";
import type { CommandFields } from "../operations/operation.ts";
import { tagsOf, withTags } from "../operations/tagged.ts";
import type { PoolServer } from "../pool/pool-server.ts";
import type { CallOptions, CountOptions, StoreOptions } from "./cache-client-options.ts";
import { casOutcome, counter, foundOrNot, gatReply, metaDone, storedOrNot, type CasOutcome } from "./command-replies.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Key } from "./key.ts";
import {
  invalidation,
  isItem,
  isPlaceholder,
  leaseDropped,
  leasedRead,
  leasedReply,
  leasedStore,
  type Look,
  PLACEHOLDER_S,
  type SeenVersion,
} from "./lease.ts";
import { NO_VERSIONS, type ServerVersions } from "./tags.ts";
import { ttlMs, type Ttl } from "./ttl.ts";

/** 4: an item can come and go between two commands; that often, either no server answers for the key or it is fought over. */
const ATTEMPTS_MAX = 4;

/** What a command sends; depends on its server, because the gutter shortens times to live. */
type FieldsAt = (poolServer: PoolServer | undefined) => CommandFields;

export class Writes {
  readonly #dispatch: Dispatch;

  constructor(dispatch: Dispatch) {
    this.#dispatch = dispatch;
  }

  /** set, add and replace: whether the value was stored. */
  store(
    verb: "set" | "add" | "replace",
    key: Key,
    value: unknown,
    codec: Codec<unknown>,
    options: StoreOptions | undefined,
  ): Promise<boolean> {
    if (options?.tags !== undefined) return this.#storeTagged(verb, key, value, codec, options);
    return this.#store(verb, key, options, this.#stored(value, codec, options));
  }

  #store(verb: "set" | "add" | "replace", key: Key, options: CallOptions | undefined, stored: FieldsAt): Promise<boolean> {
    const { copies } = this.#dispatch.pool;
    if (verb === "set") {
      if (copies === 1) return this.#dispatch.command(verb, key, options, storedOrNot, false, stored);
      return this.#dispatch
        .commandAll(verb, key, options, () => storedOrNot, false, stored)
        .then((answers) => answers.every(({ answer }) => answer));
    }
    const first = verb === "add" ? this.#add(key, options, stored) : this.#whereItemIs(verb, key, options, stored);
    return copies === 1 ? first : this.#followed(first, key, options, stored);
  }

  /** What the first owner stored is stored over the copies. */
  async #followed(first: Promise<boolean>, key: Key, options: CallOptions | undefined, stored: FieldsAt): Promise<boolean> {
    const later = this.#dispatch.limits.later(options);
    if (!(await first)) return false;
    await this.#dispatch.copies.follow(this.#dispatch.toWireKey(key), later(), storedOrNot, stored);
    return true;
  }

  async #storeTagged(
    verb: "set" | "add" | "replace",
    key: Key,
    value: unknown,
    codec: Codec<unknown>,
    options: StoreOptions,
  ): Promise<boolean> {
    const later = this.#dispatch.limits.later(options);
    const versions = await this.#dispatch.tags.versionsFor(key, this.#dispatch.tags.ids(options.tags), options);
    return versions ? this.#store(verb, key, later(), this.#stored(value, codec, options, versions)) : false;
  }

  async cas(
    key: Key,
    value: unknown,
    cas: bigint,
    codec: Codec<unknown>,
    options: StoreOptions | undefined,
  ): Promise<CasOutcome> {
    const { tags } = this.#dispatch;
    const later = this.#dispatch.limits.later(options);
    const versions = options?.tags ? await tags.versionsFor(key, tags.ids(options.tags), options) : NO_VERSIONS;
    if (!versions) return "missing";
    const stored = this.#stored(value, codec, options, versions);
    const outcome = await this.#dispatch.command("cas", key, later(), casOutcome, "missing", (poolServer) => ({
      ...stored(poolServer),
      cas: version(cas),
    }));
    return outcome === "exists" && isNoItem(await this.#look(key, later())) ? "missing" : outcome;
  }

  /** append and prepend: whether there was an item. */
  join(verb: "append" | "prepend", key: Key, more: string | Uint8Array, options: CallOptions | undefined): Promise<boolean> {
    return this.#whereItemIs(verb, key, options, () => ({ body: checked({ bytes: more, flags: 0 }).bytes }));
  }

  /** incr and decr: the new number, or undefined when there is no item and none shall be made. */
  async count(
    verb: "incr" | "decr",
    key: Key,
    delta: bigint | number,
    { initial, ttl, ...options }: CountOptions = {},
  ): Promise<bigint | undefined> {
    const later = this.#dispatch.limits.later(options);
    const made = initial === undefined ? undefined : deltaOf(initial);
    for (let attempt = 0; ; attempt += 1) {
      const counted = await this.#countWhereItemIs(verb, key, delta, later());
      if (counted !== undefined || made === undefined || attempt === ATTEMPTS_MAX) return counted;
      const fields: FieldsAt = (poolServer) => ({
        body: String(made),
        flags: NUMBER_FLAG,
        exptime: this.#dispatch.exptime(poolServer, ttl),
      });
      if (await this.#add(key, later(), fields)) return made;
    }
  }

  async #countWhereItemIs(
    verb: "incr" | "decr",
    key: Key,
    delta: bigint | number,
    options: CallOptions | undefined,
  ): Promise<bigint | undefined> {
    const later = this.#dispatch.limits.later(options);
    try {
      return await this.#dispatch.command(verb, key, options, counter, undefined, () => ({ delta: deltaOf(delta) }));
    } catch (error) {
      // A placeholder is no number, and so is refused.
      if (codeOf(error) === "CACHE_REFUSED" && isNoItem(await this.#look(key, later()))) return undefined;
      throw error;
    }
  }

  /** gat: the value, with a new end. */
  async getAndTouch<T>(key: Key, ttl: Ttl, codec: Codec<unknown>, options: CallOptions | undefined): Promise<T | undefined> {
    const dispatch = this.#dispatch;
    const later = dispatch.limits.later(options);
    const isComputed = await this.#wouldEndTurn(key, ttl, later);
    const fields: FieldsAt = (poolServer) => ({ exptime: this.#newEnd(poolServer, ttl) });
    const answers = isComputed ? [] : await dispatch.commandAll("gat", key, later(), gatReply, undefined, fields);
    for (const { poolServer, answer: item } of answers) {
      if (!item) continue;
      const tags = tagsOf(item.bytes, item.flags);
      if (tags && !(await dispatch.tags.areCurrent(poolServer!.server.name, tags, later()))) continue;
      dispatch.countReads(1, 0);
      return dispatch.decode(dispatch.toWireKey(key), item, codec) as T | undefined;
    }
    dispatch.countReads(0, 1);
    return undefined;
  }

  /** Deletes also a placeholder: what its holder computes is from before, and is not stored. */
  delete(key: Key, options: CallOptions | undefined): Promise<boolean> {
    return this.#onItem("delete", key, options, () => ({}));
  }

  /** Where a placeholder is, its holder soon sets its end again, or another takes it over. */
  async touch(key: Key, ttl: Ttl, options: CallOptions | undefined): Promise<boolean> {
    const later = this.#dispatch.limits.later(options);
    if (await this.#wouldEndTurn(key, ttl, later)) return false;
    return this.#onItem("touch", key, later(), (poolServer) => ({ exptime: this.#newEnd(poolServer, ttl) }));
  }

  /** A life shorter than a placeholder's would end the turn of who computes, before it is renewed: only then it is looked for first. */
  async #wouldEndTurn(key: Key, ttl: Ttl, later: () => CallOptions | undefined): Promise<boolean> {
    if (ttl === undefined || ttlMs(ttl, this.#dispatch.clock.wallMs()) >= PLACEHOLDER_S * 1000) return false;
    return isPlaceholder((await this.#lookAll(key, later()))[0]);
  }

  /** Whether there was an item at any of its servers. */
  async #onItem(verb: "delete" | "touch", key: Key, options: CallOptions | undefined, fields: FieldsAt): Promise<boolean> {
    const before = this.#lookAll(key, options);
    const answers = await this.#dispatch.commandAll(verb, key, options, () => foundOrNot, false, fields);
    const seen = await before;
    return answers.some(({ answer: found }, index) => found && !isPlaceholder(seen[index]));
  }

  #newEnd(poolServer: PoolServer | undefined, ttl: Ttl): number {
    if (ttl === undefined) throw new UsageError("CACHE_TTL_INVALID", "Cannot touch without a ttl; 0 means no end");
    return this.#dispatch.exptime(poolServer, ttl);
  }

  /** Marks an item as out of date, to be given for `leftS` seconds at most. A placeholder goes, as by `delete`. */
  async invalidate(key: Key, leftS: number | undefined, options: CallOptions | undefined): Promise<boolean> {
    const later = this.#dispatch.limits.later(options);
    const wireKey = this.#dispatch.toWireKey(key);
    for (let attempt = 1; ; attempt += 1) {
      const seen = await this.#dispatch.look(wireKey, later(), true);
      if (seen === "nothing") return this.#dispatch.pool.copies > 1 && this.delete(key, later());
      const isHeld = isPlaceholder(seen);
      const only = isItem(seen) && attempt < ATTEMPTS_MAX ? seen : undefined;
      const fields = isHeld ? leaseDropped(wireKey, seen) : invalidation(wireKey, leftS, only);
      const done = await this.#dispatch.command("meta", key, later(), metaDone, false, () => fields);
      if (done || (!isHeld && !only)) return done && !isHeld; // else it is another by now
      if (attempt === ATTEMPTS_MAX) return false;
    }
  }

  /** replace, append and prepend look first, since the server would take a placeholder for an item. */
  async #whereItemIs(
    verb: "replace" | "append" | "prepend",
    key: Key,
    options: CallOptions | undefined,
    fields: FieldsAt,
  ): Promise<boolean> {
    const later = this.#dispatch.limits.later(options);
    const looked = await this.#look(key, options);
    if (isNoItem(looked)) {
      fields(undefined); // what could not be sent is refused all the same
      return false;
    }
    if (verb === "prepend" && isItem(looked) && looked.tagged)
      throw new OperationError("CACHE_REFUSED", "Cannot prepend to an item with tags: they stand before its value");
    return this.#dispatch.command(verb, key, later(), storedOrNot, false, fields, verb === "replace" ? "first" : "change");
  }

  /** An add that meets a placeholder stores in its place; the lease's holder then stores nothing. */
  async #add(key: Key, options: CallOptions | undefined, stored: FieldsAt): Promise<boolean> {
    const later = this.#dispatch.limits.later(options);
    for (let attempt = 1; ; attempt += 1) {
      if (await this.#dispatch.command("add", key, later(), storedOrNot, false, stored, "first")) return true;
      const met = await this.#look(key, later());
      if (attempt === ATTEMPTS_MAX) return false;
      if (isItem(met) && met.tagged && (await this.#dropInvalid(key, later()))) continue;
      if (!isNoItem(met)) return false;
      if (isPlaceholder(met) && (await this.#storeOver(met, key, later(), stored))) return true;
    }
  }

  /** Deletes an item whose tags were invalidated; false for one that counts. The read may take the turn to compute it anew. */
  async #dropInvalid(key: Key, options: CallOptions): Promise<boolean> {
    const dispatch = this.#dispatch;
    const wireKey = dispatch.toWireKey(key);
    const server = dispatch.pool.route(wireKey)?.server.name ?? "";
    const request = leasedRead(wireKey, { recacheS: 0 });
    const met = await dispatch.errand(wireKey, leasedReply(bytes as Codec<unknown>, server), undefined, request, options);
    if (met?.tags && !(await dispatch.tags.areCurrent(server, met.tags, options))) {
      const only = { cas: met.cas, connection: dispatch.connectionOf(wireKey) };
      await dispatch.command("meta", key, options, metaDone, false, () => leaseDropped(wireKey, only));
      return true;
    }
    if (met?.won && !met.held) dispatch.turnTaken(wireKey, met.cas, server);
    return false;
  }

  #storeOver(placeholder: SeenVersion, key: Key, options: CallOptions, stored: FieldsAt): Promise<boolean> {
    return this.#dispatch.command("meta", key, options, metaDone, false, (poolServer) => {
      const { body = "", flags = 0, exptime = 0 } = stored(poolServer);
      return leasedStore(this.#dispatch.toWireKey(key), placeholder, { exptime, flags, body });
    });
  }

  /** What is under the key; undefined also for what is no key: the command itself tells its caller. */
  #look(key: Key, options: CallOptions | undefined): Promise<Look> {
    try {
      return this.#dispatch.look(this.#dispatch.toWireKey(key), options);
    } catch {
      return Promise.resolve(undefined);
    }
  }

  /** The same at all of its servers. */
  #lookAll(key: Key, options: CallOptions | undefined): Promise<readonly Look[]> {
    try {
      return this.#dispatch.lookAll(this.#dispatch.toWireKey(key), options);
    } catch {
      return Promise.resolve([]);
    }
  }

  /** What a storing command sends. The value is encoded once for all servers. */
  #stored(
    value: unknown,
    codec: Codec<unknown>,
    options: StoreOptions | undefined,
    versions: ServerVersions = NO_VERSIONS,
  ): FieldsAt {
    let plain: Encoded | undefined;
    return (poolServer) => {
      plain ??= checked(codec.encode(value));
      const encoded = withTags(plain, versions(poolServer));
      return { body: encoded.bytes, flags: encoded.flags, exptime: this.#dispatch.exptime(poolServer, options?.ttl) };
    };
  }
}

function isNoItem(looked: Look): boolean {
  return looked === "nothing" || isPlaceholder(looked);
}

/** @throws UsageError CACHE_VALUE_INVALID */
function deltaOf(delta: bigint | number): bigint {
  if (typeof delta === "bigint" ? delta >= 0n && delta < 2n ** 64n : Number.isSafeInteger(delta) && delta >= 0)
    return BigInt(delta);
  throw new UsageError("CACHE_VALUE_INVALID", `Cannot add ${String(delta)}: it must be a whole number from 0 to 2^64-1`);
}

/** @throws UsageError CACHE_VALUE_INVALID */
function version(cas: bigint): bigint {
  if (typeof cas === "bigint" && cas >= 0n && cas < 2n ** 64n) return cas;
  throw new UsageError("CACHE_VALUE_INVALID", "Cannot compare: cas must be the bigint that gets gave");
}
