/**
 * A network for the session cores, moved by a ManualClock: transports with latency, odd chunks, silent cuts (one side or both notice, or
 * neither), and crashes of either end. Everything random comes from one seed.
 */
import { createHmac } from "node:crypto";
import type { Cancel } from "../../../src/core/clock.ts";
import { ManualClock } from "../../../src/core/manual-clock.ts";
import { between, seeded } from "../../../src/core/random.ts";
import type { Random } from "../../../src/core/random.ts";
import { Deadlines } from "../../../src/link/session/deadlines.ts";
import { endOf } from "../../../src/link/end.ts";
import type { LinkEnd } from "../../../src/link/end.ts";
import type { LinkConnection } from "../../../src/link/session/link-connection.ts";
import type { LinkTransport, Environment } from "../../../src/link/session/environment.ts";

/** A manual clock on which time can also pass without anything happening, as in a process that is stopped. */
class SleepingClock extends ManualClock {
  #sleptMs = 0;

  override now(): number {
    return super.now() + this.#sleptMs;
  }

  override at(deadlineMs: number, fire: () => void): Cancel {
    return super.at(deadlineMs - this.#sleptMs, fire);
  }

  /** Time passes and no timer fires; those set before fire late, in the order they would have. */
  jump(ms: number): void {
    this.#sleptMs += ms;
  }
}

export class VirtualNetwork implements Environment {
  readonly clock = new SleepingClock();
  readonly random: Random;
  readonly deadlines = new Deadlines(this.clock);
  readonly pairs = new Set<TransportPair>();
  readonly #soon: LinkConnection[] = [];

  constructor(seed: number) {
    this.random = seeded(seed);
  }

  secretBytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => between(this.random, 0, 255));
  }

  hmac(key: string, parts: readonly Uint8Array[]): Uint8Array {
    const hmac = createHmac("sha256", key);
    for (const part of parts) hmac.update(part);
    return new Uint8Array(hmac.digest());
  }

  soon(connection: LinkConnection): void {
    this.#soon.push(connection);
  }

  /** Writes what waits for the end of the turn. */
  settle(): void {
    for (let connection = this.#soon.shift(); connection; connection = this.#soon.shift()) connection.flush();
  }

  /** Moves time on in steps, with turns' ends between. */
  advance(ms: number, stepMs = 1): void {
    const untilMs = this.clock.now() + ms;
    this.settle();
    while (this.clock.now() < untilMs) {
      this.clock.advance(Math.min(stepMs, untilMs - this.clock.now()));
      this.settle();
    }
  }
}

/** 1 KiB: a packet of a thin line. */
const SLICE_BYTES = 1024;

/** Two transports, joined. */
export class TransportPair {
  readonly network: VirtualNetwork;
  readonly client: VirtualTransport;
  readonly server: VirtualTransport;
  /** Bytes vanish; nobody is told. */
  cut = false;
  /** What the line carries each way; the kernels take all that is written at once, as large buffers do. */
  bytesPerSecond = Infinity;

  constructor(network: VirtualNetwork, latencyMs: number) {
    this.network = network;
    this.client = new VirtualTransport(this, { peer: "server", latencyMs });
    this.server = new VirtualTransport(this, { peer: "client", latencyMs });
    network.pairs.add(this);
  }

  other(transport: VirtualTransport): VirtualTransport {
    return transport === this.client ? this.server : this.client;
  }

  /** The cable breaks; after `noticeMs` each, the ends are told so, or never (Infinity). */
  break(noticeMs: { client: number; server: number }): void {
    this.cut = true;
    this.network.pairs.delete(this);
    for (const side of ["client", "server"] as const) {
      if (Number.isFinite(noticeMs[side])) this.#at(noticeMs[side], () => this[side].lose(endOf("keepalive-timeout")));
    }
  }

  #at(inMs: number, fire: () => void): void {
    this.network.clock.at(this.network.clock.now() + inMs, fire);
  }
}

export class VirtualTransport implements LinkTransport {
  peer: string;
  interfaceDown = false;
  connection: LinkConnection | undefined;
  aheadBytes = 0;
  takenBytes = 0;
  /** What a reader does with bytes that arrive, in place of the connection itself. */
  deliver: ((chunk: Uint8Array) => void) | undefined;
  readonly #pair: TransportPair;
  readonly #latencyMs: number;
  #arrivesMs = 0;
  #gone = false;
  #paused: Uint8Array[] | undefined;
  #ending = false;

  constructor(pair: TransportPair, { peer, latencyMs }: { peer: string; latencyMs: number }) {
    this.#pair = pair;
    this.peer = peer;
    this.#latencyMs = latencyMs;
  }

  write(parts: readonly Uint8Array[]): void {
    const { network } = this.#pair;
    const bytes = Buffer.concat(parts);
    this.takenBytes += bytes.length;
    const { bytesPerSecond } = this.#pair;
    if (bytesPerSecond !== Infinity) {
      for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
        const slice = bytes.subarray(at, at + SLICE_BYTES);
        this.#arrivesMs = Math.max(this.#arrivesMs, network.clock.now()) + (1000 * slice.length) / bytesPerSecond;
        network.clock.at(this.#arrivesMs, () => {
          if (!this.#pair.cut) this.#pair.other(this).#arrive(slice);
        });
      }
      return;
    }
    // In order, whatever the latency of each chunk; sometimes cut into two.
    const at = bytes.length > 1 && network.random() < 0.3 ? between(network.random, 1, bytes.length - 1) : bytes.length;
    for (const chunk of [bytes.subarray(0, at), bytes.subarray(at)]) {
      if (chunk.length > 0) this.#send(() => this.#pair.other(this).#arrive(chunk));
    }
  }

  pause(): void {
    this.#paused ??= [];
  }

  resume(): void {
    const held = this.#paused ?? [];
    this.#paused = undefined;
    for (const chunk of held) this.#arrive(chunk);
  }

  end(): void {
    if (this.#gone || this.#ending) return;
    this.#ending = true;
    this.#send(() => this.#pair.other(this).lose(endOf("fin")));
    this.#pair.network.clock.at(this.#pair.network.clock.now(), () => this.lose(endOf("fin")));
  }

  destroy(): void {
    if (this.#gone) return;
    this.#send(() => this.#pair.other(this).lose(endOf("rst")));
    this.#pair.network.clock.at(this.#pair.network.clock.now(), () => this.lose(endOf("closed")));
  }

  lose(end: LinkEnd): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#pair.network.pairs.delete(this.#pair);
    this.connection?.lost(end);
  }

  /** The process at this end is no more: nothing is heard, nothing said. */
  vanish(): void {
    this.#gone = true;
    this.connection = undefined;
  }

  #arrive(chunk: Uint8Array): void {
    if (this.#gone) return;
    if (this.#paused) this.#paused.push(chunk);
    else if (this.deliver) this.deliver(chunk);
    else this.connection?.received(chunk);
  }

  #send(arrive: () => void): void {
    const { network } = this.#pair;
    if (this.#pair.cut) return;
    this.#arrivesMs = Math.max(this.#arrivesMs, network.clock.now() + this.#latencyMs * (0.5 + network.random()));
    network.clock.at(this.#arrivesMs, () => {
      if (!this.#pair.cut) arrive();
    });
  }
}
