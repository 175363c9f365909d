/** ● Sockets that receive, that send, that do both: the calls, over what all sockets share. */
import type { Message } from "../../zmtp/message-parts.ts";
import { toMessage, type MessageLike } from "./message.ts";
import type { SendResult } from "../patterns/pattern.ts";
import { Socket } from "./socket.ts";
import type { WaitOptions } from "../socket-core/waiters.ts";

/** 256 messages: what a batch takes unless told otherwise; enough that the price of a promise no longer shows. */
const BATCH_MESSAGES = 256;

/** Sockets that receive. */
export abstract class ReadableSocket extends Socket {
  /**
   * The next message's parts. Any number of calls may wait at once; they are answered in order.
   *
   * @throws EAGAIN after `receiveTimeout` or on close, EFSM on a REQ or REP out of turn, EBADF, ABORTED
   */
  receive(options?: WaitOptions): Promise<Message> {
    return this.core.receive<Message>(0, this.receiveTimeout, options);
  }

  /**
   * The messages that have arrived, at least one: waits for the first only. One promise for many messages.
   *
   * @param most default 256
   * @throws as `receive`
   */
  receiveBatch(most: number = BATCH_MESSAGES, options?: WaitOptions): Promise<Message[]> {
    return this.core.receive<Message[]>(Math.max(1, most), this.receiveTimeout, options);
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
      return { done: false, value: await this.core.receive<T>(batch, this.receiveTimeout, undefined) };
    } catch (error) {
      if (this.closed) return { done: true, value: undefined };
      throw error;
    }
  }
}

/** Sockets that send. */
export abstract class WritableSocket extends Socket {
  /** As `DuplexSocket.send`. */
  send(message: MessageLike | readonly MessageLike[], options?: WaitOptions): Promise<void> {
    return this.core.send(toMessage(message), this.sendTimeout, options);
  }

  /** As `DuplexSocket.trySend`. */
  trySend(message: MessageLike | readonly MessageLike[]): SendResult {
    return this.core.trySend(toMessage(message));
  }
}

/** A socket that sends, whether or not it receives. */
export type SendingSocket = WritableSocket | DuplexSocket;

/** Sockets that do both. */
export abstract class DuplexSocket extends ReadableSocket {
  /**
   * Queues a message. Resolves at once when there is room; else waits for it. Any number of calls may wait at once; they are served
   * in order. Bytes are not copied: leave them alone until they are sent.
   *
   * @throws EAGAIN after `sendTimeout` or on close, EHOSTUNREACH on a mandatory ROUTER, EFSM out of turn, EINVAL, EBADF, ABORTED
   */
  send(message: MessageLike | readonly MessageLike[], options?: WaitOptions): Promise<void> {
    return this.core.send(toMessage(message), this.sendTimeout, options);
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
