/** ● The environment of the session's client in a page or a worker: its clock, chance, secrets, and the end of a turn. */
import type { Cancel, Clock } from "../../core/clock.ts";
import { utf8 } from "../../core/bytes.ts";
import type { Due } from "../session/deadlines.ts";
import type { DeadlineTimer, Environment } from "../session/environment.ts";
import { hmacSha256 } from "./hmac-sha256.ts";

/** 2^31-1 ms: longer timeouts fire at once. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

const pageClock: Clock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
  at(deadlineMs, fire): Cancel {
    const timer = setTimeout(fire, Math.min(TIMEOUT_MS_MAX, Math.max(0, Math.ceil(deadlineMs - performance.now()))));
    return () => clearTimeout(timer);
  },
  afterInput(call): Cancel {
    const timer = setTimeout(call);
    return () => clearTimeout(timer);
  },
};

/** A client has two deadlines, its own and its connection's: looking at both is less than a heap. */
class FewDeadlines implements DeadlineTimer {
  readonly #entries = new Set<Due>();
  #cancel: Cancel = () => {};

  moved(entry: Due): void {
    entry.position = 0; // it waits
    this.#entries.add(entry);
    this.#arm();
  }

  remove(entry: Due): void {
    entry.position = -1;
    this.#entries.delete(entry);
    this.#arm();
  }

  #arm(): void {
    this.#cancel();
    const nextMs = Math.min(...Array.from(this.#entries, ({ deadlineMs }) => deadlineMs));
    if (nextMs < Infinity) this.#cancel = pageClock.at(nextMs, () => this.#fire());
  }

  #fire(): void {
    const nowMs = pageClock.now();
    for (const entry of this.#entries) if (entry.deadlineMs <= nowMs) entry.due(nowMs);
    this.#arm();
  }
}

export function browserEnvironment(): Environment {
  return {
    clock: pageClock,
    random: Math.random,
    deadlines: new FewDeadlines(),
    secretBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    hmac: (key, parts) => hmacSha256(utf8(key), parts),
    soon: (connection) => queueMicrotask(() => connection.flush()),
  };
}
