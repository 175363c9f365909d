/**
 * ○ What stands on the wire and waits for its replies: a batch of keys (one `get` line, or its like), or one command.
 * Replies come back in the order of the exchanges; each tells when it has had its last.
 */
import { OperationError, ProtocolError, type HoldfastError } from "../../../core/errors.ts";
import type { Reply } from "../../../memcached/reply.ts";
import { type Taker } from "../operations/lookup.ts";
import { type Question, type Operation } from "../operations/operation.ts";

export type Exchange = LookupBatch | CommandExchange;

/** Keys side by side in a batch that one taker asked for: those from `position` on are its `slot`s from there on. */
interface Stretch {
  readonly taker: Taker;
  readonly position: number;
  readonly slot: number;
}

/** Where a key is asked for. */
export interface Place {
  readonly batch: LookupBatch;
  readonly position: number;
}

/** One more taker of a key that the batch already asks for. */
interface Sharer {
  readonly taker: Taker;
  readonly slot: number;
}

/**
 * Keys asked for together. memcached answers found keys in the order asked and leaves out the others, so that a key that comes
 * back tells which were missed before it. A key that was not asked for, or comes back oftener than it was asked for, breaks the
 * connection: that is how no value is ever given to the wrong key.
 */
export class LookupBatch {
  readonly verb: "get" | "gets";
  readonly keys: string[] = [];
  keyBytes = 0;
  /** Whether it is on the wire, its keys settled: takers may still join. */
  sent = false;
  /** Bytes of the answers so far, their lines included. */
  foundBytes = 0;
  /** What the reply is known by in place of the key: the opaque token of a meta `mg`. */
  token: string | undefined = undefined;
  /** Calls waiting on this exchange: a getMany counts once, however many of its keys are here. */
  size = 0;
  readonly #stretches: Stretch[] = [];
  #latest: Taker | undefined = undefined;
  #positions: Map<string, number> | undefined = undefined;
  #sharers: Map<number, Sharer[]> | undefined = undefined;
  /** The first key that has no answer, and the stretch that it is in. */
  #cursor = 0;
  #stretch = 0;

  constructor(verb: "get" | "gets") {
    this.verb = verb;
  }

  /**
   * Asks for a key of a taker, whose keys come one after the other; one that another taker asks for already is asked once.
   *
   * @returns where the key stands
   */
  add(key: string, taker: Taker, slot: number): number {
    if (taker !== this.#latest) {
      this.#latest = taker;
      this.size += 1;
    }
    const shared = this.#positionOf(key);
    if (shared !== undefined) {
      this.#addSharer(shared, { taker, slot });
      return shared;
    }
    const position = this.keys.length;
    const last = this.#stretches.at(-1);
    if (!last || last.taker !== taker || slot - last.slot !== position - last.position) {
      this.#stretches.push({ taker, position, slot });
    }
    this.keys.push(key);
    this.keyBytes += key.length + 1;
    return position;
  }

  /**
   * Gives the answer to one more taker, whose keys come one after the other.
   *
   * @returns by how many calls the batch has grown
   */
  share(position: number, taker: Taker, slot: number): number {
    this.#addSharer(position, { taker, slot });
    if (taker === this.#latest) return 0;
    this.#latest = taker;
    this.size += 1;
    return 1;
  }

  /** @returns true when the reply was the batch's last */
  accept(reply: Reply): boolean {
    switch (reply.kind) {
      case "VALUE":
        this.#found(reply);
        return false;
      case "VA":
        this.#found(reply);
        return true;
      case "END":
      case "EN":
        this.#missUpTo(this.keys.length);
        return true;
      default:
        this.fail(refused(reply, this.verb));
        return true;
    }
  }

  fail(error: HoldfastError): void {
    for (const taker of this.operations()) taker.fail(error);
  }

  *operations(): IterableIterator<Taker> {
    for (const { taker } of this.#stretches) yield taker;
    for (const sharers of this.#sharers?.values() ?? []) for (const { taker } of sharers) yield taker;
  }

  /** Where the key stands already. A getMany alone in its batch asks for no key twice, and pays for no table. */
  #positionOf(key: string): number | undefined {
    if (this.size <= 1) return undefined;
    this.#positions ??= new Map(this.keys.map((each, index) => [each, index]));
    const position = this.#positions.get(key);
    if (position === undefined) this.#positions.set(key, this.keys.length);
    return position;
  }

  #addSharer(position: number, sharer: Sharer): void {
    this.#sharers ??= new Map();
    const sharers = this.#sharers.get(position);
    if (sharers) sharers.push(sharer);
    else this.#sharers.set(position, [sharer]);
  }

  #found(reply: Reply): void {
    let position = this.#cursor;
    const { keys } = this;
    while (position < keys.length && !reply.keyIs(this.token ?? keys[position]!)) position += 1;
    if (position === keys.length) {
      throw new ProtocolError("CACHE_REPLY_INVALID", "Cannot use reply: a value for a key that was not asked for");
    }
    this.#missUpTo(position);
    this.#cursor = position + 1;
    this.foundBytes += reply.valueEnd - reply.valueStart + reply.lineEnd - reply.lineStart;
    const stretch = this.#stretchAt(position);
    stretch.taker.hit(stretch.slot + position - stretch.position, reply);
    for (const { taker, slot } of this.#sharers?.get(position) ?? NOBODY) taker.hit(slot, reply);
  }

  #missUpTo(end: number): void {
    for (let position = this.#cursor; position < end; position += 1) {
      const stretch = this.#stretchAt(position);
      stretch.taker.miss(stretch.slot + position - stretch.position);
      for (const { taker, slot } of this.#sharers?.get(position) ?? NOBODY) taker.miss(slot);
    }
    this.#cursor = end;
  }

  /** Positions are asked for in rising order. */
  #stretchAt(position: number): Stretch {
    for (let next = this.#stretches[this.#stretch + 1]; next && next.position <= position;) {
      this.#stretch += 1;
      next = this.#stretches[this.#stretch + 1];
    }
    return this.#stretches[this.#stretch]!;
  }
}

const NOBODY: readonly Sharer[] = [];

/** One command and its replies. */
export class CommandExchange {
  readonly command: Question;
  readonly size = 1;
  sent = false;

  constructor(command: Question) {
    this.command = command;
  }

  accept(reply: Reply): boolean {
    const refusal = refusalOf(reply);
    if (!refusal) return this.command.accept(reply);
    this.command.fail(refusal);
    // The server may have taken the value's bytes for commands: what follows on this connection means nothing.
    if (this.command.fields.body !== undefined && reply.kind !== "SERVER_ERROR") throw refusal;
    return true;
  }

  fail(error: HoldfastError): void {
    this.command.fail(error);
  }

  *operations(): IterableIterator<Operation> {
    yield this.command;
  }
}

/** The server's refusal, or undefined when the reply is none. */
function refusalOf(reply: Reply): HoldfastError | undefined {
  switch (reply.kind) {
    case "SERVER_ERROR":
      return new OperationError("CACHE_SERVER_ERROR", `Server cannot answer: ${reply.text}`);
    case "CLIENT_ERROR":
      return new OperationError("CACHE_REFUSED", `Server refuses: ${reply.text}`);
    case "ERROR":
      return new OperationError("CACHE_REFUSED", `Server does not know the command${reply.text && `: ${reply.text}`}`);
    default:
      return undefined;
  }
}

/** The server's refusal. @throws ProtocolError when the reply is none: the connection has lost its place */
function refused(reply: Reply, verb: string): HoldfastError {
  const refusal = refusalOf(reply);
  if (!refusal) throw unexpected(reply, verb);
  return refusal;
}

/** The reply answers another question than the one asked. */
export function unexpected(reply: Reply, verb: string): ProtocolError {
  return new ProtocolError(
    "CACHE_REPLY_INVALID",
    `Cannot use reply: '${reply.wholeLine.slice(0, 100)}' does not answer ${verb}`,
  );
}
