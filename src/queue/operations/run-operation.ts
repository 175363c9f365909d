/** ○ One operation at a broker: asked for by its name, checked, allowed, done, and noted in the log who did what. */
import { UsageError } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";
import { admit } from "./admission.ts";
import type { Answer, OperationContext } from "./operation.ts";
import { OPERATIONS, operationNamed } from "./table.ts";

/** Who asks. */
export interface Actor {
  readonly peer: string | undefined;
  /** For whom the peer asks: the HTTP API names whoever asked it. */
  readonly by?: string | undefined;
}

export interface AskedOperation {
  readonly name: string;
  readonly input: unknown;
  readonly body?: Uint8Array | undefined;
}

/** @throws UsageError QUEUE_OPTIONS_INVALID, ACCESS_DENIED, or what the operation throws; at once where nothing was begun */
export function runOperation(
  scope: OperationContext,
  actor: Actor,
  { name, input, body }: AskedOperation,
): Promise<Answer<unknown>> {
  const operation = operationNamed(name);
  if (!operation) throw new UsageError("QUEUE_OPTIONS_INVALID", `There is no operation '${name.slice(0, 40)}'${meant(name)}`);
  const wrong = operation.input.wrong(input, "input");
  if (wrong !== undefined) throw new UsageError("QUEUE_OPTIONS_INVALID", `Cannot ${verb(name)}: ${wrong}`);
  if (body !== undefined && operation.body !== "asked")
    throw new UsageError("QUEUE_OPTIONS_INVALID", `Cannot ${verb(name)}: it takes no body`);
  admit(scope, operation, input as object);
  const answer = operation.handle(scope, input, body);
  return operation.right === "queue:read" ? answer : noted(scope, actor, { name, input }, answer);
}

/** Told once it is done: what was refused changed nothing. */
async function noted(
  { service, rights }: OperationContext,
  { peer, by }: Actor,
  { name, input }: AskedOperation,
  answer: Promise<Answer<unknown>>,
): Promise<Answer<unknown>> {
  const done = await answer;
  const result = JSON.stringify(done.value);
  service.log("queue.operation", { operation: name, user: rights?.user, peer, by, asked: JSON.stringify(input), result });
  return done;
}

function meant(name: string): string {
  const like = nearest(name, Object.keys(OPERATIONS));
  return like === undefined ? "" : `; is it '${like}'?`;
}

/** "upsertSchedule" → "upsert schedule" */
function verb(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
