/** What a peer gone wrong may send instead of a message: frames cut, flipped, dropped, doubled, swapped, replaced. */
import { between, pick, type Random } from "../../../src/core/random.ts";
import type { Frames } from "../../../src/queue/protocols/messages.ts";

/** Frames that break what reads them carelessly. */
const NASTY: readonly (string | Buffer)[] = [
  "",
  "null",
  "{",
  "[]",
  "7",
  '"x"',
  "{}",
  "NaN",
  "-1",
  "1e999",
  "99999999999999999999",
  "0.5",
  "1.",
  ".1",
  "constructor",
  "__proto__",
  '{"__proto__":{"many":1}}',
  '{"broker":null}',
  '{"broker":"\\u0000 x","load":-1}',
  '{"broker":"sim","load":"1","term":-5}',
  '{"tasks":[null],"queues":[null],"removed":"1"}',
  `${"[".repeat(5000)}${"]".repeat(5000)}`,
  "x".repeat(70_000),
  Buffer.from([0, 0, 0]),
  Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
  Buffer.from([0xc3, 0x28, 0xed, 0xa0, 0x80]),
];

/** One way to get a message wrong. */
export function mutant(random: Random, frames: Frames): Frames {
  const wrong = frames.map((frame) => Buffer.from(frame));
  const at = between(random, 0, wrong.length - 1);
  const frame = wrong[at]!;
  switch (between(random, 0, 8)) {
    case 0: // a bit flips
      if (frame.length > 0) frame[between(random, 0, frame.length - 1)]! ^= 1 << between(random, 0, 7);
      break;
    case 1: // an octet becomes another
      if (frame.length > 0) frame[between(random, 0, frame.length - 1)] = between(random, 0, 255);
      break;
    case 2: // cut short
      wrong[at] = frame.subarray(0, between(random, 0, frame.length));
      break;
    case 3: // too long
      wrong[at] = Buffer.concat([frame, Buffer.from(pick(random, NASTY))]);
      break;
    case 4:
      wrong.splice(at, 1);
      break;
    case 5:
      wrong.splice(at, 0, Buffer.from(frame));
      break;
    case 6: // all that follows is missing
      wrong.length = at;
      break;
    case 7: {
      const other = between(random, 0, wrong.length - 1);
      [wrong[at], wrong[other]] = [wrong[other]!, frame];
      break;
    }
    default:
      wrong[at] = Buffer.from(pick(random, NASTY));
  }
  return wrong;
}

/** The same JSON with one of its values replaced by another, each in turn. */
export function* jsonMutants(value: unknown): Iterable<unknown> {
  yield* NASTY_VALUES;
  if (typeof value !== "object" || value === null) return;
  for (const [name, inner] of Object.entries(value))
    for (const wrong of jsonMutants(inner))
      yield Array.isArray(value) ? value.with(Number(name), wrong) : { ...value, [name]: wrong };
}

const NASTY_VALUES: readonly unknown[] = [null, -1, 0.5, 1e300, true, "", "x", [], [[]], {}, { toString: 1, valueOf: 1 }];
