/**
 * ● Captures packets of this machine with tcpdump or, where that is missing, dumpcap. Capturing needs root, or CAP_NET_RAW on the
 * tool; without it `capture` throws, and the caller falls back to the tap and the kernel's counters.
 */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { OperationError, codeOf } from "../../core/errors.ts";
import { CaptureReader } from "./capture-reader.ts";
import type { CapturedFrame } from "../captured-frame.ts";

export interface CaptureOptions {
  /** Server ports to capture, at least one. */
  readonly ports: readonly number[];
  /** Only the connection between these two addresses ("127.0.0.1:7000"): of others the tool is given nothing. */
  readonly between?: readonly [string, string] | undefined;
  /** Network interface; default "any" on Linux, "lo0" elsewhere. */
  readonly interface?: string;
  readonly signal?: AbortSignal;
}

/** A running capture. */
export interface Capture extends AsyncIterable<CapturedFrame> {
  /** The tool that captures. */
  readonly tool: string;
  /** Stops; frames captured so far are still delivered. */
  stop(): void;
  /** The tool's final output: counts of packets captured and dropped. */
  readonly closing: string;
}

type Tool = ChildProcessByStdio<null, Readable, Readable>;

/** 4 MiB of kernel buffer: 10,000 small packets, should this process be busy for a second. */
const KERNEL_BUFFER_KIB = 4096;

/** 5 s until the tool has started; usually 50 ms. */
const START_MS_MAX = 5000;

/**
 * Starts capturing. Resolves once all further packets are captured.
 *
 * @throws OperationError WIRE_CAPTURE_FAILED when no tool is installed or it is not permitted to capture
 */
export async function capture({ ports, between, interface: on, signal }: CaptureOptions): Promise<Capture> {
  const filter = (between && filterOf(between)) ?? ports.map((port) => `tcp port ${port}`).join(" or ");
  const device = on ?? (process.platform === "linux" ? "any" : "lo0");
  const tools: [string, string[]][] = [
    ["tcpdump", ["-i", device, "-n", "-U", "--immediate-mode", "-B", `${KERNEL_BUFFER_KIB}`, "-s", "0", "-w", "-", filter]],
    ["dumpcap", ["-i", device, "-q", "-w", "-", "-f", filter]],
  ];
  const reasons: string[] = [];
  for (const [name, args] of tools) {
    const child = spawn(name, args, { stdio: ["ignore", "pipe", "pipe"] });
    const stderr = collect(child);
    const reason = await started(child, stderr);
    if (reason === undefined) return running(name, child, stderr, signal);
    reasons.push(`${name}: ${reason}`);
  }
  throw new OperationError("WIRE_CAPTURE_FAILED", `Cannot capture packets: ${reasons.join("; ")}`);
}

/** One connection in libpcap's words, either way; undefined where an end has no address. */
function filterOf(ends: readonly [string, string]): string | undefined {
  const [a, b] = ends.map((end) => /^\[?([\da-f.:]+?)(?:%[^\]]*)?\]?:(\d+)$/i.exec(end));
  if (!a || !b) return undefined;
  const way = (from: RegExpExecArray, to: RegExpExecArray): string =>
    `(src host ${from[1]} and src port ${from[2]} and dst host ${to[1]} and dst port ${to[2]})`;
  return `tcp and (${way(a, b)} or ${way(b, a)})`;
}

function collect(child: Tool): { text: string } {
  const stderr = { text: "" };
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr.text = (stderr.text + text).slice(-4096)));
  return stderr;
}

/** Undefined once the tool captures; else the reason why it does not. */
async function started(child: Tool, stderr: { text: string }): Promise<string | undefined> {
  const settled = Promise.withResolvers<string | undefined>();
  const timer = setTimeout(() => settled.resolve("it did not start in time"), START_MS_MAX);
  child.stderr.on("data", () => {
    // tcpdump: "listening on …"; dumpcap: "Capturing on …" and then "File: -"
    if (/listening on|File: /i.test(stderr.text)) settled.resolve(undefined);
  });
  child.once("error", (error) => settled.resolve(codeOf(error) === "ENOENT" ? "not installed" : error.message));
  child.once("close", () => settled.resolve(stderr.text.trim().replaceAll("\n", " ") || "it exited immediately"));
  const reason = await settled.promise;
  clearTimeout(timer);
  if (reason !== undefined) child.kill();
  return reason;
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
