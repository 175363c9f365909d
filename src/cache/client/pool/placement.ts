/**
 * ○ Which server holds a key. Every client of a pool must answer alike, so each rule is exact: those that other clients have are
 * theirs (tests ask these clients themselves), rendezvous is written down below.
 */
import { UsageError } from "../../../core/errors.ts";
import { fnv1a, javaHash, mix, murmur3, murmur64, murmur64Again, oneAtATime } from "./key-hashes.ts";
import { md5Words } from "./md5.ts";
import { PORT_DEFAULT, type ServerAddress } from "../operations/server-address.ts";

/**
 * - "ketama": the ring of libmemcached's `KETAMA_WEIGHTED` with MD5, which PHP (`OPT_LIBKETAMA_COMPATIBLE`), pylibmc
 *   (`ketama_weighted`), the npm package memcached and others share; adding or removing one of N servers moves about 1/N of the keys. The default.
 * - "rendezvous": highest random weight; spreads more evenly and needs no ring, at a cost that grows with the number of servers.
 * - "modulo": libmemcached's default distribution and hash; adding a server moves nearly every key; weights mean nothing.
 *
 * To share servers with other clients, or to move from them without a cold start:
 *
 * - "plain-ketama": libmemcached's `KETAMA` with its default hash: pylibmc's `ketama`, PHP's `DISTRIBUTION_CONSISTENT`.
 * - "hashring": the npm package hashring with its defaults.
 * - "memjs": the npm package memjs; the order of the servers counts; no weights.
 * - "pymemcache": pymemcache's HashClient; no weights.
 * - "mcrouter": mcrouter's PoolRoute with its default hash, Ch3, hash stops (`|#|`) included; the order of the servers counts; no weights.
 */
export type PlacementRule =
  | "ketama"
  | "rendezvous"
  | "modulo"
  | "plain-ketama"
  | "hashring"
  | "memjs"
  | "pymemcache"
  | "mcrouter";

/** True for a server, by its index, that may get requests. */
export type IsUsable = (index: number) => boolean;

export interface Placement {
  /**
   * The index of the server that holds the key, or of the one that stands in for it.
   *
   * @param key one byte a character
   * @param isUsable servers to pass over; left out: none
   * @returns -1 when no server is usable
   */
  pick(key: string, isUsable?: IsUsable): number;
}

const RULES: Readonly<Record<PlacementRule, (servers: readonly ServerAddress[]) => Placement>> = {
  ketama: (servers) => new HashRing(ketamaPoints(servers), ketamaHash),
  rendezvous: (servers) => new Rendezvous(servers),
  modulo: (servers) => new InOrder(servers, oneAtATime),
  "plain-ketama": (servers) => new HashRing(plainKetamaPoints(servers), oneAtATime),
  hashring: (servers) => new HashRing(hashringPoints(servers), ketamaHash),
  memjs: (servers) => new InOrder(servers, (key) => javaHash(asText(key))),
  pymemcache: (servers) => new PymemcacheRendezvous(servers),
  mcrouter: (servers) => new InOrder(servers, (key, count) => ch3(key, count)),
};

/** @throws UsageError CACHE_OPTION_INVALID for an unknown rule or no servers */
export function placementOf(rule: PlacementRule, servers: readonly ServerAddress[]): Placement {
  if (servers.length === 0) throw new UsageError("CACHE_OPTION_INVALID", "Cannot place keys: no servers given");
  if (Object.hasOwn(RULES, rule)) return RULES[rule](servers);
  const known = Object.keys(RULES).join(", ");
  throw new UsageError("CACHE_OPTION_INVALID", `Cannot place keys: unknown rule '${rule}'; there are ${known}`);
}

/** A point of a ring, of 2^32 places, with the server it belongs to by index. */
export interface RingPoint {
  readonly at: number;
  readonly owner: number;
}

/** A key belongs to the first point at or after its hash, around the ring. */
class HashRing implements Placement {
  readonly #points: Uint32Array;
  readonly #owners: Uint16Array;
  readonly #hash: (key: string) => number;
  /** The last key and its hash: the owners of one key are picked one after the other. */
  #key = "";
  #hashed = 0;

  constructor(points: readonly RingPoint[], hash: (key: string) => number) {
    this.#points = Uint32Array.from(points, ({ at }) => at);
    this.#owners = Uint16Array.from(points, ({ owner }) => owner);
    this.#hash = hash;
    this.#hashed = hash("");
  }

  pick(key: string, isUsable?: IsUsable): number {
    if (key !== this.#key) {
      this.#key = key;
      this.#hashed = this.#hash(key);
    }
    const hash = this.#hashed;
    const points = this.#points;
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (points[middle]! < hash) low = middle + 1;
      else high = middle;
    }
    for (let step = 0; step < points.length; step += 1) {
      const owner = this.#owners[(low + step) % points.length]!;
      if (!isUsable || isUsable(owner)) return owner;
    }
    return -1;
  }
}

/** A number that says which server of the list it is; while that one is out, the next in the list that is not. */
class InOrder implements Placement {
  readonly #count: number;
  readonly #hash: (key: string, count: number) => number;

  constructor(servers: readonly ServerAddress[], hash: (key: string, count: number) => number) {
    this.#count = servers.length;
    this.#hash = hash;
  }

  pick(key: string, isUsable?: IsUsable): number {
    const first = this.#hash(key, this.#count) % this.#count;
    for (let step = 0; step < this.#count; step += 1) {
      const index = (first + step) % this.#count;
      if (!isUsable || isUsable(index)) return index;
    }
    return -1;
  }
}

/** Points that a server of average weight has on a ring of libketama's, and points made of one MD5 (libmemcached, hosts.cc). */
const POINTS_PER_SERVER = 160;
const POINTS_PER_DIGEST = 4;

/**
 * libmemcached's weighted ketama: server s of weight w has floor(w/total × 160/4 × n + 1e-10) × 4 points, four from each MD5 of
 * "host:port-i" ("host-i" for port 11211), as little-endian words.
 */
export function ketamaPoints(servers: readonly ServerAddress[]): RingPoint[] {
  const total = servers.reduce((sum, { weight }) => sum + weight, 0);
  return sorted(
    servers.flatMap((server, owner) =>
      ofDigests(libmemcachedName(server), owner, digestsOf(server.weight / total, servers.length)),
    ),
  );
}

/** Where a key lies on a ring of MD5s. */
export function ketamaHash(key: string): number {
  return md5Words(key)[0]! >>> 0;
}

/** Rounded to single precision after each step, as libmemcached computes it: a point more or less moves keys. */
function digestsOf(share: number, servers: number): number {
  const { fround } = Math;
  const points = fround(fround(fround(fround(share) * POINTS_PER_SERVER) / POINTS_PER_DIGEST) * servers);
  return Math.floor(fround(points + 1e-10));
}

/** The same for hashring, which computes in double precision and names the port always. */
function hashringPoints(servers: readonly ServerAddress[]): RingPoint[] {
  const total = servers.reduce((sum, { weight }) => sum + weight, 0);
  return sorted(
    servers.flatMap((server, owner) => {
      const digests = Math.floor((server.weight / total) * (POINTS_PER_SERVER / POINTS_PER_DIGEST) * servers.length);
      return ofDigests(plainName(server), owner, digests);
    }),
  );
}

function ofDigests(name: string, owner: number, digests: number): RingPoint[] {
  const points: RingPoint[] = [];
  for (let index = 0; index < digests; index += 1) {
    for (const word of md5Words(`${name}-${index}`)) points.push({ at: word >>> 0, owner });
  }
  return points;
}

/** Points of a server on libmemcached's unweighted ring (MEMCACHED_POINTS_PER_SERVER), each of a hash of its own. */
const PLAIN_POINTS_PER_SERVER = 100;

/** A weight above 1 makes libmemcached use the weighted ring, and still its default hash for keys. */
function plainKetamaPoints(servers: readonly ServerAddress[]): RingPoint[] {
  if (servers.some(({ weight }) => weight > 1)) return ketamaPoints(servers);
  return sorted(
    servers.flatMap((server, owner) =>
      Array.from({ length: PLAIN_POINTS_PER_SERVER }, (_, index) => ({
        at: oneAtATime(`${libmemcachedName(server)}-${index}`),
        owner,
      })),
    ),
  );
}

function sorted(points: RingPoint[]): RingPoint[] {
  return points.sort((a, b) => a.at - b.at);
}

function libmemcachedName(server: ServerAddress): string {
  return server.port === PORT_DEFAULT ? server.host : plainName(server);
}

function plainName({ host, port, path }: ServerAddress): string {
  return path ?? `${host}:${port}`;
}

/**
 * Weighted rendezvous: the server with the greatest −weight / ln(u), u uniform in (0, 1) from 32 bits mixed of the key's hash and
 * the server's. The hashes are FNV-1a of the key and of the server's name; the mixer is murmur3's 32-bit finaliser.
 */
class Rendezvous implements Placement {
  readonly #seeds: Uint32Array;
  readonly #weights: readonly number[];

  constructor(servers: readonly ServerAddress[]) {
    this.#seeds = Uint32Array.from(servers, ({ name }) => mix(fnv1a(name)));
    this.#weights = servers.map(({ weight }) => weight);
  }

  pick(key: string, isUsable?: IsUsable): number {
    const hash = mix(fnv1a(key));
    let best = -1;
    let bestScore = -1;
    for (let index = 0; index < this.#seeds.length; index += 1) {
      if (isUsable && !isUsable(index)) continue;
      const uniform = (mix(hash ^ this.#seeds[index]!) + 0.5) / 2 ** 32;
      const score = -this.#weights[index]! / Math.log(uniform);
      if (score > bestScore) {
        best = index;
        bestScore = score;
      }
    }
    return best;
  }
}

/** pymemcache's RendezvousHash: the greatest murmur3 of "host:port-key"; of equal ones the later name. */
class PymemcacheRendezvous implements Placement {
  readonly #names: readonly string[];

  constructor(servers: readonly ServerAddress[]) {
    this.#names = servers.map(plainName);
  }

  pick(key: string, isUsable?: IsUsable): number {
    const text = asText(key);
    const names = this.#names;
    let best = -1;
    let bestScore = -1;
    for (let index = 0; index < names.length; index += 1) {
      if (isUsable && !isUsable(index)) continue;
      const score = murmur3(`${names[index]}-${text}`);
      if (score < bestScore || (score === bestScore && names[index]! < names[best]!)) continue;
      best = index;
      bestScore = score;
    }
    return best;
  }
}

/** mcrouter's hash stop: what stands behind it in a key does not place it. */
const HASH_STOP = "|#|";

/** What its tree of decisions is rehashed with, how often it tries, and how far apart its bits lie (mcrouter, lib/fbi/hash.c). */
const CH3_SEED = 4_193_360_111n;
const CH3_TRIES_MAX = 32;
const CH3_SHIFT = 23;

/** mcrouter's Ch3: descends a binary tree over `count` servers by bits of the key's hash, so that a new server takes 1/N of each. */
function ch3(key: string, count: number): number {
  if (count <= 1) return 0;
  const stop = key.indexOf(HASH_STOP);
  const hashes = [murmur64(stop < 0 ? key : key.slice(0, stop), CH3_SEED)];
  const bit = (index: number): number => {
    const word = index >> 6;
    while (hashes.length <= word) hashes.push(murmur64Again(hashes.at(-1)!, CH3_SEED));
    return Number((hashes[word]! >> BigInt(index & 63)) & 1n);
  };
  let depth = 32 - Math.clz32(count - 1);
  let at = depth;
  for (let attempt = 0; attempt < CH3_TRIES_MAX; attempt += 1) {
    while (bit(at) === 0) {
      depth -= 1;
      if (depth === 0) return 0;
      at = depth;
    }
    at += CH3_SHIFT;
    let found = 1;
    for (let level = 1; level < depth; level += 1) {
      found = (found << 1) | bit(at);
      at += CH3_SHIFT;
    }
    if (found < count) return found;
  }
  return 0;
}

/** The key's characters, for clients that hash these and not the bytes sent. */
function asText(key: string): string {
  return /[\x80-\xff]/.test(key) ? new TextDecoder().decode(Uint8Array.from(key, (byte) => byte.charCodeAt(0))) : key;
}
