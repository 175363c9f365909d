/** ● Requests to JetStream that can wait until its cluster has a leader. */
import { setTimeout as sleep } from "node:timers/promises";
import { isNotNow } from "./nats-errors.ts";

/** 20 s: nats-server 2.9 elects within 4 to 9 s, and a slow machine takes twice that. */
const GIVE_UP_MS = 20_000;
const AGAIN_MS = 200;

/**
 * Asks again while the answer is "not now", or none. Any other error is thrown at once.
 *
 * @param isPassing errors that will pass
 */
export async function retryWhileLeaderless<T>(ask: () => Promise<T>, isPassing = isNotNow): Promise<T> {
  const giveUpMs = performance.now() + GIVE_UP_MS;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!isPassing(error) || performance.now() > giveUpMs) throw error;
      await sleep(AGAIN_MS);
    }
  }
}
