import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { placementOf, type PlacementRule } from "../../../../src/cache/client/pool/placement.ts";
import { parseServer, type ServerAddress } from "../../../../src/cache/client/operations/server-address.ts";
import { between, seeded, type Random } from "../../../../src/core/random.ts";
import { requires } from "../../../support/requires.ts";

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

for (const rule of ["ketama", "modulo"] as const) {
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

function randomKey(random: Random): string {
  return String.fromCharCode(...Array.from({ length: between(random, 1, 250) }, () => between(random, 0x21, 0xff)));
}

const KEYS = Array.from({ length: 40_000 }, (_, index) => `user:${index}:profile`);

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

for (const rule of ["ketama", "rendezvous", "modulo"] as const) {
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
    assert.ok(rule === "modulo" || spread.size === 4, "the load of the one that is out is shared by all others");
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
