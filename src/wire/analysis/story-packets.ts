/** ○ The packets of a capture that are about one thing, a task or a peer, as lines of its story: for `holdfast story --read` and the page. */
import { hostOf } from "../../core/address.ts";
import { CaptureReader } from "../capture/capture-reader.ts";
import { PacketAnalyzer, type Packet } from "./packet-analyzer.ts";
import { summaryOf } from "./packet-text.ts";
import type { StoryPacket } from "./story-steps.ts";

/** 500 packets: a task has five or six messages, a peer that is looked into some hundred. */
const PACKETS_MAX = 500;

export class StoryPackets {
  readonly #reader = new CaptureReader();
  readonly #analyzer = new PacketAnalyzer();
  readonly #isAbout: (packet: Packet) => boolean;
  readonly #found: StoryPacket[] = [];
  #more = 0;

  constructor(isAbout: (packet: Packet) => boolean) {
    this.#isAbout = isAbout;
  }

  /** The next bytes of a pcap or pcapng file. @throws ProtocolError WIRE_CAPTURE_UNREADABLE */
  push(bytes: Uint8Array): void {
    this.#reader.push(bytes);
    for (let frame = this.#reader.next(); frame; frame = this.#reader.next()) {
      const packet = this.#analyzer.packet(frame);
      if (!this.#isAbout(packet)) continue;
      if (this.#found.length === PACKETS_MAX) this.#more += 1;
      else this.#found.push(stepOf(packet));
    }
  }

  get found(): readonly StoryPacket[] {
    return this.#found;
  }

  /** What is not among them, in a sentence; undefined: nothing. */
  get missing(): string | undefined {
    const cut = this.#reader.unfinished ? "The capture ends inside a packet" : undefined;
    return this.#more > 0 ? `${this.#more} more packets after the first ${PACKETS_MAX}` : cut;
  }
}

function stepOf(packet: Packet): StoryPacket {
  const { tcp, wallNs, number } = packet;
  const ends = tcp!.side === "client" ? `${tcp!.client} → ${tcp!.server}` : `${tcp!.server} → ${tcp!.client}`;
  return { atMs: Number(wallNs / 1000n) / 1000, what: "packet", text: `packet ${number}: ${ends} ${summaryOf(packet)}` };
}

/** Packets about a task. A batch names the numbers of its tasks, a single message the id or, as a lease, number and token. */
export function aboutTask(id: string): (packet: Packet) => boolean {
  const number = Number(id.slice(id.lastIndexOf("-") + 1));
  const names = (text: string): boolean => text.split(" ").some((word) => word === id || word.startsWith(`${number}.`));
  return ({ tcp }) =>
    (tcp?.messages ?? []).some(
      ({ protocol, text, tasks }) => protocol === "queue" && (tasks?.includes(number) || (tasks === undefined && names(text))),
    );
}

/** Packets of connections that one of these is an end of: addresses, or hosts. */
export function ofPeers(peers: ReadonlySet<string>): (packet: Packet) => boolean {
  const isOne = (address: string): boolean => peers.has(address) || peers.has(hostOf(address));
  return ({ tcp }) => tcp !== undefined && (isOne(tcp.client) || isOne(tcp.server));
}
