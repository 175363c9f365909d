/**
 * ○ What a broker remembers of one peer, to make it known to the next leader. A peer that said HELLO is told ANEW and repeats by
 * itself what is needed; of the others what is unanswered is kept here and sent again for them: a plain REQ that waits for its
 * next task must not wait for ever because a broker died.
 */
import { Buffer } from "node:buffer";
import { isReady } from "../../protocols/ready-handler.ts";
import { majordomoRole } from "../../protocols/majordomo-handlers.ts";
import { EMPTY_FRAME, type Frames, isProtocol, PROTOCOL, REQUESTS, VERB, verbOf } from "../../protocols/messages.ts";

/** A message to be sent again. */
export interface ReplayedMessage {
  readonly frames: Frames;
  /** The key under which it is one submission, however often it is sent; "" when it is none. */
  readonly idempotencyKey: string;
}

const ANSWERED_BY_ANY: ReadonlySet<string> = new Set(["OK", "REFUSED", "DATA"]);
const REQUEST_VERBS: ReadonlySet<string> = new Set(REQUESTS);
const MAJORDOMO = {
  worker1: { ready: 1, disconnect: 5 },
  worker2: { ready: 1, disconnect: 6 },
} as const;
const CLIENT_2_FINAL = 3;
/** The request of a HELLO that only asks for the load: that client has not been told yet to begin anew. */
const HELLO_AGAIN = "again";

export class PeerReplayBuffer {
  readonly #newIdempotencyKey: () => string;
  #saidHello = false;
  #awaitsHello = false;
  /** Where it offered to work: its last message of each kind, in the order they came. */
  readonly #offers = new Map<string, ReplayedMessage>();
  readonly #requests = new Map<string, ReplayedMessage>();
  #count = 0;
  #bytes = 0;

  /** @param newIdempotencyKey makes a key that no other submission has */
  constructor(newIdempotencyKey: () => string) {
    this.#newIdempotencyKey = newIdempotencyKey;
  }

  /** Bytes that it keeps. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Its messages are dropped until it has said HELLO again. */
  get awaitsHello(): boolean {
    return this.#awaitsHello;
  }

  get saidHello(): boolean {
    return this.#saidHello;
  }

  /**
   * A message from the peer.
   *
   * @returns the idempotency key to pass it on with, or undefined: it is not to be passed on
   */
  heard(frames: Frames): string | undefined {
    const at = frames.length > 0 && frames[0]!.length === 0 ? 1 : 0;
    const first = frames[at];
    if (isProtocol(first)) {
      const verb = verbOf(frames[at + 1]);
      if (verb === "HELLO" && !(this.#awaitsHello && text(frames[at + 2]) === HELLO_AGAIN)) {
        this.#saidHello = true;
        this.#awaitsHello = false;
        this.#forgetAll();
        return "";
      }
      if (this.#saidHello) return this.#awaitsHello ? undefined : "";
      return verb === undefined ? "" : this.#heardNative(verb, frames, at);
    }
    if (this.#awaitsHello) return undefined;
    if (isReady(first)) {
      // A result that came with it is the old leader's: the task it belongs to is done again when it was not kept.
      this.#keep(this.#requests, "Ready", { frames: frames.slice(0, at + 1), idempotencyKey: "" });
      return "";
    }
    return this.#heardMajordomo(frames, at);
  }

  /** A message from the broker core to the peer. */
  said(frames: Frames): void {
    if (this.#requests.size === 0 && this.#offers.size === 0) return;
    const at = frames.length > 0 && frames[0]!.length === 0 ? 1 : 0;
    const first = frames[at];
    if (isProtocol(first)) this.#saidNative(frames, at);
    else {
      const role = majordomoRole(first);
      if (!role) this.#forget(this.#requests, "Ready");
      else if (role.role === "client") this.#answeredMajordomo(frames, at, role.version);
      else if (frames[at + 1]?.[0] === MAJORDOMO[`worker${role.version}`].disconnect) this.#forget(this.#offers, "majordomo");
    }
  }

  /** The leader is gone, or there is another: a peer that said HELLO has to say it again. */
  begin(): readonly ReplayedMessage[] {
    this.#awaitsHello = this.#saidHello;
    return [...this.#offers.values(), ...this.#requests.values()];
  }

  #heardNative(verb: string, frames: Frames, at: number): string {
    if (verb === "WORK") this.#keep(this.#offers, `work ${text(frames[at + 2])}`, { frames, idempotencyKey: "" });
    else if (verb === "BYE") this.#forgetAll();
    else if (verb === "UNWATCH") this.#forget(this.#requests, `native ${text(frames[at + 2])}`);
    else if (REQUEST_VERBS.has(verb)) {
      const idempotencyKey = verb === "ADD" || verb === "CALL" ? this.#newIdempotencyKey() : "";
      this.#keep(this.#requests, `native ${text(frames[at + 2])}`, { frames, idempotencyKey });
      return idempotencyKey;
    }
    return "";
  }

  #saidNative(frames: Frames, at: number): void {
    const verb = verbOf(frames[at + 1]);
    const name = `native ${text(frames[at + 2])}`;
    const request = this.#requests.get(name);
    if (!verb || !request) return;
    const asked = verbOf(request.frames[at + 1]);
    if (ANSWERED_BY_ANY.has(verb) || (verb === "ADDED" && asked === "ADD") || (verb === "ENDED" && at === 1)) {
      this.#forget(this.#requests, name);
    } else if (verb === "ADDED") {
      // Its tasks are known: what is missing is their outcomes.
      this.#keep(this.#requests, name, {
        frames: [PROTOCOL, VERB.WATCH, frames[at + 2]!, ...frames.slice(at + 3)],
        idempotencyKey: "",
      });
    } else if (verb === "ENDED") {
      const [protocol, watch, number, ...ids] = request.frames;
      const left = ids.filter((id) => !id.equals(frames[3]!));
      if (left.length === 0) this.#forget(this.#requests, name);
      else this.#keep(this.#requests, name, { frames: [protocol!, watch!, number!, ...left], idempotencyKey: "" });
    }
  }

  #heardMajordomo(frames: Frames, at: number): string {
    const role = majordomoRole(frames[at]);
    if (role?.role === "worker") {
      const command = frames[at + 1]?.[0];
      const commands = MAJORDOMO[`worker${role.version}`];
      if (command === commands.ready) this.#keep(this.#offers, "majordomo", { frames, idempotencyKey: "" });
      else if (command === commands.disconnect) this.#forget(this.#offers, "majordomo");
      return "";
    }
    if (!role) return "";
    const idempotencyKey = this.#newIdempotencyKey();
    this.#count += 1;
    const service = text(frames[at + (role.version === 1 ? 1 : 2)]);
    this.#keep(this.#requests, `majordomo ${service} ${this.#count}`, { frames, idempotencyKey });
    return idempotencyKey;
  }

  /** Majordomo does not say which request a reply is for: of one service the oldest is taken to be the one. */
  #answeredMajordomo(frames: Frames, at: number, version: 1 | 2): void {
    if (version === 2 && frames[at + 1]?.[0] !== CLIENT_2_FINAL) return;
    const prefix = `majordomo ${text(frames[at + version])} `;
    for (const name of this.#requests.keys()) {
      if (!name.startsWith(prefix)) continue;
      this.#forget(this.#requests, name);
      return;
    }
  }

  #keep(where: Map<string, ReplayedMessage>, name: string, replayed: ReplayedMessage): void {
    this.#forget(where, name);
    // The network's buffer is not kept for a few bytes of it.
    const frames = replayed.frames.map((frame) => (frame.length === 0 ? EMPTY_FRAME : Buffer.from(frame)));
    where.set(name, { ...replayed, frames });
    this.#bytes += bytesOf(name, frames);
  }

  #forget(where: Map<string, ReplayedMessage>, name: string): void {
    const known = where.get(name);
    if (!known) return;
    where.delete(name);
    this.#bytes -= bytesOf(name, known.frames);
  }

  #forgetAll(): void {
    this.#offers.clear();
    this.#requests.clear();
    this.#bytes = 0;
  }
}

/** What a remembered message costs beside its bytes: objects and places in maps. */
const ENTRY_BYTES = 300;

function bytesOf(name: string, frames: Frames): number {
  let bytes = ENTRY_BYTES + name.length;
  for (const frame of frames) bytes += frame.length;
  return bytes;
}

function text(frame: Buffer | undefined): string {
  return frame ? frame.toString("latin1") : "";
}
