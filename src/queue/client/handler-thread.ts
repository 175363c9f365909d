/** ● The thread's side of handler-threads.ts: loads the handler's module and runs it for each task that it is given. */
import { parentPort, workerData } from "node:worker_threads";
import { messageOf } from "../../core/errors.ts";
import { afterMsOf, type Handler } from "./handler.ts";
import { onceIn } from "./once.ts";
import { type HandlerAnswer, owned, type ThrownError, type HandlerRequest } from "./handler-threads.ts";

const stops = new Map<number, AbortController>();

function say(message: HandlerAnswer): void {
  parentPort!.postMessage(message, []);
}

async function load(): Promise<Handler<unknown, unknown>> {
  const { default: handler } = (await import(workerData as string)) as { default?: unknown };
  if (typeof handler !== "function") throw new TypeError("its default export is no function");
  return handler as Handler<unknown, unknown>;
}

async function run(handler: Handler<unknown, unknown>, task: Extract<HandlerRequest, { kind: "run" }>): Promise<void> {
  const { run: number, payload, id, attempt } = task;
  const stop = new AbortController();
  stops.set(number, stop);
  try {
    const result = await handler(payload, {
      id,
      attempt,
      signal: stop.signal,
      progress: (said) => say({ kind: "progress", run: number, said: owned(said) }),
      partial: (said) => say({ kind: "partial", run: number, said: owned(said) }),
      once: onceIn(id),
    });
    say({ kind: "done", run: number, result: owned(result) });
  } catch (error) {
    say({ kind: "failed", run: number, error: thrown(error) });
  } finally {
    stops.delete(number);
  }
}

function thrown(error: unknown): ThrownError {
  if (!(error instanceof Error)) return { name: "Error", message: messageOf(error), stack: undefined };
  const afterMs = afterMsOf(error);
  return { name: error.name, message: error.message, stack: error.stack, ...(afterMs !== undefined && { afterMs }) };
}

try {
  const handler = await load();
  parentPort!.on("message", (message: HandlerRequest) => {
    if (message.kind === "run") void run(handler, message);
    else stops.get(message.run)?.abort(new Error(String(message.reason)));
  });
  say({ kind: "ready" });
} catch (error) {
  say({ kind: "unusable", reason: messageOf(error) });
}
