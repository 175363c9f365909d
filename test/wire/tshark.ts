/** tshark as the oracle: what it calls each packet of a file, and whether it complains. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { TcpMark } from "../../src/wire/tcp/tcp-analysis.ts";

const run = promisify(execFile);

/** Wireshark's field for each of our marks. */
const FIELDS: Readonly<Record<TcpMark, string>> = {
  "keep-alive": "keep_alive",
  "keep-alive-ack": "keep_alive_ack",
  retransmission: "retransmission",
  "fast-retransmission": "fast_retransmission",
  "spurious-retransmission": "spurious_retransmission",
  "out-of-order": "out_of_order",
  "lost-segment": "lost_segment",
  "duplicate-ack": "duplicate_ack",
  "zero-window": "zero_window",
  "zero-window-probe": "zero_window_probe",
  "zero-window-probe-ack": "zero_window_probe_ack",
  "window-update": "window_update",
  "window-full": "window_full",
  "acked-unseen": "ack_lost_segment",
};

export interface Dissected {
  readonly marks: readonly TcpMark[];
  readonly comment: string;
  readonly epoch: string;
}

/** One entry a packet. Rejects when tshark says anything about the file. */
export async function dissect(file: string): Promise<Dissected[]> {
  const marks = Object.keys(FIELDS) as TcpMark[];
  const wanted = ["frame.time_epoch", "frame.comment", ...marks.map((mark) => `tcp.analysis.${FIELDS[mark]}`)];
  const args = ["-n", "-r", file, "-T", "fields", "-E", "separator=/t", ...wanted.flatMap((field) => ["-e", field])];
  const { stdout, stderr } = await run("tshark", args, { maxBuffer: 64 * 1024 * 1024 });
  const complaints = stderr.split("\n").filter((line) => line !== "" && !line.startsWith("Running as user"));
  if (complaints.length > 0) throw new Error(`tshark complains: ${complaints.join("; ")}`);
  const rows = stdout.split("\n").slice(0, -1);
  return rows.map((row) => {
    const [epoch, comment, ...found] = row.split("\t");
    const named = marks.filter((_, index) => found[index] !== "");
    return { epoch: epoch!, comment: comment!, marks: withoutGeneral(named) };
  });
}

/** Wireshark marks fast and spurious retransmissions as retransmissions too. */
function withoutGeneral(marks: readonly TcpMark[]): TcpMark[] {
  const special = marks.includes("fast-retransmission") || marks.includes("spurious-retransmission");
  return marks.filter((mark) => !special || mark !== "retransmission");
}
