/** ● The wire's door for the dashboard and the command. */
export { CaptureReader } from "./capture-file.ts";
export { capture } from "./capture.ts";
export type { Capture, CaptureOptions } from "./capture.ts";
export { jsonOf, lineOf, summaryOf, toneOf } from "./describe.ts";
export type { PacketJson, Tone } from "./describe.ts";
export type { Frame, Source } from "./frame.ts";
export { KernelMarks } from "./kernel-marks.ts";
export type { KernelLook, KernelMark } from "./kernel-marks.ts";
export { Ladder } from "./ladder.ts";
export type { Message, Protocol } from "./message.ts";
export { PcapngWriter } from "./pcapng.ts";
export { showBytes, showText } from "./show.ts";
export { onTappedFrames } from "./tap-source.ts";
export { RETRANSMISSIONS } from "./tcp-analysis.ts";
export type { Mark } from "./tcp-analysis.ts";
export { Wire } from "./wire.ts";
export type { Packet, TcpPacket } from "./wire.ts";
