/**
 * ○ memcached's framing of UDP: 8 bytes before each datagram (request id, number of this datagram, how many there are, zero). A
 * request must be one datagram; a reply is cut into as many as it needs.
 */
const HEADER_BYTES = 8;

/** 1400: memcached's UDP_MAX_PAYLOAD_SIZE, header included; fits an Ethernet frame even within a tunnel. */
const DATAGRAM_BYTES_MAX = 1400;

const PAYLOAD_BYTES_MAX = DATAGRAM_BYTES_MAX - HEADER_BYTES;

/** 65,535 datagrams: their number has 16 bits. */
export const UDP_REPLY_BYTES_MAX = 65_535 * PAYLOAD_BYTES_MAX;

/** Where a request's command starts in its datagram; undefined for what is none: too short, or one part of several. */
export function requestStart(datagram: Uint8Array): number | undefined {
  if (datagram.length <= HEADER_BYTES) return undefined;
  return datagram[4] === 0 && datagram[5] === 1 ? HEADER_BYTES : undefined;
}

/** The datagrams of a reply to a request, in order. */
export function replyDatagrams(request: Uint8Array, reply: Uint8Array): Uint8Array[] {
  const total = Math.ceil(reply.length / PAYLOAD_BYTES_MAX);
  return Array.from({ length: total }, (_, index) => {
    const part = reply.subarray(index * PAYLOAD_BYTES_MAX, (index + 1) * PAYLOAD_BYTES_MAX);
    const datagram = new Uint8Array(HEADER_BYTES + part.length);
    datagram.set([request[0]!, request[1]!, index >>> 8, index & 0xff, total >>> 8, total & 0xff, 0, 0]);
    datagram.set(part, HEADER_BYTES);
    return datagram;
  });
}
