/** ● The environment of the session cores on Node: its clock, chance, secrets, and the end of a turn. */
import { createHmac, randomBytes } from "node:crypto";
import type { Clock } from "../../core/clock.ts";
import { systemClock } from "../../core/clock.ts";
import type { Random } from "../../core/random.ts";
import { Deadlines } from "./deadlines.ts";
import type { Environment } from "./environment.ts";

export function nodeEnvironment({
  clock = systemClock,
  random = Math.random,
}: {
  clock?: Clock | undefined;
  random?: Random | undefined;
}): Environment {
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
    soon: (connection) => process.nextTick(flush, connection),
  };
}

function flush(connection: { flush(): void }): void {
  connection.flush();
}
