/**
 * What `bound` says against real kernels, in two network namespaces joined by a cable with a delay (support/delay-relay.py) and with
 * loss (nftables' numgen): each of ten settings, cut off in four ways. Takes about three minutes; needs root, iproute2, nft, Python and
 * /dev/net/tun. By hand:
 *
 *   node --conditions=holdfast-source test/link/bound-matrix.ts
 *
 * The small form of it is bound.test.ts.
 */
import { execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { bound, slackMs } from "../../src/link/index.ts";
import type { LabCommand, LabLine } from "./support/lab-server.ts";

interface Setting {
  /** Seconds, seconds and probes. */
  readonly keepAlive: readonly [idle: number, interval: number, count: number];
  readonly rttMs: number;
  /** Percent of all packets. */
  readonly loss: number;
  readonly userTimeout?: string;
}

export const SETTINGS: readonly Setting[] = [
  { keepAlive: [1, 1, 2], rttMs: 0, loss: 0 },
  { keepAlive: [1, 3, 2], rttMs: 0, loss: 0 },
  { keepAlive: [5, 10, 3], rttMs: 0, loss: 0 },
  { keepAlive: [2, 4, 3], rttMs: 200, loss: 0 },
  { keepAlive: [4, 2, 5], rttMs: 500, loss: 5 },
  { keepAlive: [3, 3, 4], rttMs: 1000, loss: 0 },
  { keepAlive: [5, 5, 4], rttMs: 2000, loss: 0 },
  { keepAlive: [2, 3, 6], rttMs: 100, loss: 20 },
  { keepAlive: [3, 4, 6], rttMs: 2000, loss: 10 },
  { keepAlive: [5, 10, 3], rttMs: 50, loss: 20, userTimeout: "12s" },
];

/** How a connection is cut off, and what `bound` calls the time until that is noticed. */
export const CUTS = {
  steady: "silentPeerMs",
  active: "silentPeerFirstMs",
  unacked: "unackedDataMs",
  "interface-down": "interfaceDownMs",
} as const;
export type Cut = keyof typeof CUTS;

export interface Measured {
  readonly setting: Setting;
  readonly cut: Cut;
  readonly boundMs: number;
  readonly tookMs: number;
  readonly latestMs: number;
  readonly reason: string;
}

const SERVER = "10.78.0.2";
const CLIENT = `
import socket, sys, time
s = socket.socket()
s.settimeout(60)
s.connect((sys.argv[1], int(sys.argv[2])))
s.sendall(b"x")
time.sleep(1000)
`;

/** Measures the settings, each cut off in each of the ways, all side by side; interfaces go down last. */
export async function measure(
  settings: readonly Setting[],
  cuts: readonly Cut[],
  told: (row: Measured) => void = () => {},
): Promise<Measured[]> {
  const [a, b] = [`hm${process.pid}a`, `hm${process.pid}b`];
  const children: { kill(signal: NodeJS.Signals): boolean }[] = [];
  const within = (namespace: string, ...args: string[]): void =>
    void execFileSync("ip", ["netns", "exec", namespace, ...args], { stdio: ["ignore", "ignore", "inherit"] });
  const trials = settings.flatMap((setting, index) =>
    cuts.map((cut, at) => ({ setting, cut, port: 20_000 + index * 10 + at, name: `${index} ${cut}` })),
  );
  for (const namespace of [a, b]) execFileSync("ip", ["netns", "add", namespace]);
  try {
    const relay = spawn(
      "/usr/bin/python3",
      [
        join(import.meta.dirname, "support/delay-relay.py"),
        a,
        `${SERVER}/24`,
        b,
        "10.78.0.1/24",
        ...trials.map(({ port, setting }) => `${port}=${setting.rttMs}`),
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    children.push(relay);
    await new Promise((resolve) => relay.stdout.once("data", resolve));
    within(a, "nft", "add table inet lab; add chain inet lab in { type filter hook input priority 0; }");
    for (const { port, setting } of trials) {
      if (setting.loss > 0)
        within(a, "nft", `add rule inet lab in tcp dport ${port} numgen random mod 100 < ${setting.loss} drop`);
    }
    const servers = trials.map(({ name, port, setting }) => {
      const [idle, interval, count] = setting.keepAlive;
      const keepAlive = { idle: `${idle}s`, interval: `${interval}s`, count, userTimeout: setting.userTimeout ?? "auto" };
      return { name, watch: true, options: { host: SERVER, port, ...keepAlive } };
    });
    const script = join(import.meta.dirname, "support/lab-server.ts");
    const flags = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning", script, JSON.stringify(servers)];
    const server = spawn("ip", ["netns", "exec", a, process.execPath, ...flags], { stdio: ["pipe", "pipe", "inherit"] });
    children.push(server);
    const lines: LabLine[] = [];
    const waiting = new Set<() => void>();
    createInterface({ input: server.stdout }).on("line", (line) => {
      lines.push(JSON.parse(line) as LabLine);
      for (const look of waiting) look();
    });
    const seen = (name: string, from: number, matches: (line: LabLine) => boolean): Promise<LabLine> =>
      new Promise((resolve) => {
        const look = (): void => {
          const line = lines.slice(from).find((each) => each.name === name && matches(each));
          if (!line) return;
          waiting.delete(look);
          resolve(line);
        };
        waiting.add(look);
        look();
      });
    const order = (command: LabCommand): void => void server.stdin.write(`${JSON.stringify(command)}\n`);
    for (const { name } of trials) await seen(name, 0, ({ event }) => event === "listening");
    const downed = Promise.withResolvers<void>();
    let open = trials.filter(({ cut }) => cut === "interface-down").length;
    let left = trials.length - open;
    const takeDown = (): void => {
      if (open > 0 || left > 0) return;
      within(a, "ip", "link", "set", "lab", "down");
      downed.resolve();
    };

    const trial = async ({ name, port, cut, setting }: (typeof trials)[number]): Promise<Measured | undefined> => {
      const opened = lines.length;
      // With much loss keep-alive may give a living connection up before it is cut: then another one.
      for (let from = lines.length; ; from = lines.length) {
        const client = spawn("ip", ["netns", "exec", b, "/usr/bin/python3", "-c", CLIENT, SERVER, String(port)], {
          stdio: "ignore",
        });
        children.push(client);
        const ready = cut === "steady" ? isAnswer : isBytes;
        const first = await seen(name, from, (line) => line.event === "end" || ready(line));
        if (first.event !== "end") break;
      }
      if (cut === "interface-down") {
        open -= 1;
        takeDown();
        await downed.promise;
        if (lines.slice(opened).some((line) => line.name === name && line.event === "end")) return undefined; // lost to the loss before
      } else within(a, "nft", `insert rule inet lab in tcp dport ${port} drop`);
      const from = lines.length;
      // Half of the interfaces' connections have data to send.
      const data = cut === "unacked" || (cut === "interface-down" && port % 20 < 10);
      order({ name, order: data ? "byte" : "silence" });
      const start = await seen(name, from, ({ event }) => event === (data ? "sent" : "silence"));
      const startedMs = start.t - (start.event === "silence" ? start.silentForMs : 0);
      const end = (await seen(name, from, ({ event }) => event === "end")) as LabLine & { event: "end" };
      if (cut !== "interface-down") {
        left -= 1;
        takeDown();
      }
      const [idle, interval, count] = setting.keepAlive;
      const options = { idle: idle * 1000, interval: interval * 1000, count, userTimeout: setting.userTimeout ?? "auto" };
      // On a busy machine the cut may come so late after the activity that a probe was answered before it.
      const late = lines.slice(opened).some((line) => line.name === name && isAnswer(line));
      const boundMs = bound({ ...options, rtt: setting.rttMs })[cut === "active" && late ? "silentPeerMs" : CUTS[cut]];
      const tookMs = end.t - startedMs;
      return { setting, cut, boundMs, tookMs, latestMs: slackMs(boundMs).latestMs + end.lagMs, reason: end.reason };
    };
    const rows: Measured[] = [];
    const run = async (each: (typeof trials)[number]): Promise<void> => {
      const measured = await trial(each);
      if (!measured) return;
      told(measured);
      rows.push(measured);
    };
    await Promise.all(trials.map(run));
    return rows;
  } finally {
    for (const child of children) child.kill("SIGKILL");
    for (const namespace of [a, b]) execFileSync("ip", ["netns", "del", namespace]);
  }
}

const isAnswer = (line: LabLine): boolean => line.event === "watch" && line.kind === "answered";
const isBytes = ({ event }: LabLine): boolean => event === "bytes";

function show({ setting, cut, boundMs, tookMs, latestMs, reason }: Measured): void {
  const verdict = tookMs <= latestMs ? "within" : "BEYOND";
  const what = `${setting.keepAlive.join("/")} ${setting.userTimeout ?? "auto"}, ${setting.rttMs} ms, ${setting.loss} %`;
  console.log(`${what.padEnd(28)} ${cut.padEnd(15)} ${Math.round(tookMs)} ms, ${verdict} ${boundMs} ms: ${reason}`);
}

if (import.meta.main) {
  const rows = await measure(SETTINGS, Object.keys(CUTS) as Cut[], show);
  process.exitCode = rows.every(({ tookMs, latestMs }) => tookMs <= latestMs) ? 0 : 1;
}
