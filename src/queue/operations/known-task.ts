/** ○ One task as operations find it: what the store keeps of it, and its row. */
import { OperationError } from "../../core/errors.ts";
import type { TaskView } from "../service/task-view.ts";
import { NONE } from "../tasks/task-columns.ts";
import type { OperationContext } from "./operation.ts";

/**
 * @param wantsBody whether its body is read too, which is its result when it is completed
 * @throws OperationError QUEUE_TASK_UNKNOWN
 */
export async function knownTask(
  { service, ids }: Pick<OperationContext, "service" | "ids">,
  id: string,
  wantsBody: (view: TaskView) => boolean,
) {
  const number = ids.number(id) ?? NONE;
  const before = service.stateMachine.find(number);
  const kept = before === NONE ? undefined : await service.inspect(number);
  const found = service.stateMachine.find(number);
  const body = kept && found !== NONE && wantsBody(service.view(found)) ? await service.body(number) : undefined;
  // Looked up again: time has passed, and another task may have its row.
  const row = service.stateMachine.find(number);
  if (!kept || row === NONE) throw new OperationError("QUEUE_TASK_UNKNOWN", `No task ${id} is known`);
  return { number, row, kept, body };
}
