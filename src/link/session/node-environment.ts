/** ● The world of the session cores on Node: its clock, chance, secrets, and the end of a turn. */
import { createHmac, randomBytes } from "node:crypto";
import type { Clock } from "../../core/clock.ts";
import { systemClock } from "../../core/clock.ts";
import type { Random } from "../../core/random.ts";
import { Deadlines } from "./deadlines.ts";
import type { Line, World } from "./link-connection.ts";

export function nodeWorld({
  clock = systemClock,
  random = Math.random,
}: {
  clock?: Clock | undefined;
  random?: Random | undefined;
}): World {
  return {
    clock,
    random,
    deadlines: new Deadlines(clock),
    secretBytes: (count) => randomBytes(count),
    hmac(key, parts) {
      const hmac = createHmac("sha256", key);
      for (const part of parts) hmac.update(part);
      return hmac.digest();
    },
    // After the promises that this turn settles, whose continuations may send more: one write for all of it.
    soon: (line) => process.nextTick(flush, line),
  };
}

function flush(line: Line): void {
  line.flush();
}
