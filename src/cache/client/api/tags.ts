/**
 * ● Tags: names under which many items are invalidated at once. Each server has a version of each tag, an item of its own; the items with
 * that tag on that server carry it (tagged.ts). Invalidating a tag deletes its version everywhere; the next store makes another, unlike
 * all before. Invariant: an item is given only if, at some time after its read began, its server had the very versions it carries.
 * Versions are asked of the server with each read, unless its change stream is followed, which tells when they change.
 */
import { hash } from "node:crypto";
import { OperationError, UsageError } from "../../../core/errors.ts";
import type { Random } from "../../../core/random.ts";
import { TAGS_MAX, type TagVersion } from "../operations/tagged.ts";
import type { ReplyReader } from "../operations/operation.ts";
import { placementKey } from "../operations/wire-key.ts";
import type { PoolServer } from "../pool/pool-server.ts";
import { unexpected } from "../protocol/in-flight.ts";
import type { CallOptions } from "./cache-client-options.ts";
import { foundOrNot } from "./command-replies.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Key } from "./key.ts";
import { keyAndMark, metaKey } from "./lease.ts";

/** What stands before a tag's id in the key of its version. */
const TAG_KEY = "tag.";

/** 1 s: a version that is older than this is asked for again before something is stored with it, lest that be born invalid for ever. */
const KNOWN_MS_MAX = 1000;

/** 16,384 versions known, of some 100 bytes: 1.6 MB. */
const KNOWN_MAX = 16_384;

/** 10 ms: requests of one tick, whose time to answer differs by less, are one. */
const SAME_TIMEOUT_MS = 10;

interface Known {
  readonly version: string;
  readonly askedMs: number;
}

/** The versions with which something is stored on a server. */
export type ServerVersions = (poolServer: PoolServer | undefined) => readonly TagVersion[];

export const NO_VERSIONS: ServerVersions = () => [];

export class Tags {
  readonly #dispatch: Dispatch;
  readonly #random: Random;
  /** By the server's name and the version's wire key. */
  readonly #known = new Map<string, Known>();
  /** Requests for versions that are not sent yet, by place; what is found in one reply asks for a tag's version once. */
  readonly #asking = new Map<string, { readonly timeoutMs: number; readonly version: Promise<string | undefined> }>();
  /** Grows whenever a version may have changed: what was asked for before is not remembered. */
  #changes = 0;

  constructor(dispatch: Dispatch, random: Random) {
    this.#dispatch = dispatch;
    this.#random = random;
  }

  /** @throws UsageError CACHE_OPTION_INVALID */
  ids(tags: readonly string[] | undefined): readonly string[] {
    if (tags === undefined) return [];
    const isList = Array.isArray(tags) && tags.length <= TAGS_MAX;
    if (isList && tags.every((tag) => typeof tag === "string" && tag !== "" && tag.isWellFormed())) {
      return [...new Set(tags.map(idOf))];
    }
    throw new UsageError(
      "CACHE_OPTION_INVALID",
      `Cannot use tags ${String(tags)}: they must be at most ${TAGS_MAX} texts that are not empty`,
    );
  }

  /** The versions with which something is stored on a server now. @throws OperationError */
  async versions(poolServer: PoolServer, ids: readonly string[], options: CallOptions | undefined): Promise<TagVersion[]> {
    if (ids.length > 0 && !poolServer.meta)
      throw new OperationError("CACHE_REFUSED", `Cannot store with tags on ${poolServer.server.name}: it has no meta commands`);
    return Promise.all(ids.map(async (id) => ({ id, version: await this.#versionFor(poolServer, id, options) })));
  }

  /** The versions for a key's servers; undefined where none answers for it, or a failure shall count as a miss: nothing is stored. */
  async versionsFor(key: Key, ids: readonly string[], options: CallOptions | undefined): Promise<ServerVersions | undefined> {
    const dispatch = this.#dispatch;
    const later = dispatch.limits.later(options);
    const wireKey = dispatch.toWireKey(key);
    await dispatch.limits.startedWithin(later());
    const first = dispatch.pool.route(wireKey);
    if (ids.length === 0) return NO_VERSIONS;
    if (!first) return undefined;
    const copies = dispatch.pool.copies === 1 ? [] : dispatch.pool.copiesOf(wireKey).filter((copy) => copy.usable);
    try {
      const versions = await Promise.all([first, ...copies].map((each) => this.versions(each, ids, later())));
      const others = new Map(copies.map((copy, index) => [copy, versions[index + 1]!]));
      // On a server that answers for the key meanwhile, another's versions are none: what is stored there is a miss.
      return (poolServer) => (poolServer && others.get(poolServer)) ?? versions[0]!;
    } catch (error) {
      if (dispatch.missesErrors) return undefined;
      throw error;
    }
  }

  /** Whether a server still has the versions. @throws OperationError when it does not answer */
  async areCurrent(server: string, tags: readonly TagVersion[], options: CallOptions | undefined): Promise<boolean> {
    if (this.#dispatch.near?.follows(server) === true && this.areKnown(server, tags)) return true;
    const poolServer = this.#dispatch.pool.named(server);
    if (!poolServer) return false;
    const { startedMs, deadlineMs } = this.#dispatch.limits.times(options);
    const versions = await Promise.all(tags.map(({ id }) => this.#askOnce(poolServer, id, deadlineMs - startedMs, options)));
    return tags.every(({ version }, index) => version === versions[index]);
  }

  /** Whether they are the versions seen last: for what the near cache keeps. */
  areKnown(server: string, tags: readonly TagVersion[]): boolean {
    return tags.every(({ id, version }) => this.#known.get(this.#place(server, id))?.version === version);
  }

  /** Deletes the versions everywhere. @throws OperationError when not all servers confirm it */
  async invalidate(tags: readonly string[], options: CallOptions | undefined): Promise<void> {
    const ids = this.ids(tags);
    this.#forget(ids);
    try {
      await Promise.all(
        ids.map((id) =>
          this.#dispatch.everywhere(
            "meta",
            { words: `md ${metaKey(this.#wireKey(id))}` },
            options,
            () => foundOrNot,
            false,
            "holders",
          ),
        ),
      );
    } finally {
      this.#forget(ids);
    }
  }

  /** A server's stream told that an item changed, which may be a version. */
  changed(wireKey: string): void {
    if (!placementKey(wireKey).includes(TAG_KEY)) return;
    this.#changes += 1;
    for (const { server } of this.#dispatch.pool.poolServers) this.#known.delete(`${server.name}\n${wireKey}`);
  }

  /** Anything on it may have changed. */
  serverLost(server: string): void {
    this.#changes += 1;
    for (const place of this.#known.keys()) if (place.startsWith(`${server}\n`)) this.#known.delete(place);
  }

  /** Whoever fetches one of their items from now on shares nothing that was begun before. */
  #forget(ids: readonly string[]): void {
    this.#changes += 1;
    for (const { server } of this.#dispatch.pool.poolServers) {
      for (const id of ids) this.#known.delete(this.#place(server.name, id));
    }
    const { flights } = this.#dispatch;
    for (const [wireKey, { tags }] of flights) if (ids.some((id) => tags.includes(id))) flights.delete(wireKey);
  }

  async #versionFor(poolServer: PoolServer, id: string, options: CallOptions | undefined): Promise<string> {
    const server = poolServer.server.name;
    const known = this.#known.get(this.#place(server, id));
    const isFollowed = this.#dispatch.near?.follows(server) === true;
    if (known && (isFollowed || this.#dispatch.clock.now() - known.askedMs <= KNOWN_MS_MAX)) return known.version;
    const version = (await this.#ask(poolServer, id, options)) ?? (await this.#make(poolServer, id, options));
    if (version !== undefined) return version;
    throw new OperationError("CACHE_SERVER_ERROR", `Cannot store with tags: ${server} keeps no version of them`);
  }

  /** The version that the server has now, asked for together with whoever else asks in this tick. */
  #askOnce(
    poolServer: PoolServer,
    id: string,
    timeoutMs: number,
    options: CallOptions | undefined,
  ): Promise<string | undefined> {
    const place = this.#place(poolServer.server.name, id);
    const asking = this.#asking.get(place);
    if (asking && Math.abs(asking.timeoutMs - timeoutMs) < SAME_TIMEOUT_MS) return asking.version;
    if (this.#asking.size === 0) process.nextTick(() => this.#asking.clear());
    const version = this.#ask(poolServer, id, options);
    this.#asking.set(place, { timeoutMs, version });
    return version;
  }

  /** The version that the server has now. */
  async #ask(poolServer: PoolServer, id: string, options: CallOptions | undefined): Promise<string | undefined> {
    const askedMs = this.#dispatch.clock.now();
    const changes = this.#changes;
    const fields = { words: `mg ${metaKey(this.#wireKey(id))} v` };
    const version = await this.#dispatch.errandAt(poolServer, versionValue, undefined, fields, options);
    this.#learn(poolServer, id, version, askedMs, changes);
    return version;
  }

  /** Makes one where there is none; where another did so first, its. */
  async #make(poolServer: PoolServer, id: string, options: CallOptions | undefined): Promise<string | undefined> {
    const askedMs = this.#dispatch.clock.now();
    const changes = this.#changes;
    const version = hexOf(this.#random) + hexOf(this.#random);
    const [key, mark] = keyAndMark(this.#wireKey(id));
    const fields = { words: `ms ${key}`, tail: `${mark} ME`, body: version };
    const isMade = await this.#dispatch.errandAt(poolServer, made, false, fields, options);
    if (!isMade) return this.#ask(poolServer, id, options);
    this.#learn(poolServer, id, version, askedMs, changes);
    return version;
  }

  #learn(poolServer: PoolServer, id: string, version: string | undefined, askedMs: number, changes: number): void {
    const place = this.#place(poolServer.server.name, id);
    this.#known.delete(place);
    if (version === undefined || changes !== this.#changes) return;
    this.#known.set(place, { version, askedMs });
    if (this.#known.size > KNOWN_MAX) this.#known.delete(this.#known.keys().next().value!);
  }

  #place(server: string, id: string): string {
    return `${server}\n${this.#wireKey(id)}`;
  }

  #wireKey(id: string): string {
    return this.#dispatch.toWireKey(TAG_KEY + id);
  }
}

/** Whether a key, without the client's prefix, is that of a tag's version. */
export function isTagKey(key: string): boolean {
  return /^tag\.[\w-]{22}$/.test(key);
}

function idOf(tag: string): string {
  return hash("sha256", tag, "buffer").toString("base64url", 0, 16);
}

function hexOf(random: Random): string {
  return Math.floor(random() * 2 ** 32)
    .toString(16)
    .padStart(8, "0");
}

const versionValue: ReplyReader<string | undefined> = (reply, verb) => {
  if (reply.kind === "VA") return { result: reply.valueBytes.toString("latin1") };
  if (reply.kind === "EN") return { result: undefined };
  throw unexpected(reply, verb);
};

const made: ReplyReader<boolean> = (reply, verb) => {
  if (reply.kind === "HD" || reply.kind === "NS") return { result: reply.kind === "HD" };
  throw unexpected(reply, verb);
};
