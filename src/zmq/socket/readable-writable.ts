/** ● Sockets that receive, that send, that do both: the calls, over what all sockets share. */
import { codeOf } from "../../core/errors.ts";
import type { Message } from "../../zmtp/message-parts.ts";
import { toMessage, type MessageLike, type MessagePart } from "./message.ts";
import type { SendResult } from "../patterns/pattern.ts";
import { defineOptions } from "./option-holder.ts";
import { Socket } from "./socket.ts";
import { RECEIVE_OPTIONS, SEND_OPTIONS, type AllOptions, type ReceiveOption, type SendOption } from "./socket-options.ts";
import type { WaitOptions } from "../socket-core/waiters.ts";

/** 256 messages: what a batch takes unless told otherwise; enough that the price of a promise no longer shows. */
const BATCH_MESSAGES = 256;

/** What receives. */
export interface Readable<M extends object[] = MessagePart[]> {
  /** Messages that may wait here from one peer. */
  receiveHighWaterMark: number;
  /** Has no effect here. */
  receiveBufferSize: number;
  /** Milliseconds after which `receive` gives up. */
  receiveTimeout: number;
  /** The next message. */
  receive(): Promise<M>;
  [Symbol.asyncIterator](): AsyncIterator<M, undefined>;
}

/** What sends. */
export interface Writable<M extends MessageLike | MessageLike[] = MessageLike | MessageLike[], O extends object[] = []> {
  /** Messages that may wait for one peer. */
  sendHighWaterMark: number;
  /** Has no effect here. */
  sendBufferSize: number;
  /** Has no effect here. */
  multicastHops: number;
  /** Milliseconds after which `send` gives up. */
  sendTimeout: number;
  /** Queues a message. */
  send(message: M, ...options: O): Promise<void>;
}

/* oxlint-disable typescript/no-unsafe-declaration-merging -- each class has the options of the interface beside it: defineOptions */

export interface ReadableSocket extends Pick<AllOptions, ReceiveOption> {}

/** Sockets that receive. */
export abstract class ReadableSocket extends Socket implements Readable {
  /**
   * The next message's parts. Any number of calls may wait at once; they are answered in order. On a REQ or REP out of turn it waits for
   * its turn.
   *
   * @throws EAGAIN, or EFSM out of turn, after `receiveTimeout` or on close; EBADF, ABORTED
   */
  receive(options?: WaitOptions): Promise<Message> {
    return this.core.receive<Message>(0, this.settings.receiveTimeout, options);
  }

  /**
   * The messages that have arrived, at least one: waits for the first only. One promise for many messages.
   *
   * @param most default 256
   * @throws as `receive`
   */
  receiveBatch(most: number = BATCH_MESSAGES, options?: WaitOptions): Promise<Message[]> {
    return this.core.receive<Message[]>(Math.max(1, most), this.settings.receiveTimeout, options);
  }

  /** The next message if there is one, else undefined. @throws EFSM, EBADF */
  tryReceive(): Message | undefined {
    return this.core.tryReceive();
  }

  /** Messages one by one until the socket is closed. */
  [Symbol.asyncIterator](): AsyncIterator<Message, undefined> {
    return this.#iterator<Message>(0);
  }

  /** Batches of messages until the socket is closed. */
  batches(most: number = BATCH_MESSAGES): AsyncIterable<Message[], undefined> {
    return { [Symbol.asyncIterator]: () => this.#iterator<Message[]>(Math.max(1, most)) };
  }

  /** @param batch as of `core.receive` */
  #iterator<T>(batch: number): AsyncIterator<T, undefined> {
    return {
      next: () => {
        const ready = this.core.receiveNow(batch) as T | undefined;
        return ready === undefined ? this.#nextLater<T>(batch) : Promise.resolve({ done: false, value: ready });
      },
    };
  }

  async #nextLater<T>(batch: number): Promise<IteratorResult<T, undefined>> {
    if (this.closed) return { done: true, value: undefined };
    try {
      return { done: false, value: await this.core.receive<T>(batch, this.settings.receiveTimeout, undefined) };
    } catch (error) {
      if (this.closed && codeOf(error) === "EAGAIN") return { done: true, value: undefined };
      throw error;
    }
  }
}

export interface WritableSocket extends Pick<AllOptions, SendOption> {}

/** Sockets that send. */
export abstract class WritableSocket extends Socket implements Writable {
  /** As `DuplexSocket.send`. */
  send(message: MessageLike | readonly MessageLike[], options?: WaitOptions): Promise<void> {
    return this.core.send(toMessage(message), this.settings.sendTimeout, options);
  }

  /** As `DuplexSocket.trySend`. */
  trySend(message: MessageLike | readonly MessageLike[]): SendResult {
    return this.core.trySend(toMessage(message));
  }
}

/** A socket that sends, whether or not it receives. */
export type SendingSocket = WritableSocket | DuplexSocket;

export interface DuplexSocket extends Pick<AllOptions, SendOption> {}

/** Sockets that do both. */
export abstract class DuplexSocket extends ReadableSocket implements Writable {
  /**
   * Queues a message. Resolves at once when there is room; else waits for it, and on a REQ or REP out of turn for its turn. Any number of
   * calls may wait at once; they are served in order. Bytes are not copied: leave them alone until they are sent.
   *
   * @throws EAGAIN, or EFSM out of turn, after `sendTimeout` or on close; EHOSTUNREACH on a mandatory ROUTER, EINVAL, EBADF, ABORTED
   */
  send(message: MessageLike | readonly MessageLike[], options?: WaitOptions): Promise<void> {
    return this.core.send(toMessage(message), this.settings.sendTimeout, options);
  }

  /**
   * Queues a message if that can be done now, without a promise. On a ROUTER it tells what became of the message whatever
   * `mandatory` says.
   *
   * @returns "sent", or why not: "EAGAIN" (no room, or no peer), "EHOSTUNREACH" (no peer has this id), "EFSM" (out of turn)
   * @throws EINVAL, EBADF
   */
  trySend(message: MessageLike | readonly MessageLike[]): SendResult {
    return this.core.trySend(toMessage(message));
  }
}

defineOptions(ReadableSocket.prototype, RECEIVE_OPTIONS);
defineOptions(WritableSocket.prototype, SEND_OPTIONS);
defineOptions(DuplexSocket.prototype, SEND_OPTIONS);
