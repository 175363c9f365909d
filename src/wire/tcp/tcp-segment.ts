/**
 * ○ Parses a captured frame down to its TCP segment: link layer, IPv4 or IPv6, TCP header with the options that the analysis needs.
 * Never throws: the result of an unreadable frame has the reason.
 */
import { EMPTY } from "../../core/bytes.ts";
import { type CapturedFrame, LINK_TYPE } from "../captured-frame.ts";

export interface TcpSegment {
  /** "host:port", IPv6 hosts in brackets. */
  readonly from: string;
  readonly to: string;
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  /** From the header, not scaled. */
  readonly window: number;
  /** Shift count of the window scale option; only SYN segments carry one. */
  readonly windowScale?: number;
  /** The captured payload; `length` is its full length. */
  readonly payload: Uint8Array;
  readonly length: number;
}

/** A frame without a readable TCP segment: another protocol, or damaged. */
export interface UnreadableFrame {
  readonly unreadable: string;
}

export const TCP_FLAG = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const;

const ETHER = { ipv4: 0x0800, vlan: 0x8100, ipv6: 0x86dd, vlanOuter: 0x88a8 } as const;
const PROTOCOL = { hopByHop: 0, tcp: 6, udp: 17, routing: 43, fragment: 44, destination: 60 } as const;

/** Reads a frame down to its TCP segment. */
export function segmentOf(frame: CapturedFrame): TcpSegment | UnreadableFrame {
  const network = networkLayer(frame);
  if (!(network instanceof Uint8Array)) return network;
  const version = (network[0] ?? 0) >> 4;
  if (version === 4) return fromIpv4(network);
  return version === 6 ? fromIpv6(network) : { unreadable: `IP version ${version}` };
}

/** A frame up to its TCP payload; nothing of one that has no readable TCP segment. */
export function headersOf(frame: CapturedFrame): Uint8Array {
  const segment = segmentOf(frame);
  return "unreadable" in segment ? EMPTY : frame.bytes.subarray(0, segment.payload.byteOffset - frame.bytes.byteOffset);
}

function networkLayer({ bytes, linkType }: CapturedFrame): Uint8Array | UnreadableFrame {
  switch (linkType) {
    case LINK_TYPE.raw:
    case LINK_TYPE.rawOld:
    case LINK_TYPE.ipv4:
    case LINK_TYPE.ipv6:
      return bytes.length > 0 ? bytes : { unreadable: "empty packet" };
    case LINK_TYPE.ethernet:
      return afterEtherType(bytes, 12);
    case LINK_TYPE.sll:
      return afterEtherType(bytes, 14);
    case LINK_TYPE.sll2:
      return bytes.length < 20 ? { unreadable: "truncated in the link layer" } : fromEtherType(u16(bytes, 0), bytes, 20);
    case LINK_TYPE.null:
    case LINK_TYPE.loop:
      return bytes.length > 4 ? bytes.subarray(4) : { unreadable: "truncated in the link layer" };
    default:
      return { unreadable: `link type ${linkType}` };
  }
}

function afterEtherType(bytes: Uint8Array, typeAt: number): Uint8Array | UnreadableFrame {
  if (bytes.length < typeAt + 2) return { unreadable: "truncated in the link layer" };
  return fromEtherType(u16(bytes, typeAt), bytes, typeAt + 2);
}

/** Skips at most two VLAN tags (802.1ad). */
function fromEtherType(type: number, bytes: Uint8Array, start: number, tags = 0): Uint8Array | UnreadableFrame {
  if (type === ETHER.ipv4 || type === ETHER.ipv6) {
    return bytes.length > start ? bytes.subarray(start) : { unreadable: "truncated after the link layer" };
  }
  if ((type === ETHER.vlan || type === ETHER.vlanOuter) && tags < 2 && bytes.length >= start + 4) {
    return fromEtherType(u16(bytes, start + 2), bytes, start + 4, tags + 1);
  }
  return { unreadable: `ether type 0x${type.toString(16).padStart(4, "0")}` };
}

function fromIpv4(bytes: Uint8Array): TcpSegment | UnreadableFrame {
  const headerBytes = (bytes[0]! & 0x0f) * 4;
  if (headerBytes < 20 || bytes.length < headerBytes) return { unreadable: "truncated in the IPv4 header" };
  // Segmentation offload leaves a total length of zero in packets captured before they are split.
  const total = u16(bytes, 2) || bytes.length;
  if (total < headerBytes) return { unreadable: `IPv4 length ${total}` };
  if ((u16(bytes, 6) & 0x3fff) !== 0) return { unreadable: "IPv4 fragment" };
  const hosts = { from: ipv4(bytes, 12), to: ipv4(bytes, 16) };
  return fromProtocol(bytes[9]!, bytes.subarray(headerBytes, total), total - headerBytes, hosts);
}

function fromIpv6(bytes: Uint8Array): TcpSegment | UnreadableFrame {
  if (bytes.length < 40) return { unreadable: "truncated in the IPv6 header" };
  const total = 40 + (u16(bytes, 4) || bytes.length - 40);
  const hosts = { from: ipv6(bytes, 8), to: ipv6(bytes, 24) };
  let protocol = bytes[6]!;
  let at = 40;
  while (protocol === PROTOCOL.hopByHop || protocol === PROTOCOL.routing || protocol === PROTOCOL.destination) {
    if (at + 2 > bytes.length) return { unreadable: "truncated in the IPv6 options" };
    protocol = bytes[at]!;
    at += (bytes[at + 1]! + 1) * 8;
  }
  if (protocol === PROTOCOL.fragment) return { unreadable: "IPv6 fragment" };
  if (at > total || at > bytes.length) return { unreadable: "truncated in the IPv6 options" };
  return fromProtocol(protocol, bytes.subarray(at, total), total - at, hosts);
}

interface Hosts {
  readonly from: string;
  readonly to: string;
}

function fromProtocol(protocol: number, bytes: Uint8Array, length: number, hosts: Hosts): TcpSegment | UnreadableFrame {
  if (protocol === PROTOCOL.udp) return { unreadable: "UDP" };
  if (protocol !== PROTOCOL.tcp) return { unreadable: `IP protocol ${protocol}` };
  if (bytes.length < 20) return { unreadable: "truncated in the TCP header" };
  const headerBytes = (bytes[12]! >> 4) * 4;
  if (headerBytes < 20 || headerBytes > length) return { unreadable: `TCP header of ${headerBytes} bytes` };
  const windowScale = readWindowScale(bytes.subarray(20, headerBytes));
  return {
    from: `${hosts.from}:${u16(bytes, 0)}`,
    to: `${hosts.to}:${u16(bytes, 2)}`,
    sequence: u32(bytes, 4),
    acknowledgment: u32(bytes, 8),
    flags: bytes[13]!,
    window: u16(bytes, 14),
    ...(windowScale !== undefined && { windowScale }),
    payload: bytes.subarray(headerBytes),
    length: length - headerBytes,
  };
}

/** TCP options: kind 0 ends, kind 1 pads, all others have a length; kind 3 is the window scale (RFC 7323). */
function readWindowScale(options: Uint8Array): number | undefined {
  for (let at = 0; at < options.length;) {
    const kind = options[at]!;
    if (kind === 0) return undefined;
    if (kind === 1) {
      at += 1;
      continue;
    }
    const length = options[at + 1] ?? 0;
    if (length < 2) return undefined;
    if (kind === 3 && length === 3) return options[at + 2];
    at += length;
  }
  return undefined;
}

/** The names of the flags: "SYN ACK". */
export function showFlags(flags: number): string {
  const names = [
    [TCP_FLAG.syn, "SYN"],
    [TCP_FLAG.fin, "FIN"],
    [TCP_FLAG.rst, "RST"],
    [TCP_FLAG.psh, "PSH"],
    [TCP_FLAG.ack, "ACK"],
  ] as const;
  return names
    .filter(([bit]) => (flags & bit) !== 0)
    .map(([, name]) => name)
    .join(" ");
}

function ipv4(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

/** RFC 5952: lower case, the longest run of two or more zero groups as "::"; IPv4-mapped addresses as IPv4. */
function ipv6(bytes: Uint8Array, at: number): string {
  const groups = Array.from({ length: 8 }, (_, index) => u16(bytes, at + 2 * index));
  if (groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)) return ipv4(bytes, at + 12);
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start += 1) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length += 1;
    if (length > best.length) best = { start, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.start < 0) return `[${hex.join(":")}]`;
  return `[${hex.slice(0, best.start).join(":")}::${hex.slice(best.start + best.length).join(":")}]`;
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function u32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}
