/**
 * ● Messages between the threads that serve one store: the part of a statistic that each has, what watchers of another thread
 * subscribed to and the lines that they get, and commands that reach all. An answer is waited for no longer than `ANSWER_MS_MAX`.
 */
import type { BroadcastChannel } from "node:worker_threads";
import type { Cancel, Clock } from "../../core/clock.ts";
import type { LogLine } from "../protocol/log-lines.ts";
import type { ThreadStatName, ThreadStats } from "../protocol/cache-session.ts";

/** 1 s: a thread answers in the next turn of its event loop; one that does not is closing. */
const ANSWER_MS_MAX = 1000;

/** What a thread does with the messages of the others. */
export interface ThreadBusHandler {
  part<Name extends ThreadStatName>(name: Name): ThreadStats[Name];
  /** The thread's watchers subscribe to these kinds now. */
  watched(thread: number, kinds: readonly string[]): void;
  logged(lines: readonly LogLine[]): void;
  resetPrefixes(): void;
  refreshCertificates(): void;
}

type Message =
  | { readonly kind: "ask"; readonly from: number; readonly question: number; readonly name: ThreadStatName }
  | { readonly kind: "answer"; readonly to: number; readonly question: number; readonly part: ThreadStats[ThreadStatName] }
  | { readonly kind: "watched"; readonly from: number; readonly kinds: readonly string[] }
  | { readonly kind: "logged"; readonly lines: readonly LogLine[] }
  | { readonly kind: "reset" | "refresh" };

interface Question {
  readonly parts: ThreadStats[ThreadStatName][];
  readonly cancel: Cancel;
  readonly done: () => void;
}

/** The broadcast channel that the threads of one server share, and which of them this is. */
export interface ThreadBusAddress {
  /** Known to this server alone. */
  readonly channel: string;
  readonly thread: number;
  readonly threads: number;
}

export class ThreadBus {
  readonly #busAddress: ThreadBusAddress;
  readonly #clock: Clock;
  readonly #handler: ThreadBusHandler;
  readonly #channel: BroadcastChannel;
  readonly #questions = new Map<number, Question>();
  #asked = 0;

  constructor(busAddress: ThreadBusAddress, clock: Clock, handler: ThreadBusHandler) {
    this.#busAddress = busAddress;
    this.#clock = clock;
    this.#handler = handler;
    const { BroadcastChannel: Channel } = process.getBuiltinModule("node:worker_threads"); // 2 MB that one thread does without
    this.#channel = new Channel(busAddress.channel);
    this.#channel.unref();
    this.#channel.onmessage = (event: { readonly data: Message }) => this.#receive(event.data);
  }

  /** The parts of all other threads; fewer where one does not answer. */
  ask<Name extends ThreadStatName>(name: Name): Promise<readonly ThreadStats[Name][]> {
    const question = (this.#asked += 1);
    return new Promise((resolve) => {
      const parts: ThreadStats[Name][] = [];
      const done = (): void => {
        this.#questions.get(question)?.cancel();
        this.#questions.delete(question);
        resolve(parts);
      };
      const cancel = this.#clock.at(this.#clock.now() + ANSWER_MS_MAX, done);
      this.#questions.set(question, { parts, cancel, done });
      this.#send({ kind: "ask", from: this.#busAddress.thread, question, name });
    });
  }

  watched(kinds: readonly string[]): void {
    this.#send({ kind: "watched", from: this.#busAddress.thread, kinds });
  }

  logged(lines: readonly LogLine[]): void {
    this.#send({ kind: "logged", lines });
  }

  resetPrefixes(): void {
    this.#send({ kind: "reset" });
  }

  refreshCertificates(): void {
    this.#send({ kind: "refresh" });
  }

  close(): void {
    for (const { done } of this.#questions.values()) done();
    this.#channel.close();
  }

  #send(message: Message): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is a window's, which this is not
    this.#channel.postMessage(message);
  }

  #receive(message: Message): void {
    switch (message.kind) {
      case "ask":
        this.#send({ kind: "answer", to: message.from, question: message.question, part: this.#handler.part(message.name) });
        return;
      case "answer":
        if (message.to === this.#busAddress.thread) this.#answered(message.question, message.part);
        return;
      case "watched":
        this.#handler.watched(message.from, message.kinds);
        return;
      case "logged":
        this.#handler.logged(message.lines);
        return;
      case "reset":
        this.#handler.resetPrefixes();
        return;
      case "refresh":
        this.#handler.refreshCertificates();
    }
  }

  #answered(number: number, part: ThreadStats[ThreadStatName]): void {
    const question = this.#questions.get(number);
    question?.parts.push(part);
    if (question?.parts.length === this.#busAddress.threads - 1) question.done();
  }
}
