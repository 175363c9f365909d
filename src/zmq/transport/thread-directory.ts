/**
 * ● The inproc names of all threads of a process. Whoever connects to a name that its own thread does not have asks the others; who has it, or
 * binds it later, says so; then the one that connects sends one end of a port. Where a runtime cannot send ports to threads names stay
 * within each.
 */
import * as threads from "node:worker_threads";
import type { MessagePort } from "node:worker_threads";

/** As long as two versions of this module mean the same by it. */
const CHANNEL = "holdfast zmq inproc 1";

/** 1 s: a thread with nothing more to do waits so long for an answer, which takes 1 ms, or 100 on a busy machine; else what it sent last is lost. */
const ANSWER_MS = 1000;

/** Said to all threads. */
interface Said {
  readonly what: "who has" | "here is";
  readonly name: string;
  readonly thread: number;
}

/** Sent to the thread that has the name. */
interface Joining {
  readonly [CHANNEL]: string;
  readonly port: MessagePort;
}

/** The names of this thread. */
export interface OwnNames {
  has(name: string): boolean;
  /** Somebody of another thread connects. */
  accept(name: string, port: MessagePort): void;
  /** Another thread has a name that connections here may wait for: each calls to get a port. */
  found(name: string, open: () => MessagePort): void;
}

export class ThreadDirectory {
  readonly #own: OwnNames;
  #channel: threads.BroadcastChannel | undefined;
  /** Each keeps the thread alive; by the names that were asked for. */
  readonly #asking = new Map<string, NodeJS.Timeout>();

  constructor(own: OwnNames) {
    this.#own = own;
  }

  /** Asks who has a name. */
  ask(name: string): void {
    this.#say("who has", name);
    this.withdraw(name);
    const timer = setTimeout(() => this.withdraw(name), ANSWER_MS);
    if (threads.isMainThread) timer.unref(); // with it all others end
    this.#asking.set(name, timer);
  }

  /** The answer is there, or nobody wants it any more. */
  withdraw(name: string): void {
    clearTimeout(this.#asking.get(name));
    this.#asking.delete(name);
  }

  /** Says that this thread has it. */
  tell(name: string): void {
    this.#say("here is", name);
  }

  #say(what: Said["what"], name: string): void {
    if (typeof threads.postMessageToThread !== "function") return;
    this.#channel ??= this.#listen();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- no window
    this.#channel.postMessage({ what, name, thread: threads.threadId } satisfies Said);
  }

  #listen(): threads.BroadcastChannel {
    const channel = new threads.BroadcastChannel(CHANNEL);
    channel.onmessage = ((event: { readonly data: Said }) => this.#heard(event.data)) as typeof channel.onmessage;
    channel.unref();
    process.on("workerMessage", (value: unknown) => {
      if (typeof value !== "object" || value === null || !(CHANNEL in value)) return;
      const { [CHANNEL]: name, port } = value as Joining;
      this.#own.accept(name, port);
    });
    return channel;
  }

  #heard({ what, name, thread }: Said): void {
    if (what === "who has") {
      if (this.#own.has(name)) this.tell(name);
    } else this.#own.found(name, () => this.#open(name, thread));
  }

  #open(name: string, thread: number): MessagePort {
    const { port1, port2 } = new threads.MessageChannel();
    const joining: Joining = { [CHANNEL]: name, port: port2 };
    threads.postMessageToThread(thread, joining, [port2]).catch(() => port1.close()); // the thread is gone
    return port1;
  }
}
