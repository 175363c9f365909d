/** ● The server of byte mode: any TCP client may connect. */
import { EventEmitter } from "node:events";
import type { Clock } from "../../core/clock.ts";
import { systemClock } from "../../core/clock.ts";
import { DRAIN_MS_MAX } from "../../core/limits.ts";
import { durationMs, sizeBytes } from "../../core/units.ts";
import type { Duration, Size } from "../../core/units.ts";
import { Acceptor } from "./acceptor.ts";
import type { AcceptOptions, LinkServerStats } from "./acceptor.ts";
import { ByteLink } from "./byte-link.ts";
import type { LinkEnd } from "../end.ts";
import { readKeepAlive } from "../keep-alive/keep-alive.ts";
import type { KeepAlive, KeepAliveOptions, TuneWarning } from "../keep-alive/keep-alive.ts";
import { ANSWER_MS, UNSENT_BYTES_MAX } from "../limits.ts";
import type { TuneReport } from "../keep-alive/tune.ts";

/** Options of `listen` in byte mode. */
export interface ListenOptions extends KeepAliveOptions, AcceptOptions {
  /** Bytes that may wait for one peer to read them. Default 1 MiB. */
  readonly unsentMax?: Size;
  /**
   * How long a peer that has closed its side may wait for an answer to what it sent last; `send` still works then, although the
   * end has been told. Default 1 s; 0 closes at once.
   */
  readonly answerWithin?: Duration;
  /** For tests: the clock. */
  readonly clock?: Clock;
}

/** What a byte server emits. */
export interface LinkServerEvents {
  /** A connection was accepted; `report` says what its keep-alive is. */
  open: [link: ByteLink, report: TuneReport];
  bytes: [link: ByteLink, bytes: Buffer];
  end: [link: ByteLink, end: LinkEnd];
}

/** Accepts connections that carry bytes. */
export class LinkServer extends EventEmitter<LinkServerEvents> {
  /** @internal */
  readonly clock: Clock;
  /** The values that every connection is set to. */
  readonly keepAlive: KeepAlive;
  /** What of the options was rounded. */
  readonly warnings: readonly TuneWarning[];
  /** @internal */
  readonly unsentBytesMax: number;
  readonly #acceptor: Acceptor;
  readonly #answerMs: number;
  #closing: Promise<void> | undefined;

  /** @internal Use `listen`. */
  constructor(options: ListenOptions) {
    super();
    const { values, warnings } = readKeepAlive(options);
    this.keepAlive = values;
    this.warnings = warnings;
    this.clock = options.clock ?? systemClock;
    this.unsentBytesMax = sizeBytes(options.unsentMax ?? UNSENT_BYTES_MAX, "unsentMax");
    this.#answerMs = durationMs(options.answerWithin ?? ANSWER_MS, "answerWithin");
    this.#acceptor = new Acceptor(options, {
      adopt: (socket, id) => new ByteLink(socket, { id, owner: this }),
      opened: (link, report) => void this.emit("open", link, report),
    });
  }

  /** @internal */
  start(options: ListenOptions): Promise<void> {
    return this.#acceptor.start(options);
  }

  /** Where the server listens: "127.0.0.1:12345". */
  get address(): string {
    return this.#acceptor.address;
  }

  /** The port it listens on: the one that was free where 0 was asked for. */
  get port(): number {
    return this.#acceptor.port;
  }

  /** The connections there are. */
  get links(): Iterable<ByteLink> {
    return this.#acceptor.links;
  }

  /** A snapshot: totals, and every connection with its keep-alive and its next probe as the kernel has them. */
  stats(): LinkServerStats {
    return this.#acceptor.stats();
  }

  /** Accepts no more, sends what waits, ends every connection with FIN, and after 5 s without. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#shut();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  bytes(link: ByteLink, bytes: Buffer): void {
    this.emit("bytes", link, bytes);
  }

  /** @internal */
  peerEnded(link: ByteLink): void {
    this.#acceptor.peerEnded(link, this.#answerMs);
  }

  /** @internal */
  ended(link: ByteLink, end: LinkEnd): void {
    this.#acceptor.gone(link, end);
    this.emit("end", link, end);
  }

  async #shut(): Promise<void> {
    const stopped = this.#acceptor.stop();
    for (const link of this.links) link.close("closed");
    const cancel = this.clock.at(this.clock.now() + DRAIN_MS_MAX, () => {
      for (const link of this.links) link.destroy("closed");
    });
    await stopped;
    cancel();
  }
}
