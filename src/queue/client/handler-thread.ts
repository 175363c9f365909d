/** ● The thread's side of handler-threads.ts: loads the handler's module and runs it for each task that it is given. */
import { parentPort, workerData } from "node:worker_threads";
import { messageOf } from "../../core/errors.ts";
import type { Handler, ParentTask } from "./handler.ts";
import { onceIn } from "./once.ts";
import {
  asThrown,
  type HandlerAnswer,
  type HandlerRequest,
  owned,
  type ActOutcome,
  type StepCall,
  thrown,
} from "./handler-threads.ts";

const stops = new Map<number, AbortController>();
/** What runs have asked for. */
const asked = new Map<number, { readonly act: () => unknown; readonly told: (told: ActOutcome) => void }>();
let asks = 0;

async function ask(run: number, call: StepCall, act: () => unknown = () => {}): Promise<unknown> {
  const number = (asks += 1);
  const told = await new Promise<ActOutcome>((resolve) => {
    asked.set(number, { act, told: resolve });
    say({ kind: "ask", run, ask: number, call });
  });
  asked.delete(number);
  if ("error" in told) throw asThrown(told.error);
  return told.value;
}

async function act(run: number, number: number): Promise<void> {
  let acted: ActOutcome;
  try {
    acted = { value: owned(await asked.get(number)!.act()) };
  } catch (error) {
    acted = { error: thrown(error) };
  }
  say({ kind: "acted", run, ask: number, acted });
}

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
      step: <T>(name: string, part: () => Promise<T> | T) => ask(number, { what: "step", name }, part) as Promise<T>,
      parents: () => ask(number, { what: "parents", with: [] }) as Promise<ParentTask[]>,
      sleep: async (time) => void (await ask(number, { what: "sleep", with: [time] })),
      waitFor: (name, options) => ask(number, { what: "waitFor", with: [name, options] }),
      call: (to, body, options) =>
        ask(number, { what: "call", with: [typeof to === "string" ? to : to.name, owned(body), options] }),
    });
    say({ kind: "done", run: number, result: owned(result) });
  } catch (error) {
    say({ kind: "failed", run: number, error: thrown(error) });
  } finally {
    stops.delete(number);
  }
}

try {
  const handler = await load();
  parentPort!.on("message", (message: HandlerRequest) => {
    if (message.kind === "run") void run(handler, message);
    else if (message.kind === "act") void act(message.run, message.ask);
    else if (message.kind === "told") asked.get(message.ask)?.told(message.told);
    else stops.get(message.run)?.abort(new Error(String(message.reason)));
  });
  say({ kind: "ready" });
} catch (error) {
  say({ kind: "unusable", reason: messageOf(error) });
}
