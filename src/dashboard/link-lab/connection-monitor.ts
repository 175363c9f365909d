/**
 * ● Watches one connection for the page: its packets, captured where that is permitted, else tapped in the server, and the kernel's
 * keep-alive counters of it ten times a second. Invariant: a packet of any other connection is neither shown nor kept, whatever was
 * seen before it was known which one to follow; payload is in frames alone, never in texts.
 */
import { portOf } from "../../core/address.ts";
import type { Cancel, Clock } from "../../core/clock.ts";
import { OperationError } from "../../core/errors.ts";
import { PacketAnalyzer, capture, onTappedFrames, type Capture, type CapturedFrame } from "../../wire/index.ts";
import { Lifeline } from "./lifeline.ts";
import { LIFELINE_FRAMES_MAX, WATCH_MS, WATCH_MS_MAX, WATCH_SHARE } from "../limits.ts";
import type { ConnectionNumbers, LinkPart } from "../snapshot/monitored-parts.ts";

export interface ConnectionMonitorOptions {
  readonly server: LinkPart;
  /** The connection, where it is there already; else `follow` says which one it is. */
  readonly row?: ConnectionNumbers;
  readonly clock: Clock;
  readonly onChange: () => void;
}

export class ConnectionMonitor {
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
  /** Frames of the server's port from before it was known which connection to follow. */
  #early: CapturedFrame[] = [];
  #ended = false;
  #cancel: Cancel | undefined;
  #closed = false;
  /** How long the previous poll took; the shorter of two decides, so that a single slow poll changes nothing. */
  #tookMs = 0;

  private constructor({ server, row, clock, onChange }: ConnectionMonitorOptions) {
    this.#server = server;
    this.#clock = clock;
    this.#onChange = onChange;
    this.#row = row;
    const port = portOf(server.address) ?? 0;
    this.#analyzer = new PacketAnalyzer({ ports: new Map([[port, "link"]]) });
    const wants = (ends: { local: string; remote: string }): boolean =>
      this.#row ? ends.local === this.#row.local && ends.remote === this.#row.peer : ends.local === server.address;
    this.#untap = onTappedFrames({ serverPorts: [port], wants }, (frame) => this.#tapped(frame));
  }

  /** Starts; resolves once all further packets are seen. */
  static async start(options: ConnectionMonitorOptions): Promise<ConnectionMonitor> {
    const monitor = new ConnectionMonitor(options);
    const { server, row } = options;
    try {
      monitor.#capture = await capture({ ports: [portOf(server.address) ?? 0], between: row && [row.local, row.peer] });
      void monitor.#read(monitor.#capture);
    } catch (error) {
      if (!(error instanceof OperationError)) throw error;
      monitor.whyNotCaptured = error.message;
    }
    if (row) monitor.follow(row);
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

  /** This is the connection: what was seen of others is forgotten. */
  follow(row: ConnectionNumbers): void {
    this.#row = row;
    const early = this.#early;
    this.#early = [];
    for (const frame of early) this.#add(frame);
    this.#poll();
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
    this.#untap();
    this.#capture?.stop();
  }

  async #read(frames: Capture): Promise<void> {
    for await (const frame of frames) this.#add(frame);
  }

  /** Tapped frames are used only while packets are not captured. */
  #tapped(frame: CapturedFrame): void {
    if (!this.#capture) this.#add(frame);
  }

  #add(frame: CapturedFrame): void {
    if (this.#closed) return;
    if (!this.#row) {
      this.#early.push(frame);
      if (this.#early.length > LIFELINE_FRAMES_MAX) this.#early.shift();
      return;
    }
    const packet = this.#analyzer.packet(frame);
    const { peer, local } = this.#row;
    if (packet.tcp?.client !== withoutZone(peer) || packet.tcp.server !== withoutZone(local)) return;
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
      this.lifeline.note("end", "the connection has ended", { wallMs, source: "kernel counters" });
    }
    this.#onChange();
    const tookMs = this.#clock.now() - startMs;
    const waitMs = Math.min(WATCH_MS_MAX, Math.max(WATCH_MS, Math.min(tookMs, this.#tookMs) / WATCH_SHARE));
    this.#tookMs = tookMs;
    this.#cancel = this.#clock.at(startMs + waitMs, () => this.#poll());
  }
}

/** No packet has the zone of a link-local address. */
function withoutZone(end: string): string {
  return end.replace(/%[^\]]*/, "");
}
