/**
 * ● The packet source of `holdfast wire`: a file; the network, where capturing is permitted; else the tap of a running `holdfast up`
 * and the kernel's connection table, which together show everything except answered keep-alive probes.
 */
import { createReadStream } from "node:fs";
import { addAbortSignal } from "node:stream";
import { OperationError, codeOf, messageOf } from "../../core/errors.ts";
import { CaptureReader, capture, onKernelEvents } from "../../wire/index.ts";
import type { Capture, CapturedFrame, KernelEvent } from "../../wire/index.ts";

export interface PacketSource {
  readonly frames: AsyncIterable<CapturedFrame>;
  /** Set while packets are captured. */
  readonly live?: Capture;
}

export interface PacketSourceOptions {
  readonly ports: readonly number[];
  readonly interface: string | undefined;
  /** The dashboard's address of a running `holdfast up`. */
  readonly dashboard: string;
  readonly dashboardToken: string | undefined;
  readonly signal: AbortSignal;
  readonly onEvent: (event: KernelEvent) => void;
}

/** @throws OperationError WIRE_CAPTURE_FAILED when neither packets, tap nor kernel table are available */
export async function openNetwork(wanted: PacketSourceOptions): Promise<PacketSource> {
  const { ports, signal } = wanted;
  try {
    const on = wanted.interface === undefined ? {} : { interface: wanted.interface };
    const live = await capture({ ports, signal, ...on });
    process.stderr.write(`capturing with ${live.tool} on port ${ports.join(", ")}; Ctrl-C stops\n`);
    return { frames: live, live };
  } catch (error) {
    if (!(error instanceof OperationError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return openWithoutCapture(wanted, error);
  }
}

async function openWithoutCapture(wanted: PacketSourceOptions, why: OperationError): Promise<PacketSource> {
  const tapped = await openTap(wanted);
  const stop = onKernelEvents(wanted.ports, wanted.onEvent);
  if (!tapped && !stop) throw why;
  if (stop) wanted.signal.addEventListener("abort", stop, { once: true });
  const shown = [
    tapped && `the traffic of the servers at ${wanted.dashboard} (tapped)`,
    stop && "the kernel's keep-alive counters",
  ];
  process.stderr.write(`falling back to: ${shown.filter(Boolean).join(" and ")}; Ctrl-C stops\n`);
  return { frames: tapped ?? untilAborted(wanted.signal) };
}

async function openTap({
  dashboard,
  dashboardToken,
  signal,
}: PacketSourceOptions): Promise<AsyncIterable<CapturedFrame> | undefined> {
  const headers = dashboardToken === undefined ? {} : { Authorization: `Bearer ${dashboardToken}` };
  try {
    const response = await fetch(`http://${dashboard}/api/wire.pcapng`, { headers, signal });
    if (response.ok && response.body) return tappedFrames(response.body);
    process.stderr.write(`the dashboard at ${dashboard} answered ${response.status}\n`);
  } catch (error) {
    if (signal.aborted) return undefined;
    process.stderr.write(`no holdfast dashboard at ${dashboard} (${messageOf((error as Error).cause ?? error)})\n`);
  }
  return undefined;
}

async function* tappedFrames(body: AsyncIterable<Uint8Array>): AsyncGenerator<CapturedFrame> {
  try {
    for await (const frame of framesIn(body)) yield { ...frame, source: "tapped" };
  } catch (error) {
    if (error instanceof Error && error.name === "AbortError") return;
    throw error;
  }
}

/** Frames of a pcap or pcapng file; "-" is stdin. Ends at the signal. */
export function framesOfFile(path: string, signal: AbortSignal): AsyncGenerator<CapturedFrame> {
  return framesIn(chunksOfFile(path, signal));
}

/** A file's bytes; "-" is stdin. Ends at the signal. @throws OperationError WIRE_CAPTURE_FAILED */
export async function* chunksOfFile(path: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const source = path === "-" ? process.stdin : createReadStream(path);
  addAbortSignal(signal, source);
  try {
    yield* source as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (signal.aborted) return;
    if (codeOf(error)?.startsWith("E")) throw new OperationError("WIRE_CAPTURE_FAILED", messageOf(error), { cause: error });
    throw error;
  }
}

async function* framesIn(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<CapturedFrame> {
  const reader = new CaptureReader();
  for await (const chunk of chunks) {
    reader.push(chunk);
    for (let frame = reader.next(); frame; frame = reader.next()) yield frame;
  }
  if (reader.unfinished) process.stderr.write("holdfast wire: the capture ends inside a packet\n");
}

/** No frames; ends at the signal. */
async function* untilAborted(signal: AbortSignal): AsyncGenerator<CapturedFrame> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  yield* [];
}
