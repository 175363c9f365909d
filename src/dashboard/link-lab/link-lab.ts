/** ● The link view's lab: one watched connection, either of the link server or of the demonstration. */
import type { Clock } from "../../core/clock.ts";
import { UsageError } from "../../core/errors.ts";
import { PcapngWriter, headersOf, type CapturedFrame, type KeepAliveTimes } from "../../wire/index.ts";
import { Demonstration } from "./demonstration.ts";
import type { DemoPeerAction, LabState, LabSummary, LifelineEvent } from "./lab-state.ts";
import { LAB_UPDATE_MS } from "../limits.ts";
import type { ConnectionNumbers, LinkPart } from "../snapshot/monitored-parts.ts";
import { ConnectionMonitor } from "./connection-monitor.ts";

export class LinkLab {
  readonly #clock: Clock;
  readonly #link: LinkPart | undefined;
  readonly #send: (summary: LabSummary | undefined) => void;
  #monitor: ConnectionMonitor | undefined;
  #demonstration: Demonstration | undefined;
  #sendDue = false;
  /** How many connections were watched so far. */
  #watched = 0;
  /** Starts and stops run one after the other. */
  #busy: Promise<void> = Promise.resolve();

  /** @param send called with the new summary after changes, at most five times a second */
  constructor({
    link,
    clock,
    send,
  }: {
    link: LinkPart | undefined;
    clock: Clock;
    send: (summary: LabSummary | undefined) => void;
  }) {
    this.#link = link;
    this.#clock = clock;
    this.#send = send;
  }

  /** The state for the page; undefined while no connection is watched. */
  state(): LabState | undefined {
    const summary = this.summary();
    return summary && { ...summary, events: this.#monitor!.lifeline.events };
  }

  summary(): LabSummary | undefined {
    const monitor = this.#monitor;
    if (!monitor?.row) return undefined;
    const { events, rewritten } = monitor.lifeline;
    return {
      edition: `${this.#watched}.${rewritten}`,
      newest: events.at(-1)?.number ?? 0,
      kind: this.#demonstration ? "demonstration" : "connection",
      wallMs: this.#clock.wallMs(),
      packets: monitor.captured ? "captured" : "tapped",
      whyNotCaptured: monitor.whyNotCaptured,
      connection: monitor.row,
      ended: monitor.ended,
      peerState: this.#demonstration?.peerState,
      cannotCut: this.#demonstration?.cannotCut,
    };
  }

  /**
   * Watches a connection of the link server.
   *
   * @throws UsageError DASHBOARD_NOT_THERE
   */
  watch(id: number): Promise<void> {
    return this.#inTurn(async () => {
      const server = this.#link;
      const row = server?.stats().connections.find((each) => each.id === id);
      if (!server || !row) throw new UsageError("DASHBOARD_NOT_THERE", `Cannot watch connection ${id}: no such connection`);
      await this.#end();
      this.#monitor = await this.#startMonitor({ server, row });
    });
  }

  /**
   * Starts a server with these times and a peer that connects to it.
   *
   * @throws OperationError DASHBOARD_DEMONSTRATION_FAILED
   */
  demonstrate(times: KeepAliveTimes): Promise<void> {
    return this.#inTurn(async () => {
      await this.#end();
      const demonstration = await Demonstration.start(times, {
        note: (text) => this.#note(text),
        cut: (cut, wallMs) => this.#cut(cut, wallMs),
      });
      this.#demonstration = demonstration;
      this.#monitor = await this.#startMonitor({ server: demonstration.server });
      await demonstration.connectPeer();
      this.#monitor.follow(demonstration.server.stats().connections[0]!);
    });
  }

  /** Suspends, resumes, cuts off, reconnects or kills the demonstration's peer. */
  act(action: DemoPeerAction): void {
    this.#running().act(action);
  }

  /** Sends text from one side of the demonstration. */
  send(from: "server" | "client", text: string): Promise<void> {
    return this.#running().send(from, text);
  }

  /** Its events after this number, with the edition that they are of; undefined while no connection is watched. */
  events(after: number): { edition: string; events: readonly LifelineEvent[] } | undefined {
    const state = this.state();
    return state && { edition: state.edition, events: state.events.filter(({ number }) => number > after) };
  }

  /** The frame behind an event of the page. */
  frame(number: number): CapturedFrame | undefined {
    return this.#monitor?.lifeline.frame(number);
  }

  /**
   * The recorded packets as a pcapng file; undefined while no connection is watched. Without `payload` they end after their headers,
   * as if captured so: lengths, SEQ and ACK are right, and nothing of what was said is in the file.
   */
  pcapng({ payload = false }: { payload?: boolean } = {}): Uint8Array<ArrayBuffer> | undefined {
    const lifeline = this.#monitor?.lifeline;
    if (!lifeline) return undefined;
    const writer = new PcapngWriter();
    const named = new Map(lifeline.events.map(({ number, text, source }) => [lifeline.frame(number), `${text} (${source})`]));
    const blocks = Array.from(lifeline.frames, (frame) => {
      const notes = [frame.comment, named.get(frame)].filter((note) => note !== undefined);
      const kept = payload ? frame : { ...frame, bytes: headersOf(frame) };
      return writer.frame(notes.length > 0 ? { ...kept, comment: notes.join("\n") } : kept);
    });
    return Buffer.concat([writer.start(), ...blocks]);
  }

  /** Ends the demonstration and stops watching. */
  stop(): Promise<void> {
    return this.#inTurn(() => this.#end());
  }

  #inTurn(action: () => Promise<void>): Promise<void> {
    const done = this.#busy.then(action).finally(() => this.#changed());
    this.#busy = done.catch(() => undefined); // the caller gets the error; the next action runs anyway
    return done;
  }

  #startMonitor(watched: { server: LinkPart; row?: ConnectionNumbers }): Promise<ConnectionMonitor> {
    this.#watched += 1;
    return ConnectionMonitor.start({ ...watched, clock: this.#clock, onChange: () => this.#changed() });
  }

  async #end(): Promise<void> {
    this.#monitor?.close();
    this.#monitor = undefined;
    const demonstration = this.#demonstration;
    this.#demonstration = undefined;
    await demonstration?.close();
  }

  #note(text: string): void {
    this.#monitor?.lifeline.note("note", text, { wallMs: this.#clock.wallMs(), source: "tapped" });
    this.#changed();
  }

  #cut(cut: boolean, wallMs: number): void {
    this.#monitor?.lifeline.cut(cut, wallMs);
    this.#changed();
  }

  /** Sends the changes of LAB_UPDATE_MS together. */
  #changed(): void {
    if (this.#sendDue) return;
    this.#sendDue = true;
    this.#clock.at(this.#clock.now() + LAB_UPDATE_MS, () => {
      this.#sendDue = false;
      this.#send(this.summary());
    });
  }

  #running(): Demonstration {
    if (!this.#demonstration)
      throw new UsageError("DASHBOARD_NOT_THERE", "Cannot act on the peer: no demonstration is running");
    return this.#demonstration;
  }
}
