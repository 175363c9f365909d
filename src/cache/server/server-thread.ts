/** ● Further threads that serve the store of the first: how they are started and closed, and their messages. */
import { packageCode } from "../../core/package-file.ts";
import type { Worker } from "node:worker_threads";
import type { LogFacts } from "../../core/log.ts";
import { OperationError } from "../../core/errors.ts";
import type { MemoryHandle } from "../store/memory.ts";
import type { CacheServerOptions } from "./cache-server-options.ts";
import type { ThreadBusAddress } from "./thread-bus.ts";

/** What a thread is started with. */
export interface ServerThreadOptions {
  readonly handle: MemoryHandle;
  readonly options: CacheServerOptions;
  readonly thread: number;
  /** The addresses that the first thread listens on, with their ports. */
  readonly listen: readonly string[];
  /** The same for datagrams. */
  readonly udp: readonly string[];
  readonly busAddress: ThreadBusAddress;
  /** The access file: each thread reads it. */
  readonly access: string | undefined;
}

/** Messages to the first thread. */
export type FromThread =
  | { readonly event: "listening" }
  | { readonly event: "failed"; readonly message: string }
  | { readonly event: "refused"; readonly facts: LogFacts }
  | { readonly event: "shutdown"; readonly how: "now" | "graceful" }
  | { readonly event: "closed" };

/** Messages of the first thread. */
export type ToThread = "close" | "reload";

export class ServerThread {
  readonly #worker: Worker;
  onRefused: (facts: LogFacts) => void = () => {};
  onShutdown: (how: "now" | "graceful") => void = () => {};
  #closed: () => void = () => {};

  private constructor(worker: Worker) {
    this.#worker = worker;
  }

  /** Resolves once the thread listens. */
  static start(task: ServerThreadOptions): Promise<ServerThread> {
    // Loaded only here: it costs 2 MB, and most servers have one thread.
    const threads = process.getBuiltinModule("node:worker_threads");
    const worker = new threads.Worker(packageCode("cache/server/server-thread-main"), { workerData: task });
    const thread = new ServerThread(worker);
    return new Promise((resolve, reject) => {
      worker.once("error", reject);
      worker.on("message", (message: FromThread) => {
        if (message.event === "listening") resolve(thread);
        else if (message.event === "failed") reject(new OperationError("CACHE_LISTEN_FAILED", message.message));
        else if (message.event === "refused") thread.onRefused(message.facts);
        else if (message.event === "shutdown") thread.onShutdown(message.how);
        else thread.#closed();
      });
    });
  }

  reload(): void {
    this.#tell("reload");
  }

  /** Ends the thread's connections, then the thread. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => (this.#closed = resolve));
    this.#tell("close");
    await closed;
    await this.#worker.terminate();
  }

  #tell(message: ToThread): void {
    this.#worker.postMessage(message, []);
  }
}
