/**
 * ● Watches one server port for the page: packets captured where that is permitted, else tapped in the server, and the kernel's
 * keep-alive counters of one connection ten times a second.
 */
import type { Cancel, Clock } from "../../core/clock.ts";
import { OperationError } from "../../core/errors.ts";
import { PacketAnalyzer, capture, onTappedFrames, type Capture, type CapturedFrame } from "../../wire/index.ts";
import { Lifeline } from "./lifeline.ts";
import { WATCH_MS, WATCH_MS_MAX, WATCH_SHARE } from "../limits.ts";
import type { ConnectionNumbers, LinkPart } from "../snapshot/monitored-parts.ts";

export class PortMonitor {
  readonly lifeline = new Lifeline();
  readonly #clock: Clock;
  readonly #server: LinkPart;
  readonly #onChange: () => void;
  readonly #analyzer: PacketAnalyzer;
  readonly #untap: () => void;
  #capture: Capture | undefined;
  /** Why packets are not captured. */
  whyNotCaptured: string | undefined;
  #row: ConnectionNumbers | undefined;
  #ended = false;
  #cancel: Cancel | undefined;
  #closed = false;
  /** How long the previous poll took; the shorter of two decides, so that a single slow poll changes nothing. */
  #tookMs = 0;

  private constructor({ server, port, clock, onChange }: PortMonitorOptions) {
    this.#server = server;
    this.#clock = clock;
    this.#onChange = onChange;
    this.#analyzer = new PacketAnalyzer({ ports: new Map([[port, "link"]]), bodies: true });
    this.#untap = onTappedFrames([port], (frame) => this.#tapped(frame));
  }

  /** Starts; resolves once all further packets are seen. */
  static async start(options: PortMonitorOptions): Promise<PortMonitor> {
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
    this.#poll();
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

  /** Tapped frames are used only while packets are not captured. */
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

  #poll(): void {
    if (this.#closed || this.#ended) return;
    const startMs = this.#clock.now();
    const row = this.#server.stats().connections.find(({ id }) => id === this.#row!.id);
    const wallMs = this.#clock.wallMs();
    if (row) {
      this.#row = row;
      const sample = {
        nextProbeInMs: row.nextProbeInMs,
        unanswered: row.probesUnanswered ?? 0,
        bytes: row.bytesIn + row.bytesOut,
      };
      this.lifeline.kernel(sample, { nowMs: startMs, wallMs, count: row.keepAlive?.count ?? 0, recorded: !this.#capture });
    } else {
      this.#ended = true;
      this.lifeline.end("the connection has ended", wallMs, "kernel counters");
    }
    this.#onChange();
    const tookMs = this.#clock.now() - startMs;
    const waitMs = Math.min(WATCH_MS_MAX, Math.max(WATCH_MS, Math.min(tookMs, this.#tookMs) / WATCH_SHARE));
    this.#tookMs = tookMs;
    this.#cancel = this.#clock.at(startMs + waitMs, () => this.#poll());
  }
}

export interface PortMonitorOptions {
  readonly server: LinkPart;
  readonly port: number;
  readonly clock: Clock;
  readonly onChange: () => void;
}
