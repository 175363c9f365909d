import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { hash } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { placementOf, type PlacementRule } from "../../../../src/cache/client/pool/placement.ts";
import { parseServer, type ServerAddress } from "../../../../src/cache/client/operations/server-address.ts";
import { between, seeded, type Random } from "../../../../src/core/random.ts";
import { requires } from "../../../support/requires.ts";

type Ring = new (servers: Record<string, number>) => { get(key: string): string };
const require = createRequire(import.meta.url);
const Memcached = require("memcached") as new (servers: Record<string, number>) => { readonly HashRing: InstanceType<Ring> };
const HashRing = createRequire(require.resolve("memcached"))("hashring") as Ring;
const { Client: Memjs } = require("memjs") as { Client: { create(servers: string): { getServer(key: string): number } } };

function servers(...weights: readonly number[]): ServerAddress[] {
  return weights.map((weight, index) => parseServer({ address: `10.0.1.${index + 1}:11211`, weight }));
}

/** The pool of libmemcached's own ketama test, and where it says that keys live. */
const PUBLISHED_WEIGHTS = [600, 300, 200, 350, 1000, 800, 950, 100];
const PUBLISHED: readonly (readonly [key: string, lastByte: number])[] = [
  ["SVa_]_V41)", 7],
  ["*/Z;?V(.\\8", 1],
  ["30C1*Z*S/_", 2],
  ["ERR:EC58G>", 7],
  ["1I=cTMNTKF", 5],
  ["]VG<`I*Z8)", 5],
  ["UUTC`-V159", 5],
  ["/XLN0@+36;", 1],
  ["726bW=9*a4", 7],
  ["P1[Ma3=K1/", 8],
  ["D[HE+cFXDK", 3],
  ["EM75N0+[X1", 4],
  ["1*RTMC7,03", 8],
  ["R-08RNTaRT", 5],
  ["(,>E`)FT\\4", 2],
  ["6,cEI`F_P>", 6],
  ["8*6a;Sc*X+", 2],
  ["UNHVP..^8H", 4],
  ["[>RZHG97Q9", 6],
  ["4*=.SPR[AV", 1],
  ["[1ZXONX2]a", 4],
  ["VD6D0]ba_\\", 1],
];

test("ketama places the published keys where libmemcached does, around the end of the ring too", () => {
  const ring = placementOf("ketama", servers(...PUBLISHED_WEIGHTS));
  for (const [key, lastByte] of PUBLISHED) assert.equal(ring.pick(key) + 1, lastByte, key);
  assert.equal(ring.pick("VDEAAAAA"), 2, "hashes past the last point: belongs to the first");
});

for (const rule of ["ketama", "plain-ketama", "modulo"] as const) {
  test(`${rule} agrees with libmemcached itself on random pools and keys`, requires("python3-pylibmc"), (t) => {
    const seed = Date.now() % 1_000_000;
    t.diagnostic(`seed ${seed}`);
    const random = seeded(seed);
    for (let pool = 0; pool < 12; pool += 1) {
      const equal = pool % 3 === 0;
      const list = Array.from({ length: between(random, 1, 20) }, (_, index) => {
        const host = random() < 0.5 ? `cache-${index}.example` : `10.${index}.0.${between(random, 1, 254)}`;
        const port = random() < 0.5 ? 11_211 : between(random, 1024, 65_535);
        return parseServer({ address: `${host}:${port}`, weight: equal ? 1 : between(random, 1, 1000) });
      });
      const keys = Array.from({ length: 500 }, () => randomKey(random));
      const placement = placementOf(rule, list);
      const asked = { rule, servers: list.map(({ host, port, weight }) => [host, port, weight]), keys };
      const script = join(import.meta.dirname, "../support/libmemcached.py");
      const told = JSON.parse(
        execFileSync("/usr/bin/python3", [script], { input: JSON.stringify(asked) }).toString(),
      ) as number[];
      assert.deepEqual(
        keys.map((key) => placement.pick(key)),
        told,
      );
    }
  });
}

/** A pool in which no server has port 11211 alone, or a weight but 1, and 2,000 keys as people name them. */
const POOL = ["10.0.0.1:11211", "10.0.0.2:11211", "10.0.0.3:11212", "cache-4.example:11211", "cache-5.example:2000"];
const NAMED = Array.from({ length: 2000 }, (_, index) => (index % 10 === 0 ? `größe:${index}:√` : `user:${index}:profile`));

/** Which server each key has, as the client sees the key: as bytes of UTF-8. */
function placed(rule: PlacementRule, pool: readonly ServerAddress[], keys: readonly string[]): string[] {
  const placement = placementOf(rule, pool);
  return keys.map((key) => pool[placement.pick(Buffer.from(key).toString("latin1"))]!.name);
}

for (const [rule, theirs] of [
  ["ketama", "memcached"],
  ["hashring", "hashring"],
] as const) {
  test(`${rule} agrees with the npm package ${theirs}, with weights and without`, () => {
    for (const weights of [
      [1, 1, 1, 1, 1],
      [1, 3, 1, 1, 2],
    ]) {
      const spec = Object.fromEntries(POOL.map((address, index) => [address, weights[index]!]));
      const ring = theirs === "memcached" ? new Memcached(spec).HashRing : new HashRing(spec);
      const pool = POOL.map((address) => parseServer({ address, weight: spec[address]! }));
      assert.deepEqual(
        placed(rule, pool, NAMED),
        NAMED.map((key) => ring.get(key)),
      );
    }
  });
}

test("memjs agrees with the npm package memjs", () => {
  const theirs = Memjs.create(POOL.join(","));
  assert.deepEqual(
    placed("memjs", POOL.map(parseServer), NAMED),
    NAMED.map((key) => POOL[theirs.getServer(key)]),
  );
});

test("pymemcache agrees with pymemcache's HashClient", requires("python3-pymemcache"), () => {
  const script = `
import json, sys
from pymemcache.client.hash import HashClient
asked = json.load(sys.stdin)
client = HashClient([(host, port) for host, port in asked["servers"]], allow_unicode_keys=True)
json.dump([client.hasher.get_node(key) for key in asked["keys"]], sys.stdout)`;
  const servers = POOL.map(parseServer);
  const input = JSON.stringify({ servers: servers.map(({ host, port }) => [host, port]), keys: NAMED });
  const theirs = JSON.parse(execFileSync("/usr/bin/python3", ["-c", script], { input }).toString()) as string[];
  assert.deepEqual(placed("pymemcache", servers, NAMED), theirs);
});

/** Sizes of pools and the SHA-256 (its beginning) of the owners of 2,000 keys, in order, by mcrouter's own lib/fbi/hash.c. */
const MCROUTER: readonly (readonly [servers: number, digest: string])[] = [
  [2, "721fe27061c6c33993900e8084c9bbb2"],
  [3, "bf8a42f2fba4754b50cb09e71c34d542"],
  [10, "547c09677a4a788b72c35b4a19653cd6"],
  [37, "cf3875ca3255a39f773b28b6662c2a97"],
  [500, "2df1311e3ce18e80f9d15c95467499a5"],
];

test("mcrouter places 2,000 keys where mcrouter's own hash does, and those of its tests; what follows a hash stop does not count", () => {
  const owners = (count: number, keys: readonly string[]): number[] => {
    const placement = placementOf("mcrouter", servers(...Array<number>(count).fill(1)));
    return keys.map((key) => placement.pick(key));
  };
  const keys = Array.from({ length: 2000 }, (_, index) => `user:${index}:${"x".repeat(index % 41)}`);
  for (const [count, digest] of MCROUTER)
    assert.equal(hash("sha256", owners(count, keys).join(",")).slice(0, 32), digest, `${count} servers`);
  const numbers = Array.from({ length: 10_000 }, (_, index) => String(index));
  const counts = Array<number>(10).fill(0);
  for (const owner of owners(10, numbers)) counts[owner]! += 1;
  assert.deepEqual(counts, [995, 955, 1046, 968, 1032, 972, 1016, 1038, 1010, 968], "Ch3HashTest.cpp, ch3_10");
  assert.deepEqual(owners(100, ["sample", "sample|#|with a tail"]), [97, 97]);
});

function randomKey(random: Random): string {
  return String.fromCharCode(...Array.from({ length: between(random, 1, 250) }, () => between(random, 0x21, 0xff)));
}

const KEYS = Array.from({ length: 40_000 }, (_, index) => `user:${index}:profile`);

/** Rules by which the next server in the list takes the place of one that is out. */
const IN_ORDER: ReadonlySet<PlacementRule> = new Set(["modulo", "memjs", "mcrouter"]);

function moved(rule: PlacementRule, before: readonly ServerAddress[], after: readonly ServerAddress[]): number {
  const old = placementOf(rule, before);
  const now = placementOf(rule, after);
  return KEYS.filter((key) => before[old.pick(key)]!.name !== after[now.pick(key)]!.name).length / KEYS.length;
}

for (const [rule, slack] of [
  ["ketama", 0.25],
  ["rendezvous", 0.05],
] as const) {
  test(`${rule}: adding or removing one of 10 servers moves a tenth of the keys, within ${slack * 100} % of it`, () => {
    const ten = servers(...Array<number>(10).fill(1));
    const eleven = servers(...Array<number>(11).fill(1));
    for (const [name, before, after, share] of [
      ["add", ten, eleven, 1 / 11],
      ["remove", ten, ten.toSpliced(3, 1), 1 / 10],
    ] as const) {
      const seen = moved(rule, before, after);
      assert.ok(Math.abs(seen - share) < share * slack, `${name}: ${seen} of the keys moved, ${share} expected`);
    }
  });

  test(`${rule}: a key moves only from or to the server that left or came`, () => {
    const ten = servers(...Array<number>(10).fill(1));
    const nine = ten.toSpliced(3, 1);
    const old = placementOf(rule, ten);
    const now = placementOf(rule, nine);
    for (const key of KEYS) {
      const was = ten[old.pick(key)]!;
      if (was !== ten[3]) assert.equal(nine[now.pick(key)], was);
    }
  });

  test(`${rule}: a server of twice the weight holds twice the keys`, () => {
    const placement = placementOf(rule, servers(1, 1, 2, 4));
    const counts = [0, 0, 0, 0];
    for (const key of KEYS) counts[placement.pick(key)]! += 1;
    for (const [index, weight] of [1, 1, 2, 4].entries()) {
      const share = counts[index]! / KEYS.length;
      assert.ok(Math.abs(share - weight / 8) < (weight / 8) * 0.2, `server ${index}: ${share}`);
    }
  });
}

for (const rule of ["ketama", "rendezvous", "modulo", "plain-ketama", "hashring", "memjs", "pymemcache", "mcrouter"] as const) {
  test(`${rule}: while a server is out, only its keys go elsewhere, to where they always go then`, () => {
    const placement = placementOf(rule, servers(1, 1, 1, 1, 1));
    const spread = new Set<number>();
    for (const key of KEYS.slice(0, 5000)) {
      const home = placement.pick(key);
      const other = placement.pick(key, (index) => index !== 2);
      if (home !== 2) assert.equal(other, home);
      else {
        assert.notEqual(other, 2);
        assert.equal(
          placement.pick(key, (index) => index !== 2),
          other,
        );
        spread.add(other);
      }
    }
    assert.ok(IN_ORDER.has(rule) || spread.size === 4, "the load of the one that is out is shared by all others");
    assert.equal(
      placement.pick("any", () => false),
      -1,
    );
  });
}

test("an unknown rule, an empty pool and a weight of zero are refused", () => {
  assert.throws(() => placementOf("random" as PlacementRule, servers(1)), { code: "CACHE_OPTION_INVALID" });
  assert.throws(() => placementOf("ketama", []), { code: "CACHE_OPTION_INVALID" });
  assert.throws(() => parseServer({ address: "a:1", weight: 0 }), { code: "CACHE_OPTION_INVALID" });
});
