/**
 * ○ Which server holds a key. Every client of a pool must answer alike, so each rule is exact: ketama and modulo are those of
 * libmemcached (tests ask libmemcached itself), rendezvous is written down below.
 */
import { UsageError } from "../../../core/errors.ts";
import { md5Words } from "./md5.ts";
import { PORT_DEFAULT, type ServerAddress } from "../operations/server-address.ts";

/**
 * - "ketama": the ring of libmemcached's `KETAMA_WEIGHTED` with MD5, which PHP (`OPT_LIBKETAMA_COMPATIBLE`), pylibmc
 *   (`ketama_weighted`) and others share; adding or removing one of N servers moves about 1/N of the keys. The default.
 * - "rendezvous": highest random weight; spreads more evenly and needs no ring, at a cost that grows with the number of servers.
 * - "modulo": libmemcached's default distribution and hash; adding a server moves nearly every key; weights mean nothing.
 */
export type PlacementRule = "ketama" | "rendezvous" | "modulo";

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

/** @throws UsageError CACHE_OPTION_INVALID for an unknown rule or no servers */
export function placementOf(rule: PlacementRule, servers: readonly ServerAddress[]): Placement {
  if (servers.length === 0) throw new UsageError("CACHE_OPTION_INVALID", "Cannot place keys: no servers given");
  switch (rule) {
    case "ketama":
      return new Ketama(servers);
    case "rendezvous":
      return new Rendezvous(servers);
    case "modulo":
      return new Modulo(servers);
    default:
      throw new UsageError(
        "CACHE_OPTION_INVALID",
        `Cannot place keys: unknown rule '${String(rule)}'; use ketama, rendezvous or modulo`,
      );
  }
}

/** Points a server of average weight has on the ring, and points made of one MD5 (libmemcached, hosts.cc). */
const POINTS_PER_SERVER = 160;
const POINTS_PER_DIGEST = 4;

/**
 * libmemcached's weighted ketama: server s of weight w has floor(w/total × 160/4 × n + 1e-10) × 4 points, four from each MD5 of
 * "host:port-i" ("host-i" for port 11211), as little-endian words. A key belongs to the first point at or after the first word
 * of its MD5, around the ring.
 */
class Ketama implements Placement {
  readonly #points: Uint32Array;
  readonly #owners: Uint16Array;

  constructor(servers: readonly ServerAddress[]) {
    const points = ketamaPoints(servers);
    this.#points = Uint32Array.from(points, ({ at }) => at);
    this.#owners = Uint16Array.from(points, ({ owner }) => owner);
  }

  pick(key: string, isUsable?: IsUsable): number {
    const hash = ketamaHash(key);
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

/** The ring's points in order, each with the server it belongs to by index. */
export function ketamaPoints(servers: readonly ServerAddress[]): { at: number; owner: number }[] {
  const total = servers.reduce((sum, { weight }) => sum + weight, 0);
  const points: { at: number; owner: number }[] = [];
  servers.forEach((server, owner) => {
    const digests = digestsOf(server.weight / total, servers.length);
    const name = server.port === PORT_DEFAULT ? server.host : `${server.host}:${server.port}`;
    for (let index = 0; index < digests; index += 1) {
      for (const word of md5Words(`${name}-${index}`)) points.push({ at: word >>> 0, owner });
    }
  });
  return points.sort((a, b) => a.at - b.at);
}

/** Where a key lies on the ring, of 2^32 places. */
export function ketamaHash(key: string): number {
  return md5Words(key)[0]! >>> 0;
}

/** Rounded to single precision after each step, as libmemcached computes it: a point more or less moves keys. */
function digestsOf(share: number, servers: number): number {
  const { fround } = Math;
  const points = fround(fround(fround(fround(share) * POINTS_PER_SERVER) / POINTS_PER_DIGEST) * servers);
  return Math.floor(fround(points + 1e-10));
}

/**
 * Weighted rendezvous: the server with the greatest −weight / ln(u), u uniform in (0, 1) from 32 bits mixed of the key's hash and
 * the server's. The hashes are FNV-1a of the key and of the server's name; the mixer is murmur3's 32-bit finaliser.
 */
class Rendezvous implements Placement {
  readonly #seeds: Int32Array;
  readonly #weights: readonly number[];

  constructor(servers: readonly ServerAddress[]) {
    this.#seeds = Int32Array.from(servers, ({ name }) => mix(fnv1a(name)));
    this.#weights = servers.map(({ weight }) => weight);
  }

  pick(key: string, isUsable?: IsUsable): number {
    const hash = mix(fnv1a(key));
    let best = -1;
    let bestScore = -1;
    for (let index = 0; index < this.#seeds.length; index += 1) {
      if (isUsable && !isUsable(index)) continue;
      const uniform = ((mix(hash ^ this.#seeds[index]!) >>> 0) + 0.5) / 2 ** 32;
      const score = -this.#weights[index]! / Math.log(uniform);
      if (score > bestScore) {
        best = index;
        bestScore = score;
      }
    }
    return best;
  }
}

/** libmemcached's MODULA with its default hash, Jenkins's one-at-a-time. */
class Modulo implements Placement {
  readonly #count: number;

  constructor(servers: readonly ServerAddress[]) {
    this.#count = servers.length;
  }

  pick(key: string, isUsable?: IsUsable): number {
    const first = (oneAtATime(key) >>> 0) % this.#count;
    for (let step = 0; step < this.#count; step += 1) {
      const index = (first + step) % this.#count;
      if (!isUsable || isUsable(index)) return index;
    }
    return -1;
  }
}

/** Bytes over 127 count as negative, as they do where C's char is signed: on x86. */
function oneAtATime(text: string): number {
  let hash = 0;
  for (let index = 0; index < text.length; index += 1) {
    hash = (hash + ((text.charCodeAt(index) << 24) >> 24)) | 0;
    hash = (hash + (hash << 10)) | 0;
    hash ^= hash >>> 6;
  }
  hash = (hash + (hash << 3)) | 0;
  hash ^= hash >>> 11;
  return (hash + (hash << 15)) | 0;
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5 | 0;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return hash;
}

function mix(value: number): number {
  let hash = value;
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
