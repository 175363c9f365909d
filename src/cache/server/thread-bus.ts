/**
 * ● What the threads that serve one store tell each other: the parts of a statistic that each has, what watchers of another thread
 * want to hear and the lines that they get, and commands that reach all. Nobody waits for a thread longer than `ANSWER_MS_MAX`.
 */
import type { BroadcastChannel } from "node:worker_threads";
import type { Cancel, Clock } from "../../core/clock.ts";
import type { LogLine } from "../protocol/log-lines.ts";
import type { PartName, Parts } from "../protocol/cache-session.ts";

/** 1 s: a thread answers in the next turn of its loop; one that does not is about to end. */
const ANSWER_MS_MAX = 1000;

/** What a thread does when another tells it something. */
export interface PeerActs {
  part<Name extends PartName>(name: Name): Parts[Name];
  /** The thread's watchers want to hear of these kinds now. */
  watched(thread: number, kinds: readonly string[]): void;
  logged(lines: readonly LogLine[]): void;
  resetPrefixes(): void;
  refreshCertificates(): void;
}

type Message =
  | { readonly say: "ask"; readonly from: number; readonly question: number; readonly name: PartName }
  | { readonly say: "answer"; readonly to: number; readonly question: number; readonly part: Parts[PartName] }
  | { readonly say: "watched"; readonly from: number; readonly kinds: readonly string[] }
  | { readonly say: "logged"; readonly lines: readonly LogLine[] }
  | { readonly say: "reset" | "refresh" };

interface Question {
  readonly parts: Parts[PartName][];
  readonly cancel: Cancel;
  readonly done: () => void;
}

/** Where the threads of one server meet. */
export interface Meeting {
  /** Known to this server alone. */
  readonly channel: string;
  readonly thread: number;
  readonly threads: number;
}

export class Peers {
  readonly #meeting: Meeting;
  readonly #clock: Clock;
  readonly #acts: PeerActs;
  readonly #channel: BroadcastChannel;
  readonly #questions = new Map<number, Question>();
  #asked = 0;

  constructor(meeting: Meeting, clock: Clock, acts: PeerActs) {
    this.#meeting = meeting;
    this.#clock = clock;
    this.#acts = acts;
    const { BroadcastChannel: Channel } = process.getBuiltinModule("node:worker_threads"); // 2 MB that one thread does without
    this.#channel = new Channel(meeting.channel);
    this.#channel.unref();
    this.#channel.onmessage = (event: { readonly data: Message }) => this.#hear(event.data);
  }

  /** The parts of all other threads; fewer where one does not answer. */
  ask<Name extends PartName>(name: Name): Promise<readonly Parts[Name][]> {
    const question = (this.#asked += 1);
    return new Promise((resolve) => {
      const parts: Parts[Name][] = [];
      const done = (): void => {
        this.#questions.get(question)?.cancel();
        this.#questions.delete(question);
        resolve(parts);
      };
      const cancel = this.#clock.at(this.#clock.now() + ANSWER_MS_MAX, done);
      this.#questions.set(question, { parts, cancel, done });
      this.#say({ say: "ask", from: this.#meeting.thread, question, name });
    });
  }

  watched(kinds: readonly string[]): void {
    this.#say({ say: "watched", from: this.#meeting.thread, kinds });
  }

  logged(lines: readonly LogLine[]): void {
    this.#say({ say: "logged", lines });
  }

  resetPrefixes(): void {
    this.#say({ say: "reset" });
  }

  refreshCertificates(): void {
    this.#say({ say: "refresh" });
  }

  close(): void {
    for (const { done } of this.#questions.values()) done();
    this.#channel.close();
  }

  #say(message: Message): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is a window's, which this is not
    this.#channel.postMessage(message);
  }

  #hear(message: Message): void {
    switch (message.say) {
      case "ask":
        this.#say({ say: "answer", to: message.from, question: message.question, part: this.#acts.part(message.name) });
        return;
      case "answer":
        if (message.to === this.#meeting.thread) this.#answered(message.question, message.part);
        return;
      case "watched":
        this.#acts.watched(message.from, message.kinds);
        return;
      case "logged":
        this.#acts.logged(message.lines);
        return;
      case "reset":
        this.#acts.resetPrefixes();
        return;
      case "refresh":
        this.#acts.refreshCertificates();
    }
  }

  #answered(number: number, part: Parts[PartName]): void {
    const question = this.#questions.get(number);
    question?.parts.push(part);
    if (question?.parts.length === this.#meeting.threads - 1) question.done();
  }
}
