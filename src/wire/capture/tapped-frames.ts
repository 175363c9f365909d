/**
 * ○ Frames made of the bytes that our own servers read and write: payload and times are real, IP and TCP headers are synthetic,
 * which each frame's source and comment say. Analysis, ladder diagram and pcapng thus work where capturing is not permitted.
 */
import { EMPTY } from "../../core/bytes.ts";
import type { TapEvent } from "../../core/tap.ts";
import { LINK_TYPE, viewOf, type CapturedFrame } from "../captured-frame.ts";
import { TCP_FLAG } from "../tcp/tcp-segment.ts";
import { CONVERSATIONS_MAX } from "../limits.ts";

/** Fits into an IP packet with its headers, in whole KiB. */
const PAYLOAD_BYTES_MAX = 60 * 1024;
const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const TCP_HEADER_BYTES = 20;

interface End {
  /** 4 or 16 octets. */
  readonly host: Uint8Array;
  readonly port: number;
}

interface Tapped {
  readonly local: End;
  readonly remote: End;
  localSequence: number;
  remoteSequence: number;
}

/** Turns tap events into frames, with sequence numbers per connection. */
export class TappedFrames {
  readonly #connections = new Map<string, Tapped>();
  readonly #isServerPort: (port: number) => boolean;
  #named = 0;

  /** @param isServerPort true for a listening port: the other end is the client */
  constructor(isServerPort: (port: number) => boolean) {
    this.#isServerPort = isServerPort;
  }

  /** The frames of an event. */
  frames(event: TapEvent): CapturedFrame[] {
    const key = `${event.local} ${event.remote}`;
    const known = this.#connections.get(key);
    const tapped = known ?? this.#open(key, event);
    const opening = known ? [] : this.#handshake(tapped, event);
    if (event.kind === "open") return opening;
    if (event.kind === "close") {
      this.#connections.delete(key);
      return [...opening, segment(tapped, event, { fromLocal: endedHere(event), flags: endFlags(event) })];
    }
    const fields = { fromLocal: event.kind === "out", flags: TCP_FLAG.psh | TCP_FLAG.ack };
    const payloads = parts(event.bytes ?? EMPTY);
    return [...opening, ...payloads.map((payload) => segment(tapped, event, { ...fields, payload }))];
  }

  #open(key: string, { local, remote }: TapEvent): Tapped {
    const tapped = { local: this.#end(local), remote: this.#end(remote), localSequence: 0, remoteSequence: 0 };
    this.#connections.set(key, tapped);
    if (this.#connections.size > CONVERSATIONS_MAX) this.#connections.delete(this.#connections.keys().next().value!);
    return tapped;
  }

  #handshake(tapped: Tapped, event: TapEvent): CapturedFrame[] {
    const localOpened = !this.#isServerPort(tapped.local.port) && tapped.local.port > tapped.remote.port;
    return [
      segment(tapped, event, { fromLocal: localOpened, flags: TCP_FLAG.syn }),
      segment(tapped, event, { fromLocal: !localOpened, flags: TCP_FLAG.syn | TCP_FLAG.ack }),
      segment(tapped, event, { fromLocal: localOpened, flags: TCP_FLAG.ack }),
    ];
  }

  /** A unix socket has no address; it gets one of 0.0.0.0/8, which no network uses. */
  #end(address: string): End {
    const colon = address.lastIndexOf(":");
    const host = colon < 0 ? undefined : hostOctets(address.slice(0, colon));
    if (host) return { host, port: Number(address.slice(colon + 1)) & 0xffff };
    this.#named = (this.#named + 1) & 0xffff;
    return { host: Uint8Array.of(0, 0, this.#named >> 8, this.#named & 0xff), port: 0 };
  }
}

/** Whether the local end closed the connection: not if the reason is the peer's FIN or RST. */
function endedHere({ reason }: TapEvent): boolean {
  return reason !== "fin" && reason !== "rst";
}

function endFlags({ reason }: TapEvent): number {
  const abrupt = reason === "rst" || reason?.endsWith("timeout") === true || reason === "heartbeat";
  return abrupt ? TCP_FLAG.rst | TCP_FLAG.ack : TCP_FLAG.fin | TCP_FLAG.ack;
}

function parts(bytes: Uint8Array): Uint8Array[] {
  const cut: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += PAYLOAD_BYTES_MAX) cut.push(bytes.subarray(at, at + PAYLOAD_BYTES_MAX));
  return cut;
}

interface SegmentFields {
  readonly fromLocal: boolean;
  readonly flags: number;
  readonly payload?: Uint8Array;
}

function segment(tapped: Tapped, event: TapEvent, { fromLocal, flags, payload = EMPTY }: SegmentFields): CapturedFrame {
  const [from, to] = fromLocal ? [tapped.local, tapped.remote] : [tapped.remote, tapped.local];
  const tcp = new Uint8Array(TCP_HEADER_BYTES + payload.length);
  const view = viewOf(tcp);
  view.setUint16(0, from.port);
  view.setUint16(2, to.port);
  view.setUint32(4, fromLocal ? tapped.localSequence : tapped.remoteSequence);
  view.setUint32(8, (flags & TCP_FLAG.ack) === 0 ? 0 : fromLocal ? tapped.remoteSequence : tapped.localSequence);
  view.setUint8(12, (TCP_HEADER_BYTES / 4) << 4);
  view.setUint8(13, flags);
  view.setUint16(14, 0xffff);
  tcp.set(payload, TCP_HEADER_BYTES);
  const advanced = payload.length + ((flags & (TCP_FLAG.syn | TCP_FLAG.fin)) !== 0 ? 1 : 0);
  if (fromLocal) tapped.localSequence = (tapped.localSequence + advanced) >>> 0;
  else tapped.remoteSequence = (tapped.remoteSequence + advanced) >>> 0;
  const bytes = from.host.length === 4 && to.host.length === 4 ? inIpv4(from, to, tcp) : inIpv6(from, to, tcp);
  const reason = event.reason === undefined ? "" : `; ended: ${event.reason}`;
  return {
    wallNs: BigInt(Math.round(event.wallMs * 1000)) * 1000n,
    bytes,
    originalLength: bytes.length,
    linkType: LINK_TYPE.raw,
    source: "tapped",
    comment: `tapped in the ${event.part} server: payload and time are real, IP and TCP headers are synthetic${reason}`,
  };
}

function inIpv4(from: End, to: End, tcp: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(IPV4_HEADER_BYTES + tcp.length);
  const view = viewOf(bytes);
  view.setUint8(0, 0x45);
  view.setUint16(2, bytes.length);
  view.setUint16(6, 0x4000);
  view.setUint8(8, 64);
  view.setUint8(9, 6);
  bytes.set(from.host, 12);
  bytes.set(to.host, 16);
  view.setUint16(10, checksum([bytes.subarray(0, IPV4_HEADER_BYTES)]));
  bytes.set(tcp, IPV4_HEADER_BYTES);
  view.setUint16(IPV4_HEADER_BYTES + 16, tcpChecksum(from.host, to.host, bytes.subarray(IPV4_HEADER_BYTES)));
  return bytes;
}

function inIpv6(from: End, to: End, tcp: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(IPV6_HEADER_BYTES + tcp.length);
  const view = viewOf(bytes);
  view.setUint8(0, 0x60);
  view.setUint16(4, tcp.length);
  view.setUint8(6, 6);
  view.setUint8(7, 64);
  const [source, destination] = [from.host, to.host].map(asIpv6) as [Uint8Array, Uint8Array];
  bytes.set(source, 8);
  bytes.set(destination, 24);
  bytes.set(tcp, IPV6_HEADER_BYTES);
  view.setUint16(IPV6_HEADER_BYTES + 16, tcpChecksum(source, destination, bytes.subarray(IPV6_HEADER_BYTES)));
  return bytes;
}

function asIpv6(host: Uint8Array): Uint8Array {
  return host.length === 16 ? host : Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...host);
}

/** Over the pseudo header (RFC 9293, 3.1): both addresses, the protocol's number and the length. */
function tcpChecksum(source: Uint8Array, destination: Uint8Array, tcp: Uint8Array): number {
  const tail = new Uint8Array(8);
  new DataView(tail.buffer).setUint32(0, tcp.length);
  tail[7] = 6;
  return checksum([source, destination, tail, tcp]);
}

/** The Internet checksum (RFC 1071). All pieces but the last are of even length. */
function checksum(pieces: readonly Uint8Array[]): number {
  let sum = 0;
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; at += 2) sum += (piece[at]! << 8) | (piece[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

/** Four or sixteen octets of an address as text, or undefined. */
function hostOctets(text: string): Uint8Array | undefined {
  const bare = text.replace(/^\[(.*)\]$/, "$1").replace(/%.*$/, "");
  const v4 = /^(?:::ffff:)?(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/i.exec(bare);
  if (v4) return Uint8Array.from(v4.slice(1), Number);
  if (!/^[0-9a-f:]+$/i.test(bare) || !bare.includes(":")) return undefined;
  const [head, tail] = bare.split("::") as [string, string?];
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = 8 - front.length - back.length;
  if (zeros < 0 || (tail === undefined && zeros !== 0)) return undefined;
  const groups = [...front, ...new Array<string>(zeros).fill("0"), ...back].map((group) => Number.parseInt(group, 16));
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}
