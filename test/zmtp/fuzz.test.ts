/**
 * Broken octets against the protocol core: recorded connections of libzmq, changed by chance. Whatever comes, a peer either reads
 * on or says with a ProtocolError what was wrong; it never breaks otherwise and never holds more than it was sent.
 * `FUZZ_SEED=n` repeats a run, `FUZZ_ROUNDS=n` makes it longer.
 */
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { ProtocolError } from "../../src/core/errors.ts";
import { between, pick, type Random, seeded } from "../../src/core/random.ts";
import { HandshakeRefused } from "../../src/zmtp/mechanism.ts";
import { inChunks, replay } from "./replay.ts";
import { readTranscript } from "./transcript.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const ROUNDS = Number(process.env["FUZZ_ROUNDS"] ?? 400);

/** What can happen to octets on their way from a peer that is broken, old, or hostile. */
const CHANGES: Readonly<Record<string, (octets: Buffer, random: Random) => Buffer>> = {
  "an octet changed": (octets, random) => {
    octets[between(random, 0, octets.length - 1)] = between(random, 0, 255);
    return octets;
  },
  "a bit flipped in the first 100": (octets, random) => {
    octets[between(random, 0, 99)]! ^= 1 << between(random, 0, 7);
    return octets;
  },
  "octets left out": (octets, random) => {
    const at = between(random, 0, octets.length - 1);
    return Buffer.concat([octets.subarray(0, at), octets.subarray(at + between(random, 1, 20))]);
  },
  "octets put in": (octets, random) => {
    const at = between(random, 0, octets.length);
    return Buffer.concat([octets.subarray(0, at), chance(random, 20), octets.subarray(at)]);
  },
  "a length of 2^63 put in": (octets, random) => {
    const at = between(random, 64, octets.length);
    return Buffer.concat([octets.subarray(0, at), Buffer.of(2, 0x80, 0, 0, 0, 0, 0, 0, 0), octets.subarray(at)]);
  },
  "a piece repeated": (octets, random) => {
    const [from, to] = [between(random, 0, octets.length), between(random, 0, octets.length)].sort((a, b) => a - b) as [
      number,
      number,
    ];
    return Buffer.concat([octets.subarray(0, to), octets.subarray(from)]);
  },
  "cut off": (octets, random) => octets.subarray(0, between(random, 0, octets.length)),
  "only chance": (_octets, random) => chance(random, 2000),
  "chance behind the greeting": (octets, random) => Buffer.concat([octets.subarray(0, 64), chance(random, 2000)]),
};

function chance(random: Random, lengthMax: number): Buffer {
  return Buffer.from(Array.from({ length: between(random, 1, lengthMax) }, () => between(random, 0, 255)));
}

for (const file of globSync(join(import.meta.dirname, "transcripts/*.txt")).sort()) {
  const transcript = readTranscript(file);
  const name = basename(file, ".txt");
  test(`${name} changed by chance is read on or refused by name (seed ${SEED})`, () => {
    const random = seeded(SEED);
    const sides = (["c", "b"] as const).filter((side) => (transcript.header["ours"] ?? side) === side);
    for (let round = 0; round < ROUNDS; round += 1) {
      const side = pick(random, sides);
      const other = side === "c" ? "b" : "c";
      const [change, apply] = pick(random, Object.entries(CHANGES));
      const octets = apply(Buffer.concat(transcript.sent[other]), random);
      const broken = { ...transcript, sent: { ...transcript.sent, [other]: [octets] } };
      try {
        const { peer } = replay(broken, side, (all) => inChunks(all, random));
        assert.ok(
          peer.pendingBytes <= octets.length,
          `round ${round}: ${change}: holds ${peer.pendingBytes} of ${octets.length}`,
        );
      } catch (error) {
        const named = error instanceof ProtocolError || error instanceof HandshakeRefused;
        assert.ok(named, `round ${round}: ${change}: ${(error as Error).stack}`);
      }
    }
  });
}
