/**
 * ○ One connection of session mode, either side of it: bytes in, events out; calls in, bytes out; time in, deadlines out. It knows
 * no socket. Invariant: no MESSAGE is written before the session is open and after either side's BYE.
 *
 *     client                                server
 *     greeting     <------- CHALLENGE       greeting
 *     deciding      HELLO --------->        deciding   (proof, session id, room)
 *     open         <------- WELCOME         open       or REFUSE and the end; for an unknown session, greeting once more
 *     open    <-- MESSAGE ACK GAP PING PONG -->  open
 *     leaving       BYE  --------->         left       confirms what is under way, then FIN
 */
import { unreachable } from "../../core/assert.ts";
import { EMPTY, uninitialized } from "../../core/bytes.ts";
import { ProtocolError } from "../../core/errors.ts";
import {
  byeBody,
  challengeBody,
  gapBody,
  helloBody,
  PART_HEAD_BYTES,
  partBody,
  progressBody,
  receiptBody,
  refuseBody,
  topicBody,
  welcomeBody,
} from "./body.ts";
import type { Challenge, ByeReason, Hello, CloseNotice, RefuseReason, TopicBody, Version, Welcome } from "./body.ts";
import { encodeFrame, FRAME, SessionFrameDecoder, HEADER_BYTES, putHeader } from "./session-frame.ts";
import type { SessionFrame, SessionFrameName } from "./session-frame.ts";
import { SessionHeartbeat } from "./session-heartbeat.ts";
import { ControlBudget } from "../control-budget.ts";
import { COPY_BYTES_MAX, HELLO_MS_MAX, LEAVE_MS_MAX, LIFE_SHARE } from "../limits.ts";
import type { IncomingStream } from "./incoming-stream.ts";
import { OutgoingMessage } from "./outgoing-message.ts";
import type { OutboxLimits, OutgoingPart } from "./outbox.ts";
import type { SessionState } from "./session-state.ts";

export type SessionRole = "client" | "server";
type Phase = "greeting" | "deciding" | "open" | "leaving" | "left";

const SESSION_FRAMES: readonly SessionFrameName[] = [
  ...(["MESSAGE", "PART", "TOPIC", "NOTE"] as const),
  ...(["PROGRESS", "ACK", "GAP", "PING", "PONG", "BYE"] as const),
];

/** Frames that may come, by whose side and when; any other is the peer's error. */
const MAY_COME: Readonly<Record<Phase, Readonly<Record<SessionRole, readonly SessionFrameName[]>>>> = {
  greeting: { client: ["CHALLENGE", "REFUSE"], server: ["HELLO"] },
  deciding: { client: ["WELCOME", "REFUSE"], server: [] },
  open: { client: SESSION_FRAMES, server: SESSION_FRAMES },
  leaving: { client: SESSION_FRAMES, server: SESSION_FRAMES },
  left: { client: ["ACK", "PROGRESS", "PING", "PONG", "BYE"], server: ["ACK", "PROGRESS", "PING", "PONG", "BYE"] },
};

/** What the session protocol tells its owner. */
export type SessionProtocolEvent =
  | { readonly kind: "challenge"; readonly challenge: Challenge }
  | { readonly kind: "hello"; readonly hello: Hello; readonly body: Uint8Array }
  | { readonly kind: "welcome"; readonly welcome: Welcome; readonly body: Uint8Array }
  | { readonly kind: "refused"; readonly notice: CloseNotice<RefuseReason> }
  | { readonly kind: "message" | "topic"; readonly number: number; readonly bytes: Uint8Array }
  /** A message that nobody confirms. */
  | { readonly kind: "note"; readonly note: TopicBody }
  | { readonly kind: "stream"; readonly number: number; readonly stream: IncomingStream }
  | { readonly kind: "gap"; readonly from: number; readonly to: number }
  | { readonly kind: "bye"; readonly notice: CloseNotice<ByeReason> };

/** Why the owner should end the connection when a deadline passed. */
export type TimeoutReason = "hello-timeout" | "heartbeat" | "leave-timeout";

export class SessionProtocol {
  readonly #role: SessionRole;
  readonly #decoder = new SessionFrameDecoder({ messageBytesMax: 0 });
  #phase: Phase = "greeting";
  #session: SessionState | undefined;
  #peer: (OutboxLimits & { readonly messageBytesMax: number }) | undefined;
  #heartbeat: SessionHeartbeat | undefined;
  #control: Uint8Array[] = [];
  /** A message came since the last GAP, so that another one is no flood. */
  #gapIsFree = true;
  /** Bytes of notes in it. */
  #noteBytes = 0;
  #timeoutMs: number;
  #triedAgain = false;
  #peerHasEnded = false;
  readonly #budget: ControlBudget;
  #nowMs: number;
  #pingedMs: number | undefined;
  /** When this side last wrote something: a peer in the middle of a long frame is told that it is heard. */
  #wroteMs: number;
  #lifeMs = Infinity;
  /** Round trip of the last heartbeat that was answered. */
  rttMs: number | undefined;

  constructor({
    role,
    nowMs,
    challenge,
  }: { role: "client"; nowMs: number; challenge?: never } | { role: "server"; nowMs: number; challenge: Challenge }) {
    this.#role = role;
    this.#nowMs = nowMs;
    this.#budget = new ControlBudget(nowMs);
    this.#wroteMs = nowMs;
    this.#timeoutMs = nowMs + HELLO_MS_MAX;
    if (challenge) this.#put("CHALLENGE", challengeBody.encode(challenge));
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Longest message that the peer takes; undefined before the session is open. */
  get peerMessageBytesMax(): number | undefined {
    return this.#peer?.messageBytesMax;
  }

  /** When `tick` wants to be called. */
  get deadlineMs(): number {
    if (this.#phase === "open") return this.#heartbeat?.deadlineMs ?? Infinity;
    return Math.min(this.#timeoutMs, this.#heartbeat?.deadlineMs ?? Infinity);
  }

  /** True when `pull` has something. */
  get writable(): boolean {
    if (this.#control.length > 0) return true;
    const session = this.#session;
    if (session === undefined) return false;
    const { inbox, outbox } = session;
    return inbox.receiptDue || inbox.progressDue || (this.#phase === "open" && outbox.pending);
  }

  /** Unconfirmed messages that wait to be pulled. */
  get noteBytes(): number {
    return this.#noteBytes;
  }

  /** Version 2 of the protocol: the peer takes topics and notes. */
  get takesTopics(): boolean {
    return this.#phase === "open" && this.#peer!.version > 1;
  }

  /** Says something that nobody confirms, once, if a connection is there: while it `takesTopics`. */
  note(body: Uint8Array): void {
    this.#noteBytes += body.length;
    this.#put("NOTE", body);
  }

  /** Bytes of a frame that has begun to arrive. */
  get waitingBytes(): number {
    return this.#decoder.waitingBytes;
  }

  /** True when everything both sides sent on this connection is confirmed, as far as it can be: a peer that has ended confirms nothing. */
  get settled(): boolean {
    const { outbox, inbox } = this.#session ?? {};
    const awaited = this.#peerHasEnded ? 0 : (outbox?.inFlight ?? 0);
    return awaited === 0 && (inbox?.open ?? 0) === 0 && inbox?.receiptDue !== true && this.#control.length === 0;
  }

  /** True once the peer has closed its side of the connection. */
  get peerHasEnded(): boolean {
    return this.#peerHasEnded;
  }

  /** The peer has closed its side, with or without a BYE. */
  peerEnded(nowMs: number): void {
    this.#peerHasEnded = true;
    if (this.#phase !== "left") this.#timeoutMs = nowMs + LEAVE_MS_MAX;
    this.#phase = "left";
    this.#heartbeat = undefined; // it can say nothing more
  }

  /** Bytes arrived. */
  receive(chunk: Uint8Array, nowMs: number): void {
    this.#nowMs = nowMs;
    this.#heartbeat?.heard(nowMs);
    this.#decoder.push(chunk);
  }

  /**
   * What the bytes mean, one at a time; undefined when nothing is left.
   *
   * @throws ProtocolError LINK_* when the peer breaks the protocol: the connection is to be ended
   */
  next(): SessionProtocolEvent | undefined {
    for (;;) {
      const frame = this.#decoder.next();
      if (!frame) return this.#sayHeard();
      if (!MAY_COME[this.#phase][this.#role].includes(frame.name)) {
        throw new ProtocolError("LINK_FRAME_UNEXPECTED", `Unexpected ${frame.name}: the ${this.#role} is ${this.#phase}`);
      }
      const event = this.#take(frame);
      if (event) return event;
    }
  }

  /** In the middle of a long frame on a thin line: progress is life, and the peer may wait long for another sign of it. */
  #sayHeard(): undefined {
    if (this.#phase !== "open" || this.#decoder.waitingBytes === 0 || this.#nowMs - this.#wroteMs < this.#lifeMs) return;
    this.#put("ACK", receiptBody.encode(this.#session!.inbox.receipt()));
  }

  /** Client: answers the challenge. `prove` is given what the proof is computed over. */
  hello(hello: Omit<Hello, "proof">, prove: (proven: Uint8Array) => Uint8Array): void {
    const open = helloBody.encode({ ...hello, proof: EMPTY });
    const proof = prove(helloBody.proven(open, 0));
    this.#put("HELLO", proof.length === 0 ? open : helloBody.encode({ ...hello, proof }));
    this.#phase = "deciding";
  }

  /** Server: takes the client in; the session's outbox has been resumed with what the client has. */
  welcome(session: SessionState, { hello, welcome }: { hello: Hello; welcome: Welcome }): void {
    this.#put("WELCOME", welcomeBody.encode(welcome));
    this.#open(session, { terms: hello.terms, welcome, version: hello.version });
  }

  /** Client: the welcome is the right server's; goes on with the session, resumed or new. */
  accept(session: SessionState, welcome: Welcome): void {
    session.outbox.resume(welcome.terms.arrived, welcome.terms.receipt, welcome.terms.partial);
    this.#open(session, { terms: welcome.terms, welcome, version: welcome.clientNonce ? 2 : 1 });
  }

  /**
   * Server: does not take the client in. A client whose session is unknown may send HELLO once more, with a new one: after a
   * server's restart all of them do, and need no second connection for it.
   *
   * @returns true when this is the end of the connection
   */
  refuse(notice: CloseNotice<RefuseReason>): boolean {
    this.#put("REFUSE", refuseBody.encode(notice));
    this.#phase = this.#mayTryAgain(notice.word) ? "greeting" : "left";
    return this.#phase === "left";
  }

  /** Says BYE: no message is written any more; what is under way can still be confirmed, for 5 s. */
  leave(notice: CloseNotice<ByeReason>, nowMs: number): void {
    if (this.#phase === "leaving" || this.#phase === "left") return;
    this.#put("BYE", byeBody.encode(notice));
    this.#phase = "leaving";
    this.#timeoutMs = nowMs + LEAVE_MS_MAX;
  }

  /** Time passed. Returns why the connection should end, or undefined. */
  tick(nowMs: number): TimeoutReason | undefined {
    if (this.#phase !== "open" && nowMs >= this.#timeoutMs) {
      return this.#phase === "greeting" || this.#phase === "deciding" ? "hello-timeout" : "leave-timeout";
    }
    const due = this.#heartbeat?.due(nowMs);
    if (due === "dead") return "heartbeat";
    if (due === "ping") this.#ping(nowMs);
    return undefined;
  }

  /** Asks the peer whether it is there, without waiting for the heartbeat. */
  probe(nowMs: number): void {
    if (this.#phase !== "open") return;
    this.#heartbeat!.probe(nowMs);
    this.#ping(nowMs);
  }

  /** Bytes to write now, at most about `bytesMax` of messages; empty when there is nothing. */
  pull(bytesMax: number, nowMs = this.#nowMs): Uint8Array[] {
    this.#nowMs = nowMs;
    const parts = this.#collect(bytesMax);
    if (parts.length > 0) this.#wroteMs = nowMs;
    return parts;
  }

  #collect(bytesMax: number): Uint8Array[] {
    const session = this.#session;
    if (session?.inbox.receiptDue) this.#put("ACK", receiptBody.encode(session.inbox.receipt()));
    for (const [number, bytes] of session?.inbox.takeProgress() ?? NO_PROGRESS)
      if (this.#peer!.version > 1) this.#put("PROGRESS", progressBody.encode({ number, bytes }));
    if (this.#phase !== "open" || !session?.outbox.pending) return this.#takeControl();
    const batch: (OutgoingMessage | OutgoingPart)[] = [];
    let hasParts = false;
    let bytes = 0;
    while (bytes < bytesMax) {
      const found = session.outbox.take(this.#peer!, this.#nowMs);
      if (found === undefined) break;
      if (typeof found === "number") {
        // A gap stands before the message it announces, so what was collected goes first.
        const before = this.#takeControl();
        this.#put("GAP", gapBody.encode(found));
        return [...before, ...pack(batch, hasParts), ...this.#takeControl(), ...this.#collect(bytesMax - bytes)];
      }
      if (isPart(found)) hasParts = true;
      batch.push(found);
      bytes += HEADER_BYTES + found.bytes.length;
    }
    return [...this.#takeControl(), ...pack(batch, hasParts)];
  }

  #open(
    session: SessionState,
    { terms, welcome, version }: { terms: Hello["terms"]; welcome: Welcome; version: Version },
  ): void {
    const { messageBytesMax, window, windowBytes } = terms;
    this.#session = session;
    this.#peer = { version, messageBytesMax, window, windowBytes, partBytes: session.limits.partBytes };
    this.#decoder.messageBytesMax = session.limits.messageBytesMax;
    this.#lifeMs = welcome.heartbeatMs * LIFE_SHARE;
    session.inbox.selective = version > 1;
    session.outbox.refuseLongerThan(messageBytesMax, { version });
    this.#phase = "open";
    this.#heartbeat = new SessionHeartbeat({
      intervalMs: welcome.heartbeatMs,
      timeoutMs: welcome.heartbeatTimeoutMs,
      role: this.#role,
      nowMs: this.#nowMs,
    });
  }

  #take({ name, body }: SessionFrame): SessionProtocolEvent | undefined {
    switch (name) {
      case "MESSAGE":
        this.#gapIsFree = true;
        return { kind: "message", number: this.#session!.inbox.take(body.length), bytes: body };
      case "TOPIC":
        this.#gapIsFree = true;
        return { kind: "topic", number: this.#session!.inbox.take(body.length), bytes: body };
      case "NOTE":
        return { kind: "note", note: topicBody.decode(body) };
      case "ACK": {
        const receipt = receiptBody.decode(body);
        if (receipt.done === this.#session!.outbox.acked && !receipt.ranges) this.#spend();
        this.#session!.outbox.receipt(receipt);
        return undefined;
      }
      case "PART":
        this.#gapIsFree = true;
        return this.#session!.inbox.part(partBody.decode(body));
      case "PROGRESS": {
        const { number, bytes } = progressBody.decode(body);
        if (!this.#session!.outbox.progress(number, bytes, this.#nowMs)) this.#spend();
        return undefined;
      }
      case "PING":
        this.#spend();
        if (body.length > 0) throw new ProtocolError("LINK_BODY_INVALID", `Cannot read PING: ${body.length} bytes, not 0`);
        this.#put("PONG", EMPTY);
        return undefined;
      case "PONG":
        this.#spend();
        if (this.#pingedMs !== undefined) this.rttMs = this.#nowMs - this.#pingedMs;
        this.#pingedMs = undefined;
        return undefined;
      case "GAP":
        if (!this.#gapIsFree) this.#spend();
        this.#gapIsFree = false;
        return { kind: "gap", ...this.#session!.inbox.skipTo(gapBody.decode(body)) };
      case "BYE":
        this.#phase = "left";
        this.#timeoutMs = this.#nowMs + LEAVE_MS_MAX;
        return { kind: "bye", notice: byeBody.decode(body) };
      case "CHALLENGE":
        return { kind: "challenge", challenge: challengeBody.decode(body) };
      case "HELLO":
        this.#phase = "deciding";
        return { kind: "hello", hello: helloBody.decode(body), body };
      case "WELCOME":
        return { kind: "welcome", welcome: welcomeBody.decode(body), body };
      case "REFUSE": {
        const notice = refuseBody.decode(body);
        this.#phase = this.#mayTryAgain(notice.word) ? "greeting" : "left";
        return { kind: "refused", notice };
      }
      default:
        return unreachable(name);
    }
  }

  #mayTryAgain(word: RefuseReason): boolean {
    const may = word === "session-unknown" && !this.#triedAgain;
    this.#triedAgain = true;
    return may;
  }

  #ping(nowMs: number): void {
    this.#pingedMs = nowMs;
    this.#put("PING", EMPTY);
  }

  #spend(): void {
    this.#budget.spend(this.#nowMs);
  }

  #put(name: SessionFrameName, body: Uint8Array): void {
    this.#control.push(encodeFrame(name, body));
  }

  #takeControl(): Uint8Array[] {
    const control = this.#control;
    if (control.length === 0) return []; // never the array that is pushed to
    this.#noteBytes = 0;
    this.#control = [];
    return control;
  }
}

const NO_PROGRESS: ReadonlyMap<number, number> = new Map();

/** Messages as MESSAGE frames, parts as PART: short ones copied into one buffer, long ones as they are. */
function pack(batch: readonly (OutgoingMessage | OutgoingPart)[], hasParts: boolean): Uint8Array[] {
  if (batch.length === 0) return [];
  let copied = 0;
  for (const item of batch) {
    const head = HEADER_BYTES + (hasParts && isPart(item) ? PART_HEAD_BYTES : 0);
    copied += head + (item.bytes.length <= COPY_BYTES_MAX ? item.bytes.length : 0);
  }
  const packed = uninitialized(copied);
  const parts: Uint8Array[] = [];
  let start = 0;
  let at = 0;
  for (const item of batch) {
    const { bytes } = item;
    if (hasParts && isPart(item)) {
      putHeader(packed, at, { type: FRAME.PART, length: PART_HEAD_BYTES + bytes.length });
      const { offset, last, givenUp, message } = item;
      const { number, stream, isTopic } = message;
      const head = { number, offset, last, givenUp, isStream: stream !== undefined, isTopic };
      packed.set(partBody.head(head), at + HEADER_BYTES);
      at += HEADER_BYTES + PART_HEAD_BYTES;
    } else {
      const { isTopic } = item as OutgoingMessage;
      putHeader(packed, at, { type: isTopic ? FRAME.TOPIC : FRAME.MESSAGE, length: bytes.length });
      at += HEADER_BYTES;
    }
    if (bytes.length <= COPY_BYTES_MAX) {
      packed.set(bytes, at);
      at += bytes.length;
    } else {
      parts.push(packed.subarray(start, at), bytes);
      start = at;
    }
  }
  if (at > start) parts.push(packed.subarray(start, at));
  return parts;
}

function isPart(item: OutgoingMessage | OutgoingPart): item is OutgoingPart {
  return !(item instanceof OutgoingMessage);
}
