/**
 * ○ Reads Linux's struct tcp_info (include/uapi/linux/tcp.h; little endian, like all machines that Node runs Linux on but s390x).
 * Kernels append fields: what an older kernel does not have reads as 0.
 */

/** What the kernel knows of one connection. */
export interface TcpInfo {
  /** 1 is ESTABLISHED. */
  readonly state: number;
  /** Retransmissions of the same data in a row. */
  readonly retransmits: number;
  /** Keep-alive or zero-window probes not answered yet. */
  readonly probes: number;
  /** Segments sent and not acknowledged. */
  readonly unacked: number;
  readonly lastDataSentMs: number;
  readonly lastDataReceivedMs: number;
  readonly lastAckReceivedMs: number;
  readonly rttMs: number;
  readonly totalRetransmits: number;
  /** Bytes that the peer acknowledged; its SYN counts as one. */
  readonly bytesAcked: number;
  readonly segmentsOut: number;
  readonly segmentsIn: number;
  /** Bytes written that no segment has carried yet. */
  readonly notSentBytes: number;
  readonly dataSegmentsOut: number;
  readonly dataSegmentsIn: number;
}

export function parseTcpInfo(bytes: Uint8Array): TcpInfo {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u8 = (at: number): number => (at < view.byteLength ? view.getUint8(at) : 0);
  const u32 = (at: number): number => (at + 4 <= view.byteLength ? view.getUint32(at, true) : 0);
  return {
    state: u8(0),
    retransmits: u8(2),
    probes: u8(3),
    unacked: u32(24),
    lastDataSentMs: u32(44),
    lastDataReceivedMs: u32(52),
    lastAckReceivedMs: u32(56),
    rttMs: u32(68) / 1000,
    totalRetransmits: u32(100),
    bytesAcked: u32(124) * 2 ** 32 + u32(120),
    segmentsOut: u32(136),
    segmentsIn: u32(140),
    notSentBytes: u32(144),
    dataSegmentsOut: u32(156),
    dataSegmentsIn: u32(152),
  };
}
