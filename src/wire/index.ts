/** ● Entry point of packet analysis, for the dashboard and the command. */
export { CaptureReader } from "./capture/capture-reader.ts";
export { capture } from "./capture/capture.ts";
export type { Capture } from "./capture/capture.ts";
export { jsonOf, lineOf, kernelEventLineOf, summaryOf } from "./analysis/packet-text.ts";
export type { CapturedFrame, Source } from "./captured-frame.ts";
export { KernelMarks } from "./keep-alive/kernel-marks.ts";
export type { KernelSample } from "./keep-alive/kernel-marks.ts";
export { onKernelEvents } from "./keep-alive/kernel-events.ts";
export type { KernelEvent } from "./keep-alive/kernel-events.ts";
export { Ladder } from "./analysis/ladder.ts";
export type { Protocol } from "./decode/decoded-message.ts";
export { PcapngWriter } from "./capture/pcapng.ts";
export { showBytes } from "./decode/show.ts";
export { onTappedFrames } from "./capture/tap-source.ts";
export { RETRANSMISSIONS } from "./tcp/tcp-analysis.ts";
export { PacketAnalyzer } from "./analysis/packet-analyzer.ts";
export type { Packet } from "./analysis/packet-analyzer.ts";
