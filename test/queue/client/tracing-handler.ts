/** A handler with a step, for a thread. */
import type { TaskContext } from "../../../src/queue/index.ts";

export default async function stamp(to: string, task: TaskContext): Promise<string> {
  return task.step("stamp", () => `stamped ${to}`);
}
