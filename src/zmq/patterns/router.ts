/**
 * ○ ROUTER (RFC 28): every message in is preceded by its sender's routing id, every message out names its receiver by one. An id
 * is the peer's own, or `00` and four octets made up here. Invariant: each id belongs to one pipe at a time.
 */
import { Buffer } from "node:buffer";
import type { Message } from "../../zmtp/message-parts.ts";
import { FairPattern, type SendResult } from "./pattern.ts";
import { costOf, type Pipe } from "./pipe.ts";

export interface RouterSettings {
  /** Whether a message that cannot be delivered is an error rather than dropped. */
  readonly mandatory: boolean;
  /** Whether a new peer takes over an id that is in use, if both are the same user (of which there is none without an authenticator). */
  readonly handover: boolean;
}

const MADE_UP_BYTES = 5;

export class RouterPattern extends FairPattern {
  readonly #settings: RouterSettings;
  readonly #pipes = new Map<string, Pipe>();
  /** Pipes whose id was given at connect. */
  readonly #given = new WeakSet<Pipe>();
  /** Pipes under a made-up id, by its number: the usual case needs no text as key. */
  readonly #numbered = new Map<number, Pipe>();
  #nextNumber: number;
  readonly #onHandover: (pipe: Pipe) => void;

  /**
   * @param firstNumber a random 32-bit number: where made-up ids start, so that those of an earlier run are not met again soon
   * @param onHandover ends a pipe whose id another took over
   */
  constructor(settings: RouterSettings, firstNumber: number, onHandover: (pipe: Pipe) => void) {
    super();
    this.#settings = settings;
    this.#nextNumber = firstNumber >>> 0;
    this.#onHandover = onHandover;
  }

  /** A pipe with an id given at connect can be sent to at once; any other once its peer is known. */
  override attach(pipe: Pipe): void {
    if (pipe.routingId === undefined) return;
    this.#given.add(pipe);
    this.#enter(pipe, pipe.routingId);
  }

  /** Each time: a peer that was connected to may come back with another id. What waits for the old one is dropped then. */
  override connected(pipe: Pipe): boolean {
    if (this.#given.has(pipe)) return true;
    const announced = pipe.peer!.announcedId;
    const known = pipe.routingId;
    if (
      known !== undefined &&
      this.find(known) === pipe &&
      (announced.length === 0 ? isMadeUp(known) : announced.equals(known))
    )
      return true;
    const holder = announced.length === 0 ? undefined : this.find(announced);
    if (holder !== undefined && !(this.#settings.handover && holder.peer?.userId === pipe.peer!.userId)) return false;
    this.#leave(pipe);
    if (known !== undefined) pipe.dropOutbound();
    this.#enter(pipe, announced.length === 0 ? this.#makeUp() : announced);
    if (holder !== undefined) this.#onHandover(holder);
    return true;
  }

  override detach(pipe: Pipe): void {
    super.detach(pipe);
    this.#leave(pipe);
  }

  override receive(): Message | undefined {
    const message = this.queue.next();
    if (message === undefined) return undefined;
    const id = this.queue.last!.routingId!;
    if (message.length === 1) return [id, message[0]!];
    message.unshift(id);
    return message;
  }

  /** Reports what happened whatever `mandatory` is; `send` of the core decides whether that is an error. */
  override send(message: Message): SendResult {
    const pipe = this.find(message[0]!);
    if (pipe === undefined) return "EHOSTUNREACH";
    const body = message.length === 2 ? [message[1]!] : message.slice(1);
    const bytes = costOf(body);
    if (!pipe.hasRoom(bytes)) return "EAGAIN";
    pipe.push(body, bytes);
    return "sent";
  }

  override get drops(): boolean {
    return !this.#settings.mandatory;
  }

  /** The pipe that has an id. */
  find(id: Buffer): Pipe | undefined {
    if (isMadeUp(id)) return this.#numbered.get(id.readUInt32BE(1));
    return this.#pipes.get(id.toString("latin1"));
  }

  override get hasRoom(): boolean {
    return true;
  }

  #makeUp(): Buffer {
    while (this.#numbered.has(this.#nextNumber)) this.#nextNumber = (this.#nextNumber + 1) >>> 0;
    const id = Buffer.alloc(MADE_UP_BYTES);
    id.writeUInt32BE(this.#nextNumber, 1);
    this.#nextNumber = (this.#nextNumber + 1) >>> 0;
    return id;
  }

  #enter(pipe: Pipe, id: Buffer): void {
    pipe.routingId = id;
    pipe.routingKey = id.toString("latin1");
    if (isMadeUp(id)) this.#numbered.set(id.readUInt32BE(1), pipe);
    else this.#pipes.set(pipe.routingKey, pipe);
  }

  #leave(pipe: Pipe): void {
    const id = pipe.routingId;
    if (id === undefined) return;
    if (this.find(id) !== pipe) return; // another has taken it over
    if (isMadeUp(id)) this.#numbered.delete(id.readUInt32BE(1));
    else this.#pipes.delete(pipe.routingKey);
  }
}

function isMadeUp(id: Buffer): boolean {
  return id.length === MADE_UP_BYTES && id[0] === 0;
}
