/** ● The wire's door for the dashboard and the command. */
export { CaptureReader } from "./capture-file.ts";
export { capture } from "./capture.ts";
export type { Capture } from "./capture.ts";
export { jsonOf, lineOf, newsLineOf, summaryOf } from "./describe.ts";
export type { Frame, Source } from "./frame.ts";
export { KernelMarks } from "./kernel-marks.ts";
export type { KernelLook } from "./kernel-marks.ts";
export { onKernelNews } from "./kernel-source.ts";
export type { KernelNews } from "./kernel-source.ts";
export { Ladder } from "./ladder.ts";
export type { Protocol } from "./message.ts";
export { PcapngWriter } from "./pcapng.ts";
export { showBytes } from "./show.ts";
export { onTappedFrames } from "./tap-source.ts";
export { RETRANSMISSIONS } from "./tcp-analysis.ts";
export { Wire } from "./wire.ts";
export type { Packet } from "./wire.ts";
