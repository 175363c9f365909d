/**
 * ● Watches one server's port closely for the page: packets captured where that is permitted, else tapped in our own server, and the
 * kernel's keep-alive counters of one connection ten times a second.
 */
import type { Cancel, Clock } from "../../core/clock.ts";
import { OperationError } from "../../core/errors.ts";
import { PacketAnalyzer, capture, onTappedFrames } from "../../wire/index.ts";
import type { Capture, CapturedFrame } from "../../wire/index.ts";
import { Lifeline } from "./lifeline.ts";
import { LOOK_MS, LOOK_MS_MAX, LOOK_SHARE } from "../limits.ts";
import type { ConnectionNumbers, LinkPart } from "../snapshot/monitored-parts.ts";

export class PortMonitor {
  readonly lifeline = new Lifeline();
  readonly #clock: Clock;
  readonly #server: LinkPart;
  readonly #onChange: () => void;
  readonly #analyzer: PacketAnalyzer;
  readonly #untap: () => void;
  #capture: Capture | undefined;
  /** Why packets are not captured, in words. */
  whyNotCaptured: string | undefined;
  #row: ConnectionNumbers | undefined;
  #ended = false;
  #cancel: Cancel | undefined;
  #closed = false;
  /** How long the look before took; the shorter of two decides, so that one accident does not slow the picture. */
  #tookMs = 0;

  private constructor({ server, port, clock, onChange }: PortMonitorOptions) {
    this.#server = server;
    this.#clock = clock;
    this.#onChange = onChange;
    this.#analyzer = new PacketAnalyzer({ ports: new Map([[port, "link"]]), bodies: true });
    this.#untap = onTappedFrames([port], (frame) => this.#tapped(frame));
  }

  /** Begins; resolves when whatever passes from now on is seen. */
  static async begin(options: PortMonitorOptions): Promise<PortMonitor> {
    const monitor = new PortMonitor(options);
    try {
      monitor.#capture = await capture({ ports: [options.port] });
      void monitor.#follow(monitor.#capture);
    } catch (error) {
      if (!(error instanceof OperationError)) throw error;
      monitor.whyNotCaptured = error.message;
    }
    return monitor;
  }

  get captured(): boolean {
    return this.#capture !== undefined;
  }

  get row(): ConnectionNumbers | undefined {
    return this.#row;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** From now on follows this connection and no other. */
  follow(row: ConnectionNumbers): void {
    this.#row = row;
    this.#look();
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
    this.#untap();
    this.#capture?.stop();
  }

  async #follow(frames: Capture): Promise<void> {
    for await (const frame of frames) this.#add(frame);
  }

  /** Where packets are captured, the tap only tells how the connection ended. */
  #tapped(frame: CapturedFrame): void {
    if (!this.#capture) this.#add(frame);
  }

  #add(frame: CapturedFrame): void {
    const packet = this.#analyzer.packet(frame);
    const { tcp } = packet;
    if (!tcp || this.#closed || (this.#row && tcp.client !== this.#row.peer)) return;
    this.lifeline.packet(frame, packet);
    this.#onChange();
  }

  #look(): void {
    if (this.#closed || this.#ended) return;
    const began = this.#clock.now();
    const row = this.#server.stats().connections.find(({ id }) => id === this.#row!.id);
    const wallMs = this.#clock.wallMs();
    if (row) {
      this.#row = row;
      const look = {
        nextProbeInMs: row.nextProbeInMs,
        unanswered: row.probesUnanswered ?? 0,
        bytes: row.bytesIn + row.bytesOut,
      };
      this.lifeline.kernel(look, { nowMs: began, wallMs, count: row.keepAlive?.count ?? 0, told: !this.#capture });
    } else {
      this.#ended = true;
      this.lifeline.end("the connection has ended", wallMs, "kernel counters");
    }
    this.#onChange();
    const tookMs = this.#clock.now() - began;
    const waitMs = Math.min(LOOK_MS_MAX, Math.max(LOOK_MS, Math.min(tookMs, this.#tookMs) / LOOK_SHARE));
    this.#tookMs = tookMs;
    this.#cancel = this.#clock.at(began + waitMs, () => this.#look());
  }
}

export interface PortMonitorOptions {
  readonly server: LinkPart;
  readonly port: number;
  readonly clock: Clock;
  readonly onChange: () => void;
}
