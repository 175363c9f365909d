/**
 * ● A socket's core: its state, its pattern, its pipes, the calls that wait, and its events. Connections and inproc ends tell it what
 * arrives; the socket's methods ask it to send and receive. Invariants: a pipe is in `#pipes` from attach to detach, and detached
 * once; it is closed, and `onClosed` called, when after `close` the last of what was `opened` is gone.
 */
import { Buffer } from "node:buffer";
import { setImmediate as loopTurned } from "node:timers/promises";
import type { PartBudget } from "../../core/budget.ts";
import type { Clock } from "../../core/clock.ts";
import type { Message } from "../../zmtp/message-parts.ts";
import { zmqError } from "../errors.ts";
import { after, SOCKET, type SocketState } from "./life-cycle.ts";
import type { Event, EventKnownPeer } from "./observer.ts";
import type { Pattern, SendResult } from "../patterns/pattern.ts";
import { costOf, Pipe, type PeerInfo, type PipeBounds, type PipeOwner } from "../patterns/pipe.ts";
import { turnIsOver } from "./turn.ts";
import { ReceiveWaiters, SendWaiters, type WaitContext, type WaitOptions } from "./waiters.ts";

const SENT = Promise.resolve();

/**
 * 512 sends in a row, as in the `zeromq` package: then `send` waits for the event loop to turn. A loop that awaits each send would
 * else never let anything be written, and a PUB would drop all that exceeds its high-water mark.
 */
const SENDS_PER_TURN = 512;
const PROBE = Buffer.alloc(0);

/** What a core reads of its socket's options, whenever it needs it. */
export interface CoreSettings extends PipeBounds {
  readonly probeRouter: boolean;
}

export interface SocketCoreOptions {
  readonly pattern: Pattern;
  readonly settings: CoreSettings;
  readonly clock: Clock;
  readonly budget: PartBudget;
  /** Tells an event to the observer, if there is one. */
  readonly tell: (event: Event) => void;
  /** ROUTER: the peer that a message is for, as a key. */
  readonly keyOf?: ((message: Message) => string) | undefined;
  /** The first endpoint is opened. */
  readonly onOpened?: () => void;
  /** The last endpoint or connection is gone. */
  readonly onGone?: () => void;
  readonly onClosed: () => void;
  /** False: calls that wait do not keep the process alive. Default true. */
  readonly keepsProcess?: boolean;
}

export class SocketCore implements PipeOwner {
  readonly clock: Clock;
  readonly budget: PartBudget;
  readonly tell: (event: Event) => void;
  readonly #pattern: Pattern;
  readonly #settings: CoreSettings;
  readonly #pipes = new Set<Pipe>();
  /** Why pipes ended whose last messages are still to be taken. */
  readonly #reasons = new Map<Pipe, Error | undefined>();
  readonly #receiveWaiters: ReceiveWaiters;
  readonly #sendWaiters: SendWaiters;
  /** Half the high-water mark where that is less, so that a turn comes before a pipe is full. */
  #sendsPerTurn = SENDS_PER_TURN;
  #sentThisTurn = 0;
  readonly #onOpened: (() => void) | undefined;
  readonly #onGone: (() => void) | undefined;
  readonly #onClosed: () => void;
  readonly #keepsProcess: boolean;
  #state: SocketState = "open";
  /** Endpoints and connections that are open. */
  #openCount = 0;
  /** A bind or unbind is under way. */
  #isBusy = false;
  #closeLater: (() => void) | undefined;

  constructor({
    pattern,
    settings,
    clock,
    budget,
    tell,
    keyOf,
    onOpened,
    onGone,
    onClosed,
    keepsProcess = true,
  }: SocketCoreOptions) {
    this.#onOpened = onOpened;
    this.#onGone = onGone;
    this.#onClosed = onClosed;
    this.#keepsProcess = keepsProcess;
    this.#pattern = pattern;
    this.#settings = settings;
    this.clock = clock;
    this.budget = budget;
    this.tell = tell;
    this.#receiveWaiters = new ReceiveWaiters(
      pattern,
      () => this.#received(),
      (when) => refused(pattern.receiveRefusal, `Cannot receive: ${receiveReason(pattern)} ${when}`),
    );
    this.#sendWaiters = new SendWaiters(
      (message) => this.#attempt(message),
      (when) => refused(pattern.sendRefusal, `Cannot send: ${sendReason(pattern)} ${when}`),
      keyOf,
    );
  }

  /** Whether it takes no calls any more. */
  get closed(): boolean {
    return this.#state === "closing" || this.#state === "closed";
  }

  /** Whether messages wait to be sent to other processes. */
  get hasUnsent(): boolean {
    for (const pipe of this.#pipes) if (pipe.outboundCount > 0 && pipe.leavesProcess) return true;
    return false;
  }

  /** Endpoints and connections that are open. */
  get openCount(): number {
    return this.#openCount;
  }

  /** Whether a bind or unbind is under way. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  get readable(): boolean {
    return !this.closed && this.#pattern.receiveRefusal === undefined && this.#pattern.hasMessage;
  }

  get writable(): boolean {
    return !this.closed && this.#pattern.hasRoom;
  }

  /** Makes a pipe and gives it to the pattern. @param address whose share of the budget it takes */
  attach(routingId: Buffer | undefined, address: string, budget: PartBudget = this.budget): Pipe {
    const pipe = new Pipe(this, this.#settings, { budget, address });
    pipe.routingId = routingId;
    this.#setSendsPerTurn();
    this.#pipes.add(pipe);
    this.#pattern.attach(pipe);
    this.#sendWaiters.serveSoon();
    return pipe;
  }

  /** The pipe's peer is through its handshake. @returns false when the pattern has no place for it */
  connected(pipe: Pipe, peer: PeerInfo): boolean {
    pipe.peer = peer;
    if (!this.#pattern.connected(pipe)) return false;
    if (this.#settings.probeRouter) pipe.push([PROBE], costOf([PROBE]));
    this.#sendWaiters.serveSoon();
    return true;
  }

  /** The high-water marks were set anew: all pipes get them. */
  boundsChanged(): void {
    this.#setSendsPerTurn();
    for (const pipe of this.#pipes) pipe.setBounds(this.#settings);
  }

  /** The connection broke and is being made again. */
  disconnected(pipe: Pipe): void {
    pipe.transport = undefined;
    this.#pattern.disconnected(pipe);
    if (pipe.inbound.length > 0) this.pipeReadable(pipe);
    if (!this.#receiveWaiters.isEmpty) this.#receiveWaiters.serve();
  }

  /** Takes no more for a pipe that is to end; what is queued still goes out. */
  retire(pipe: Pipe): void {
    if (pipe.closed) return;
    pipe.closed = true;
    this.#pattern.detach(pipe);
  }

  /** Ends a pipe; what it received can still be taken. */
  detach(pipe: Pipe, reason: Error | undefined): void {
    if (!this.#pipes.delete(pipe)) return;
    this.retire(pipe);
    pipe.release();
    if (this.closed) pipe.dropInbound();
    if (pipe.peer === undefined) return;
    if (pipe.inbound.length === 0) this.#peerGone(pipe, reason);
    else {
      this.#reasons.set(pipe, reason);
      this.pipeReadable(pipe); // XPUB: what became of its topics
    }
    if (!this.#receiveWaiters.isEmpty) this.#receiveWaiters.serve();
  }

  incoming(pipe: Pipe, message: Message): void {
    this.#pattern.incoming(pipe, message);
  }

  pipeReadable(pipe: Pipe): void {
    this.#pattern.readable(pipe);
    if (!this.#receiveWaiters.isEmpty) this.#receiveWaiters.serve();
  }

  pipeWritable(pipe: Pipe): void {
    this.#pattern.writable(pipe);
    this.#sendWaiters.serveSoon();
  }

  pipeDrained(pipe: Pipe): void {
    if (!this.#reasons.has(pipe)) return;
    const reason = this.#reasons.get(pipe);
    this.#reasons.delete(pipe);
    this.#peerGone(pipe, reason);
  }

  /** @param timeoutMs 0: not at all; -1: for ever */
  send(message: Message, timeoutMs: number, options: WaitOptions | undefined): Promise<void> {
    if (this.closed) return Promise.reject(closedError("send"));
    if (!this.#sendWaiters.isBlocked(message)) {
      const result = this.#attempt(message);
      if (result === "sent") return this.#sent();
      if (result !== "EAGAIN") return Promise.reject(result);
    }
    return this.#sendWaiters.wait(message, this.#waiting(timeoutMs, options));
  }

  #waiting(timeoutMs: number, options: WaitOptions | undefined): WaitContext {
    return { clock: this.clock, timeoutMs, signal: options?.signal, keepsProcess: this.#keepsProcess };
  }

  #sent(): Promise<void> {
    this.#sentThisTurn += 1;
    if (this.#sentThisTurn < this.#sendsPerTurn && !turnIsOver()) return SENT;
    this.#sentThisTurn = 0;
    return loopTurned();
  }

  /** So many that a turn comes before a pipe is full. */
  #setSendsPerTurn(): void {
    const { sendHighWaterMark } = this.#settings;
    this.#sendsPerTurn =
      sendHighWaterMark === 0 ? SENDS_PER_TURN : Math.max(1, Math.min(SENDS_PER_TURN, sendHighWaterMark >> 1));
  }

  /** Sends at once or tells why not; never ahead of those who wait. */
  trySend(message: Message): SendResult {
    if (this.closed) throw closedError("send");
    if (this.#sendWaiters.isBlocked(message)) return "EAGAIN";
    const result = this.#pattern.send(message);
    if (result === "sent" && !this.#receiveWaiters.isEmpty) this.#receiveWaiters.serve();
    return result;
  }

  /** As `receive`, where that can be answered at once and there is time; else undefined, an error too. */
  receiveNow(batch: number): Message | Message[] | undefined {
    if (this.closed || !this.#receiveWaiters.isEmpty || turnIsOver()) return undefined;
    return this.#take(batch);
  }

  /**
   * Out of turn it waits for its turn.
   *
   * @param batch 0: one message; else an array of 1 to `batch` messages
   */
  receive<T>(batch: number, timeoutMs: number, options: WaitOptions | undefined): Promise<T> {
    const ready = this.receiveNow(batch) ?? (timeoutMs === 0 ? this.#takeUnlessOthersWait(batch) : undefined);
    // Asking for the length tells the compiler that it is an array, so that the promise is not searched for a `then` in it: 30 ns
    if (ready !== undefined && ready.length > 0) return Promise.resolve(ready as T);
    if (this.closed) return Promise.reject(closedError("receive"));
    const failure = this.#receiveWaiters.isEmpty ? this.#pattern.takeFailure() : undefined;
    if (failure !== undefined) {
      this.#received();
      return Promise.reject(failure);
    }
    if (this.#pattern.receiveRefusal === "ENOTSUP")
      return Promise.reject(refused("ENOTSUP", "Cannot receive: this socket only sends"));
    const promise = this.#receiveWaiters.wait<T>(batch, this.#waiting(timeoutMs, options));
    if (this.#pattern.hasMessage) this.#receiveWaiters.serveSoon(); // it waits for the next turn only
    return promise;
  }

  /** The next message, or undefined when there is none for this caller: those who wait come first. */
  tryReceive(): Message | undefined {
    if (this.closed) throw closedError("receive");
    const { receiveRefusal } = this.#pattern;
    if (receiveRefusal !== undefined) throw refused(receiveRefusal, `Cannot receive: ${receiveReason(this.#pattern)} now`);
    return this.#takeUnlessOthersWait(0) as Message | undefined;
  }

  #takeUnlessOthersWait(batch: number): Message | Message[] | undefined {
    return this.closed || !this.#receiveWaiters.isEmpty ? undefined : this.#take(batch);
  }

  #take(batch: number): Message | Message[] | undefined {
    const message = this.#pattern.receive();
    if (message === undefined) return undefined;
    this.#received();
    return batch === 0 ? message : this.#receiveWaiters.gather(message, batch);
  }

  /** REP: a reply that waits may go now. */
  #received(): void {
    if (!this.#sendWaiters.isEmpty) this.#sendWaiters.serveSoon();
  }

  /** One endpoint or connection more is open; `gone` follows. */
  opened(): void {
    this.#openCount += 1;
    if (this.#openCount === 1) this.#onOpened?.();
  }

  gone(): void {
    this.#openCount -= 1;
    if (this.#openCount === 0) this.#onGone?.();
    if (this.#state !== "closing" || this.#openCount > 0) return;
    this.#state = after(SOCKET, this.#state, "gone");
    this.#onClosed();
  }

  /** Binds or unbinds, one at a time: a `close` meanwhile comes after it. @throws EBUSY while another one is under way */
  async whileBusy(act: () => Promise<void>): Promise<void> {
    if (this.#isBusy)
      throw zmqError("EBUSY", {
        message: "Socket is blocked by a bind or unbind operation",
        detail: "Await the bind or unbind that is under way",
      });
    this.#isBusy = true;
    try {
      await act();
    } finally {
      this.#isBusy = false;
      this.#closeLater?.();
    }
  }

  /** @param closeEndpoints ends what is open, each of which tells so by `gone` */
  close(closeEndpoints: () => void): void {
    if (this.#isBusy) {
      if (this.#state === "open") this.#state = after(SOCKET, this.#state, "closeLater");
      this.#closeLater = () => this.close(closeEndpoints);
      return;
    }
    this.#closeLater = undefined;
    this.#state = after(SOCKET, this.#state, "close");
    this.#receiveWaiters.close();
    this.#sendWaiters.close();
    for (const pipe of [...this.#pipes, ...this.#reasons.keys()]) pipe.dropInbound();
    this.opened(); // so that the end is told once, after all of them
    closeEndpoints();
    this.gone();
  }

  #attempt(message: Message): "sent" | "EAGAIN" | Error {
    const result = this.#pattern.send(message);
    if (result === "sent") {
      if (!this.#receiveWaiters.isEmpty) this.#receiveWaiters.serve();
      return result;
    }
    if (this.#pattern.drops && result !== "EFSM") return "sent";
    switch (result) {
      case "EFSM": // out of turn it waits for its turn
      case "EAGAIN":
        return "EAGAIN";
      case "EHOSTUNREACH":
        return zmqError("EHOSTUNREACH", `Cannot send: no peer has routing id ${message[0]!.toString("hex")}`);
      default:
        return zmqError("ENOTSUP", "Cannot send: this socket only receives");
    }
  }

  #peerGone(pipe: Pipe, reason: Error | undefined): void {
    this.tell({ type: "peer:gone", ...knownPeer(pipe), ...(reason && { reason }) });
  }
}

/** What events tell of a pipe's peer. */
export function knownPeer(pipe: Pipe): EventKnownPeer {
  const { address, remoteAddress, announcedId, socketType, userId } = pipe.peer!;
  const routingId = pipe.routingId ?? (announcedId.length > 0 ? announcedId : undefined);
  return { address, remoteAddress, socketType, ...(routingId && { routingId }), ...(userId !== undefined && { userId }) };
}

function closedError(what: string): Error {
  return zmqError("EBADF", `Cannot ${what}: the socket is closed`);
}

/** Out of turn, or nothing there: EAGAIN. */
function refused(code: "EFSM" | "ENOTSUP" | undefined, detail: string): Error {
  return zmqError(code ?? "EAGAIN", detail);
}

function receiveReason({ receiveRefusal }: Pattern): string {
  return receiveRefusal === undefined ? "there was no message" : "it was this socket's turn to send";
}

function sendReason({ sendRefusal }: Pattern): string {
  return sendRefusal === undefined ? "no peer had room" : "it was this socket's turn to receive";
}
