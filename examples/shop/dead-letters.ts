/** Dead letters: tasks out of attempts are kept with their errors. When the fault is mended, those that died of it are tried again, the others are not. */
import type { Queue } from "holdfast/queue";

/** @returns how many are tried again */
export async function retryDead<P, R>(queue: Queue<P, R>, ofError: RegExp): Promise<number> {
  let count = 0;
  for (const { error, text } of await queue.errors()) if (ofError.test(text)) count += await queue.retry({ error });
  return count;
}
