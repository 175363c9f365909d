/** ● The wire's door for the dashboard and the command. */
export { CaptureReader } from "./capture/capture-reader.ts";
export { capture } from "./capture/capture.ts";
export type { Capture } from "./capture/capture.ts";
export { jsonOf, lineOf, newsLineOf, summaryOf } from "./analysis/packet-text.ts";
export type { Frame, Source } from "./captured-frame.ts";
export { KernelMarks } from "./keep-alive/kernel-marks.ts";
export type { KernelLook } from "./keep-alive/kernel-marks.ts";
export { onKernelNews } from "./keep-alive/kernel-events.ts";
export type { KernelNews } from "./keep-alive/kernel-events.ts";
export { Ladder } from "./analysis/ladder.ts";
export type { Protocol } from "./decode/decoded-message.ts";
export { PcapngWriter } from "./capture/pcapng.ts";
export { showBytes } from "./decode/show.ts";
export { onTappedFrames } from "./capture/tap-source.ts";
export { RETRANSMISSIONS } from "./tcp/tcp-analysis.ts";
export { Wire } from "./analysis/packet-analyzer.ts";
export type { Packet } from "./analysis/packet-analyzer.ts";
