/**
 * ● Packets of this machine, from tcpdump or, where that is missing, dumpcap. They need the permission to capture (root, or
 * CAP_NET_RAW on the tool); without it `capture` says so and the caller falls back to the tap and the kernel's counters.
 */
import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { OperationError, codeOf } from "../../core/errors.ts";
import { CaptureReader } from "./capture-reader.ts";
import type { CapturedFrame } from "../captured-frame.ts";

export interface CaptureOptions {
  /** Server ports to listen for, at least one. */
  readonly ports: readonly number[];
  /** Network interface; default "any" on Linux, "lo0" elsewhere. */
  readonly interface?: string;
  readonly signal?: AbortSignal;
}

/** A capture under way. */
export interface Capture extends AsyncIterable<CapturedFrame> {
  /** Which tool captures. */
  readonly tool: string;
  /** Stops; the frames captured so far still come. */
  stop(): void;
  /** What the tool said at its end: counts of packets captured and dropped. */
  readonly closing: string;
}

type Tool = ChildProcessByStdio<null, Readable, Readable>;

/** 4 MiB of kernel buffer: a second of 10,000 packets of the memcached kind, should this process be busy. */
const KERNEL_BUFFER_KIB = 4096;

/** 5 s until the tool says that it listens; it takes about 50 ms. */
const START_MS_MAX = 5000;

/**
 * Starts capturing. Resolves when the tool listens, so that what is sent next is seen.
 *
 * @throws OperationError WIRE_CAPTURE_FAILED when no tool is there or it may not capture
 */
export async function capture({ ports, interface: on, signal }: CaptureOptions): Promise<Capture> {
  const filter = ports.map((port) => `tcp port ${port}`).join(" or ");
  const device = on ?? (process.platform === "linux" ? "any" : "lo0");
  const tools: [string, string[]][] = [
    ["tcpdump", ["-i", device, "-n", "-U", "--immediate-mode", "-B", `${KERNEL_BUFFER_KIB}`, "-s", "0", "-w", "-", filter]],
    ["dumpcap", ["-i", device, "-q", "-w", "-", "-f", filter]],
  ];
  const refusals: string[] = [];
  for (const [name, args] of tools) {
    const child = spawn(name, args, { stdio: ["ignore", "pipe", "pipe"] });
    const stderr = collect(child);
    const refusal = await listening(child, stderr);
    if (refusal === undefined) return running(name, child, stderr, signal);
    refusals.push(`${name}: ${refusal}`);
  }
  throw new OperationError("WIRE_CAPTURE_FAILED", `Cannot capture packets: ${refusals.join("; ")}`);
}

function collect(child: Tool): { text: string } {
  const stderr = { text: "" };
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr.text = (stderr.text + text).slice(-4096)));
  return stderr;
}

/** Undefined once the tool listens; else why it does not. */
async function listening(child: Tool, stderr: { text: string }): Promise<string | undefined> {
  const settled = Promise.withResolvers<string | undefined>();
  const timer = setTimeout(() => settled.resolve("it did not start in time"), START_MS_MAX);
  child.stderr.on("data", () => {
    // tcpdump: "listening on …"; dumpcap: "Capturing on …" and then "File: -"
    if (/listening on|File: /i.test(stderr.text)) settled.resolve(undefined);
  });
  child.once("error", (error) => settled.resolve(codeOf(error) === "ENOENT" ? "not installed" : error.message));
  child.once("close", () => settled.resolve(stderr.text.trim().replaceAll("\n", " ") || "it ended at once"));
  const refusal = await settled.promise;
  clearTimeout(timer);
  if (refusal !== undefined) child.kill();
  return refusal;
}

function running(tool: string, child: Tool, stderr: { text: string }, signal?: AbortSignal): Capture {
  const stop = (): void => void child.kill("SIGINT");
  if (signal?.aborted) stop();
  else signal?.addEventListener("abort", stop, { once: true });
  return {
    tool,
    stop,
    get closing() {
      return stderr.text.trim();
    },
    async *[Symbol.asyncIterator]() {
      const reader = new CaptureReader();
      try {
        for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
          reader.push(chunk);
          for (let frame = reader.next(); frame; frame = reader.next()) yield frame;
        }
        if (child.exitCode === null && child.signalCode === null) await once(child, "close");
      } finally {
        signal?.removeEventListener("abort", stop);
        stop();
      }
    },
  };
}
