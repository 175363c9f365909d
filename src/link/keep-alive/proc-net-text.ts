/**
 * ○ Reads the text of /proc/net/tcp and tcp6: per connection which timer the kernel runs, when it fires and how many probes went
 * unanswered. Layout: Documentation/networking/proc_net_tcp.rst, get_tcp4_sock() in net/ipv4/tcp_ipv4.c.
 */

/** A connection's row. */
export interface KernelTimer {
  /** What the timer that runs is for; "keep-alive" only while no data is in flight. */
  readonly timer: "none" | "retransmit" | "keep-alive" | "time-wait" | "zero-window";
  readonly firesInMs: number;
  /** Until the next keep-alive probe; undefined when another timer runs. */
  readonly keepAliveInMs: number | undefined;
  /** Keep-alive or zero-window probes not answered yet. */
  readonly unanswered: number;
  readonly established: boolean;
  /** Bytes sent or to be sent that the peer has not acknowledged. */
  readonly unacknowledgedBytes: number;
}

/** The two ends of a connection as Node names them. */
export interface Ends {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
}

const TIMERS = ["none", "retransmit", "keep-alive", "time-wait", "zero-window"] as const;
const ESTABLISHED = 1;

/** The key of a connection: both ends as the kernel writes them. IPv4-mapped IPv6 addresses count as IPv4. */
export function endKey({ localAddress, localPort, remoteAddress, remotePort }: Ends): string {
  return `${hexAddress(localAddress)}:${hexPort(localPort)} ${hexAddress(remoteAddress)}:${hexPort(remotePort)}`;
}

/** Rows by `endKey`. Lines that are no rows (the heading) are passed over. */
export function* parseProcNetTcp(text: string): Generator<[string, KernelTimer]> {
  const row =
    /^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]{2}) ([0-9A-F]+):[0-9A-F]+ ([0-9A-F]{2}):([0-9A-F]+) [0-9A-F]+\s+\d+\s+(\d+)/gm;
  for (const [, local, localPort, remote, remotePort, state, unsent, kind, when, unanswered] of text.matchAll(row)) {
    const timer = TIMERS[Number.parseInt(kind!, 16)] ?? "none";
    const firesInMs = Number.parseInt(when!, 16) * 10; // in 1/100 s (USER_HZ)
    const entry: KernelTimer = {
      timer,
      firesInMs,
      keepAliveInMs: timer === "keep-alive" ? firesInMs : undefined,
      unanswered: Number(unanswered),
      established: Number.parseInt(state!, 16) === ESTABLISHED,
      unacknowledgedBytes: Number.parseInt(unsent!, 16),
    };
    yield [`${withoutMapping(local!)}:${localPort} ${withoutMapping(remote!)}:${remotePort}`, entry];
  }
}

/** ::ffff:a.b.c.d as the kernel writes it. */
const MAPPED = "0000000000000000FFFF0000";

function withoutMapping(hex: string): string {
  return hex.startsWith(MAPPED) ? hex.slice(MAPPED.length) : hex;
}

function hexPort(port: number): string {
  return hex(port, 4);
}

/** The kernel prints addresses as 32-bit words of the machine; all machines that Node runs Linux on are little-endian but s390x. */
function hexAddress(address: string): string {
  const bare = address.replace(/%.*$/, "");
  const v4 = /^(?:::ffff:)?(\d+)\.(\d+)\.(\d+)\.(\d+)$/i.exec(bare);
  if (v4) return [v4[4], v4[3], v4[2], v4[1]].map((part) => hex(Number(part), 2)).join("");
  const [head, tail] = bare.split("::") as [string, string?];
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const groups = [...front, ...new Array<string>(8 - front.length - back.length).fill("0"), ...back];
  const bytes = groups.flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 255];
  });
  let text = "";
  for (let word = 0; word < 16; word += 4) {
    for (let index = 3; index >= 0; index -= 1) text += hex(bytes[word + index]!, 2);
  }
  return text;
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}
