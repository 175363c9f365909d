/** ● The link view's lab: one connection watched closely, be it one of the server's or the demonstration's own. */
import { parseAddress } from "../../core/address.ts";
import type { Clock } from "../../core/clock.ts";
import { UsageError } from "../../core/errors.ts";
import { PcapngWriter } from "../../wire/index.ts";
import type { CapturedFrame } from "../../wire/index.ts";
import { Demonstration } from "./demonstration.ts";
import type { DemonstrationTimes } from "./demonstration.ts";
import type { LabState, DemoPeerAction } from "./lab-state.ts";
import { LAB_TELL_MS } from "../limits.ts";
import type { LinkPart } from "../snapshot/monitored-parts.ts";
import { PortMonitor } from "./port-monitor.ts";

export class LinkLab {
  readonly #clock: Clock;
  readonly #link: LinkPart | undefined;
  readonly #tell: (state: LabState | undefined) => void;
  #monitor: PortMonitor | undefined;
  #demonstration: Demonstration | undefined;
  #isTelling = false;
  /** Starts and stops come one after the other. */
  #busy: Promise<void> = Promise.resolve();

  /** @param tell hears of changes, at most five times a second */
  constructor({
    link,
    clock,
    tell,
  }: {
    link: LinkPart | undefined;
    clock: Clock;
    tell: (state: LabState | undefined) => void;
  }) {
    this.#link = link;
    this.#clock = clock;
    this.#tell = tell;
  }

  /** What the page draws; undefined while nothing is watched. */
  state(): LabState | undefined {
    const monitor = this.#monitor;
    if (!monitor?.row) return undefined;
    return {
      kind: this.#demonstration ? "demonstration" : "connection",
      wallMs: this.#clock.wallMs(),
      packets: monitor.captured ? "captured" : "tapped",
      whyNotCaptured: monitor.whyNotCaptured,
      connection: monitor.row,
      ended: monitor.ended,
      peerState: this.#demonstration?.peerState,
      cannotCut: this.#demonstration?.cannotCut,
      events: monitor.lifeline.events,
    };
  }

  /**
   * Opens a connection of the link server.
   *
   * @throws UsageError DASHBOARD_NOT_THERE
   */
  watch(id: number): Promise<void> {
    return this.#inTurn(async () => {
      const server = this.#link;
      const row = server?.stats().connections.find((each) => each.id === id);
      if (!server || !row) throw new UsageError("DASHBOARD_NOT_THERE", `Cannot open connection ${id}: it is not there`);
      await this.#end();
      this.#monitor = await this.#begin(server);
      this.#monitor.follow(row);
    });
  }

  /**
   * Starts a server with these times and a peer that connects to it.
   *
   * @throws OperationError DASHBOARD_DEMONSTRATION_FAILED
   */
  demonstrate(times: DemonstrationTimes): Promise<void> {
    return this.#inTurn(async () => {
      await this.#end();
      const demonstration = await Demonstration.start(times, (text) => this.#note(text));
      this.#demonstration = demonstration;
      this.#monitor = await this.#begin(demonstration.server);
      await demonstration.connectPeer();
      this.#monitor.follow(demonstration.server.stats().connections[0]!);
    });
  }

  /** Does something to the demonstration's peer. */
  act(action: DemoPeerAction): void {
    this.#running().act(action);
  }

  /** Sends text from one side of the demonstration. */
  send(from: "server" | "client", text: string): Promise<void> {
    return this.#running().send(from, text);
  }

  /** The frame behind an event of the page. */
  frame(number: number): CapturedFrame | undefined {
    return this.#monitor?.lifeline.frame(number);
  }

  /** What was seen so far as a pcapng file; undefined while nothing is watched. */
  pcapng(): Uint8Array<ArrayBuffer> | undefined {
    const lifeline = this.#monitor?.lifeline;
    if (!lifeline) return undefined;
    const writer = new PcapngWriter();
    const named = new Map(lifeline.events.map(({ number, text, source }) => [lifeline.frame(number), `${text} (${source})`]));
    const blocks = Array.from(lifeline.frames, (frame) => {
      const notes = [frame.comment, named.get(frame)].filter((note) => note !== undefined);
      return writer.frame(notes.length > 0 ? { ...frame, comment: notes.join("\n") } : frame);
    });
    return Buffer.concat([writer.start(), ...blocks]);
  }

  /** Ends the demonstration, and the watching of whatever is watched. */
  stop(): Promise<void> {
    return this.#inTurn(() => this.#end());
  }

  #inTurn(action: () => Promise<void>): Promise<void> {
    const done = this.#busy.then(action).finally(() => this.#changed());
    this.#busy = done.catch(() => undefined); // the caller hears of it; the next one starts anyway
    return done;
  }

  #begin(server: LinkPart): Promise<PortMonitor> {
    const { port } = parseAddress(server.address, "address");
    return PortMonitor.begin({ server, port, clock: this.#clock, onChange: () => this.#changed() });
  }

  async #end(): Promise<void> {
    this.#monitor?.close();
    this.#monitor = undefined;
    const demonstration = this.#demonstration;
    this.#demonstration = undefined;
    await demonstration?.close();
  }

  #note(text: string): void {
    this.#monitor?.lifeline.note(text, this.#clock.wallMs(), "tapped");
    this.#changed();
  }

  /** Gathers what changes within a fifth of a second into one telling. */
  #changed(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    this.#clock.at(this.#clock.now() + LAB_TELL_MS, () => {
      this.#isTelling = false;
      this.#tell(this.state());
    });
  }

  #running(): Demonstration {
    if (!this.#demonstration) throw new UsageError("DASHBOARD_NOT_THERE", "Cannot act on the peer: no demonstration runs");
    return this.#demonstration;
  }
}
