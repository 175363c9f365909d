/**
 * ● Threads that run a worker's handler, which is a module (handler-thread.ts has the thread's side). A task goes to the thread that
 * has the least, and waits where all have their share. Invariant: each run settles; a thread that ends, whatever ends it, fails what ran in it and is made anew. One whose
 * handler does not end after its signal fired is ended: what else ran in it is given back.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { packageCode } from "../../core/package-file.ts";
import { Worker as Thread } from "node:worker_threads";
import { codeOf, messageOf, UsageError } from "../../core/errors.ts";
import { type Size, sizeBytes } from "../../core/units.ts";
import { afterMsOf, type Handler, InterruptedError, type TaskContext } from "./handler.ts";

export type HandlerRequest =
  | {
      readonly kind: "run";
      readonly run: number;
      readonly payload: unknown;
      readonly id: string;
      readonly attempt: number;
    }
  | { readonly kind: "stop"; readonly run: number; readonly reason: unknown }
  /** What a step asks for is to be done now. */
  | { readonly kind: "act"; readonly run: number; readonly ask: number }
  /** How what was asked for ended. */
  | { readonly kind: "told"; readonly run: number; readonly ask: number; readonly told: ActOutcome };

/** A value, or an error. */
export type ActOutcome = { readonly value: unknown } | { readonly error: ThrownError };

/** A handler's step, or what ends its run, with what it was called with. */
export type StepCall =
  | { readonly what: "step"; readonly name: string }
  | { readonly what: "sleep" | "waitFor" | "call" | "parents"; readonly with: readonly unknown[] };

export type HandlerAnswer =
  | { readonly kind: "ready" }
  | { readonly kind: "unusable"; readonly reason: string }
  | { readonly kind: "done"; readonly run: number; readonly result: unknown }
  | { readonly kind: "failed"; readonly run: number; readonly error: ThrownError }
  | { readonly kind: "progress" | "partial"; readonly run: number; readonly said: unknown }
  | { readonly kind: "ask"; readonly run: number; readonly ask: number; readonly call: StepCall }
  /** What a step asked for was done. */
  | { readonly kind: "acted"; readonly run: number; readonly ask: number; readonly acted: ActOutcome };

/** What a handler threw. Cloned as they are, errors of classes of one's own lose their names. */
export interface ThrownError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** Of a RetryAfter. */
  readonly afterMs?: number;
  readonly code?: string;
}

export function thrown(error: unknown): ThrownError {
  if (!(error instanceof Error)) return { name: "Error", message: messageOf(error), stack: undefined };
  const afterMs = afterMsOf(error);
  const code = codeOf(error);
  return {
    name: error.name,
    message: error.message,
    stack: error.stack,
    ...(afterMs !== undefined && { afterMs }),
    ...(code !== undefined && { code }),
  };
}

/** As it was thrown, but for its class. */
export function asThrown(error: ThrownError): Error {
  return Object.assign(new Error(error.message), error);
}

interface HandlerThreadsOptions {
  readonly threads?: number;
  /** Of all threads together. */
  readonly concurrency?: number;
  readonly threadMemory?: Size;
}

/**
 * The threads of a handler that is a module; undefined for a function.
 *
 * @throws UsageError QUEUE_OPTIONS_INVALID
 */
export function handlerThreads<P, R>(
  handler: Handler<P, R> | URL,
  options: HandlerThreadsOptions,
): HandlerThreads<P, R> | undefined {
  if (handler instanceof URL) return new HandlerThreads(handler, options);
  if ((options.threads ?? options.threadMemory) === undefined) return undefined;
  throw new UsageError(
    "QUEUE_OPTIONS_INVALID",
    'Cannot run a function in threads: write the handler in a module, worker(queue, new URL("./handler.js", import.meta.url), { threads })',
  );
}

/** 1 s for a handler to end after its signal; then its thread is ended. */
const STOP_MS = 1000;
/** 1 s before a thread that could not load its module is made again: a deployment that replaces the file takes less. */
const AGAIN_MS = 1000;

interface Run<R> {
  readonly context: TaskContext;
  readonly inContext: ReturnType<typeof AsyncLocalStorage.snapshot>;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
  /** Steps that the thread does now. */
  readonly acting: Map<number, (acted: ActOutcome) => void>;
}

export class HandlerThreads<P, R> {
  /** Rejects with UsageError QUEUE_OPTIONS_INVALID when the module cannot be loaded or exports no handler. */
  readonly ready: Promise<void>;
  readonly #module: URL;
  readonly #memoryBytes: number | undefined;
  /** Runs at once in each. */
  readonly #share: number;
  readonly #threads = new Set<HandlerThread<P, R>>();
  /** Runs that wait for a thread. */
  readonly #waiting = new Set<() => void>();
  readonly #loaded = Promise.withResolvers<void>();
  #wasReady = false;
  #closed = false;

  constructor(module: URL, { threads = 1, concurrency = threads, threadMemory }: HandlerThreadsOptions) {
    this.#module = module;
    this.#share = Math.ceil(concurrency / threads);
    this.#memoryBytes = threadMemory === undefined ? undefined : sizeBytes(threadMemory, "threadMemory");
    this.ready = this.#loaded.promise;
    for (let count = 0; count < threads; count += 1) this.#start();
  }

  async run(payload: P, context: TaskContext): Promise<R> {
    for (;;) {
      if (this.#closed) throw new InterruptedError("the worker closes");
      const thread = this.#leastBusy();
      if (thread) return thread.run(payload, context).finally(() => this.#wake());
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    await Promise.all([...this.#threads].map((thread) => thread.close()));
  }

  #start(): void {
    const thread = new HandlerThread<P, R>(this.#module, this.#memoryBytes, {
      ready: () => {
        this.#wasReady = true;
        this.#loaded.resolve();
        this.#wake();
      },
      ended: (reason) => {
        this.#threads.delete(thread);
        if (this.#closed) return;
        if (thread.wasReady) this.#start();
        else if (this.#wasReady) setTimeout(() => this.#closed || this.#start(), AGAIN_MS).unref();
        else this.#loaded.reject(this.#unusable(reason));
      },
    });
    this.#threads.add(thread);
  }

  /** There may be a thread that has room. */
  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  #unusable(reason: string): UsageError {
    return new UsageError("QUEUE_OPTIONS_INVALID", `Cannot use the handler ${this.#module.href}: ${reason}`);
  }

  #leastBusy(): HandlerThread<P, R> | undefined {
    let least: HandlerThread<P, R> | undefined;
    for (const thread of this.#threads) {
      if (thread.isReady && thread.running < (least?.running ?? this.#share)) least = thread;
    }
    return least;
  }
}

interface HandlerThreadListener {
  ready(): void;
  ended(reason: string): void;
}

class HandlerThread<P, R> {
  wasReady = false;
  readonly #thread: Thread;
  readonly #listener: HandlerThreadListener;
  readonly #runs = new Map<number, Run<R>>();
  #number = 0;
  #isEnding = false;
  #reason: string | undefined;

  constructor(module: URL, memoryBytes: number | undefined, listener: HandlerThreadListener) {
    this.#listener = listener;
    this.#thread = new Thread(packageCode("queue/client/handler-thread"), {
      workerData: module.href,
      name: "holdfast-queue-handler",
      // A program that came as text (--input-type) has flags that no thread takes.
      ...(process.execArgv.some((flag) => flag.startsWith("--input-type")) && { execArgv: [] }),
      ...(memoryBytes !== undefined && { resourceLimits: { maxOldGenerationSizeMb: Math.ceil(memoryBytes / 1024 ** 2) } }),
    });
    // What keeps the process alive is what it runs.
    this.#thread.unref();
    this.#thread.on("message", (message: HandlerAnswer) => this.#heard(message));
    this.#thread.on("error", (error) => (this.#reason ??= messageOf(error)));
    this.#thread.on("exit", (code) => this.#over(this.#reason ?? `exit code ${code}`));
  }

  get isReady(): boolean {
    return this.wasReady && !this.#isEnding;
  }

  get running(): number {
    return this.#runs.size;
  }

  run(payload: P, context: TaskContext): Promise<R> {
    const run = (this.#number += 1);
    const { id, attempt, signal } = context;
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    let endTimer: NodeJS.Timeout | undefined;
    const stop = (): void => {
      this.#post({ kind: "stop", run, reason: messageOf(signal.reason) });
      endTimer = setTimeout(() => this.#end(run), STOP_MS);
    };
    // What its steps do is of the run's span, though the thread's messages come from elsewhere.
    const inContext = AsyncLocalStorage.snapshot();
    this.#runs.set(run, { context, inContext, resolve, reject, acting: new Map() });
    this.#thread.ref();
    const forget = (): void => {
      clearTimeout(endTimer);
      signal.removeEventListener("abort", stop);
      this.#runs.delete(run);
      if (this.#runs.size === 0) this.#thread.unref();
    };
    try {
      this.#post({ kind: "run", run, payload: owned(payload), id, attempt });
    } catch (error) {
      // A payload that no thread can be given.
      reject(error);
    }
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
    return promise.finally(forget);
  }

  async close(): Promise<void> {
    this.#isEnding = true;
    await this.#thread.terminate();
  }

  /** This run has not ended in time after its signal. */
  #end(run: number): void {
    const { id } = this.#runs.get(run)!.context;
    this.#fail(run, new Error(`the handler did not end within ${STOP_MS} ms of its signal: its thread was ended`));
    for (const other of this.#runs.keys())
      this.#fail(other, new InterruptedError(`the thread was ended because of task ${id}`));
    void this.close();
  }

  #fail(run: number, error: unknown): void {
    this.#runs.get(run)?.reject(error);
  }

  #post(message: HandlerRequest): void {
    this.#thread.postMessage(message, []);
  }

  #heard(message: HandlerAnswer): void {
    switch (message.kind) {
      case "ready":
        this.wasReady = true;
        this.#listener.ready();
        return;
      case "unusable":
        this.#reason = message.reason;
        return;
      case "done":
        this.#runs.get(message.run)?.resolve(message.result as R);
        return;
      case "failed":
        this.#fail(message.run, asThrown(message.error));
        return;
      case "ask":
        void this.#ask(message);
        return;
      case "acted":
        this.#runs.get(message.run)?.acting.get(message.ask)?.(message.acted);
        return;
      case "progress":
      case "partial":
        try {
          this.#runs.get(message.run)?.context[message.kind](message.said);
        } catch (error) {
          this.#fail(message.run, error);
        }
    }
  }

  /** Does for the thread what only this side can: it knows what is on record. */
  async #ask({ run, ask, call }: Extract<HandlerAnswer, { kind: "ask" }>): Promise<void> {
    const task = this.#runs.get(run);
    if (!task) return;
    const { context, acting, inContext } = task;
    let told: ActOutcome;
    try {
      const value = await inContext(() =>
        call.what === "step"
          ? context.step(call.name, () => this.#act(run, ask, acting))
          : (context[call.what] as (...values: readonly unknown[]) => Promise<unknown>)(...call.with),
      );
      told = { value: owned(value) };
    } catch (error) {
      told = { error: thrown(error) };
    }
    if (this.#runs.has(run)) this.#post({ kind: "told", run, ask, told });
  }

  #act(run: number, ask: number, acting: Run<R>["acting"]): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    acting.set(ask, (acted) => {
      acting.delete(ask);
      if ("error" in acted) reject(asThrown(acted.error));
      else resolve(acted.value);
    });
    this.#post({ kind: "act", run, ask });
    return promise;
  }

  #over(reason: string): void {
    this.#isEnding = true;
    for (const run of this.#runs.keys()) this.#fail(run, new Error(`the handler's thread has ended: ${reason}`));
    this.#listener.ended(reason);
  }
}

/** Bytes are cloned with all of the memory that they lie in: a network buffer, for a few of it. */
export function owned(value: unknown): unknown {
  return value instanceof Uint8Array && value.byteLength < value.buffer.byteLength ? new Uint8Array(value) : value;
}
