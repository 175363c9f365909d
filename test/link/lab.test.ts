/**
 * Deaths on a real kernel: a cable cut in one direction, a stopped process, a killed one, one that never reads. Each is found within
 * what `bound()` says and the kernel's timer slack. The cases run side by side; the longest takes the lecture's 35 s.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { bound, slackMs } from "../../src/link/index.ts";
import type { BoundOptions } from "../../src/link/index.ts";
import { requires } from "../support/requires.ts";
import { clientAddress, Lab, SERVER_ADDRESS } from "./support/lab.ts";
import type { LabCommand, LabLine, LabServer } from "./support/lab-server.ts";
import { reader } from "./support/reader.ts";

const FAST = { idle: "1s", interval: "1s", count: 2 } as const;
const LECTURE = { idle: "5s", interval: "10s", count: 3 } as const;
const everywhere = { host: SERVER_ADDRESS, port: 0 } as const;

/** Each case has a server and an address of its own, so that they do not disturb each other. */
const SERVERS = [
  { name: "silent", options: { ...everywhere, ...FAST }, watch: true },
  { name: "silent-counted", options: { ...everywhere, ...FAST, userTimeout: "off" } },
  { name: "unacked", options: { ...everywhere, ...FAST } },
  { name: "unacked-unbounded", options: { ...everywhere, ...FAST, userTimeout: "off" } },
  { name: "stopped", options: { ...everywhere, ...FAST }, watch: true },
  { name: "killed", options: { ...everywhere, ...FAST } },
  { name: "never-reading", options: { ...everywhere, ...FAST, unsentMax: "64m" } },
  { name: "healed", options: { ...everywhere, idle: "1s", interval: "1s", count: 5 }, watch: true },
  { name: "lecture", options: { ...everywhere, ...LECTURE }, watch: true },
  { name: "lecture-alive", options: { ...everywhere, ...LECTURE }, watch: true },
  { name: "session-stopped", options: { ...everywhere, ...FAST, session: { heartbeat: "1s" } } },
  { name: "session-healed", options: { ...everywhere, ...FAST, session: { heartbeat: "1s" } } },
] as const satisfies readonly LabServer[];
type Case = (typeof SERVERS)[number]["name"];

/** A client that sends one byte, reads nothing and stays. */
const PYTHON = `
import socket, sys, time
s = socket.socket()
s.bind((sys.argv[2], 0))
s.connect((sys.argv[1], int(sys.argv[3])))
s.sendall(b"x")
time.sleep(1000)
`;

describe("on a real kernel", { concurrency: true, ...requires("root", "iproute2", "tcpdump", "tshark", "python3-zmq") }, () => {
  let lab: Lab;
  let server: ChildProcessWithoutNullStreams;
  let capture: { child: ChildProcessWithoutNullStreams; file: string; folder: string };
  const lines: LabLine[] = [];
  const waiting = new Set<() => void>();

  before(async () => {
    lab = new Lab({ addresses: SERVERS.length });
    const folder = mkdtempSync(join(tmpdir(), "holdfast-lab-"));
    const file = join(folder, "lab.pcap");
    capture = {
      folder,
      file,
      child: lab.run("a", "tcpdump", "-i", "lab", "-U", "--immediate-mode", "-Z", "root", "-w", file, "tcp"),
    };
    await reader(capture.child.stderr).until(/listening on lab/);
    const script = join(import.meta.dirname, "support/lab-server.ts");
    server = lab.run(
      "a",
      process.execPath,
      "--conditions=holdfast-source",
      "--disable-warning=ExperimentalWarning",
      script,
      JSON.stringify(SERVERS),
    );
    server.stderr.on("data", (text: Buffer) => void process.stderr.write(text));
    createInterface({ input: server.stdout }).on("line", (line) => {
      lines.push(JSON.parse(line) as LabLine);
      for (const wake of waiting) wake();
    });
    for (const { name } of SERVERS) await seen(name, (line) => line.event === "listening");
  });

  after(() => {
    lab.close();
    rmSync(capture.folder, { recursive: true, force: true });
  });

  /** Waits until the server has said such a line. */
  function seen<T extends LabLine>(name: Case, matches: (line: LabLine) => line is T, withinMs?: number): Promise<T>;
  function seen(name: Case, matches: (line: LabLine) => boolean, withinMs?: number): Promise<LabLine>;
  function seen(name: Case, matches: (line: LabLine) => boolean, withinMs = 60_000): Promise<LabLine> {
    return new Promise((resolve, reject) => {
      const said = (): string => JSON.stringify(lines.filter((line) => line.name === name));
      const timer = setTimeout(() => {
        waiting.delete(check);
        reject(new Error(`${name} has not said so within ${withinMs} ms: ${said()}`));
      }, withinMs);
      const check = (): void => {
        const line = lines.find((each) => each.name === name && matches(each));
        if (!line) return;
        clearTimeout(timer);
        waiting.delete(check);
        resolve(line);
      };
      waiting.add(check);
      check();
    });
  }

  const isEnd = (line: LabLine): line is LabLine & { event: "end" } => line.event === "end";
  const indexOf = (name: Case): number => SERVERS.findIndex((each) => each.name === name);
  const portOf = (name: Case): string =>
    String((lines.find((line) => line.name === name && line.event === "listening") as { port: number }).port);
  const command = (order: LabCommand): void => void server.stdin.write(`${JSON.stringify(order)}\n`);

  /** A Python client of this case; resolves when the server has its byte. */
  async function client(name: Case): Promise<ChildProcessWithoutNullStreams> {
    const child = lab.run("b", "/usr/bin/python3", "-c", PYTHON, SERVER_ADDRESS, clientAddress(indexOf(name)), portOf(name));
    await seen(name, (line) => line.event === "bytes");
    return child;
  }

  const isSilence = (line: LabLine): line is LabLine & { event: "silence" } => line.event === "silence";
  /** When the kernel last heard the client; asked once nothing more can arrive. */
  const heardAt = async (name: Case): Promise<number> => {
    command({ name, order: "silence" });
    const { t, silentForMs } = await seen(name, isSilence);
    return t - silentForMs;
  };
  const isSent = (line: LabLine): boolean => line.event === "sent";
  const isDeath = (line: LabLine): boolean => line.event === "watch" && line.kind === "dead";
  const watched = (name: Case): (LabLine & { event: "watch" })[] =>
    lines.filter((line): line is LabLine & { event: "watch" } => line.name === name && line.event === "watch");

  /** Probes of the server to this client, as Wireshark's analysis counts them. */
  function probesOnTheWire(name: Case): number {
    const address = clientAddress(indexOf(name));
    const filter = `tcp.analysis.keep_alive && ip.src == ${SERVER_ADDRESS} && ip.dst == ${address}`;
    const text = execFileSync("tshark", ["-r", capture.file, "-Y", filter, "-T", "fields", "-e", "frame.number"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    return text.toString().split("\n").filter(Boolean).length;
  }

  /** The kernel's time stamps are in ticks of up to 10 ms. */
  const TICK_MS = 20;

  function within(tookMs: number, ms: number, lagMs: number): void {
    const { earliestMs, latestMs } = slackMs(ms);
    const message = `took ${Math.round(tookMs)} ms, not ${earliestMs} to ${latestMs} (lag ${Math.round(lagMs)} ms)`;
    assert.ok(tookMs >= earliestMs - TICK_MS && tookMs <= latestMs + lagMs, message);
  }

  const bounds = (name: Case): ReturnType<typeof bound> => bound(SERVERS[indexOf(name)]!.options as BoundOptions);

  test("a silent peer is found in idle + interval × count: 3 s for 1/1/2", async () => {
    await client("silent");
    lab.cut(indexOf("silent"));
    const heard = await heardAt("silent");
    const end = await seen("silent", isEnd);
    assert.equal(end.reason, "keepalive-timeout");
    within(end.t - heard, bounds("silent").silentPeerFirstMs, end.lagMs);
    assert.equal(bounds("silent").silentPeerMs, 3000);
    await seen("silent", isDeath);
    assert.equal(Math.max(...watched("silent").map(({ unanswered = 0 }) => unanswered)), 2);
    assert.equal(watched("silent").at(-1)!.probes, probesOnTheWire("silent"));
  });

  test("without a user timeout the kernel counts the probes, and finds it in the same time", async () => {
    await client("silent-counted");
    lab.cut(indexOf("silent-counted"));
    const heard = await heardAt("silent-counted");
    const end = await seen("silent-counted", isEnd);
    assert.equal(end.reason, "keepalive-timeout");
    within(end.t - heard, 3000, end.lagMs);
  });

  test("unacknowledged data is given up after the user timeout, although it switches the probes off", async () => {
    await client("unacked");
    lab.cut(indexOf("unacked"));
    command({ name: "unacked", order: "byte" });
    const end = await seen("unacked", isEnd);
    assert.equal(end.reason, "user-timeout");
    const { t: sentAt } = await seen("unacked", isSent);
    const tookMs = end.t - sentAt;
    assert.ok(tookMs <= slackMs(bounds("unacked").unackedDataMs).latestMs + end.lagMs, `took ${tookMs} ms`);
  });

  test("without a user timeout, unacknowledged data hides a silent peer far beyond idle + interval × count", async () => {
    await client("unacked-unbounded");
    lab.cut(indexOf("unacked-unbounded"));
    command({ name: "unacked-unbounded", order: "byte" });
    await assert.rejects(seen("unacked-unbounded", isEnd, 9000), /has not said so/);
    assert.ok(bounds("unacked-unbounded").unackedDataMs > 900_000);
  });

  test("a stopped process passes every keep-alive: its kernel answers", async () => {
    const child = await client("stopped");
    child.kill("SIGSTOP");
    await assert.rejects(seen("stopped", isEnd, 8000), /has not said so/);
    assert.ok(watched("stopped").filter(({ kind }) => kind === "answered").length >= 6);
    assert.equal(bounds("stopped").hungProcessMs, Infinity);
  });

  test("a killed process is noticed at once", async () => {
    const child = await client("killed");
    child.kill("SIGKILL");
    const killed = performance.now();
    const end = await seen("killed", isEnd);
    assert.ok(["fin", "rst"].includes(end.reason), end.reason);
    // Well before the first probe could go out.
    assert.ok(performance.now() - killed < 1000 + end.lagMs);
  });

  test("a peer that never reads is found within the user timeout of when nothing more could be sent", async () => {
    await client("never-reading");
    command({ name: "never-reading", order: "fill" });
    const filled = await seen("never-reading", (line) => line.event === "filled");
    const end = await seen("never-reading", isEnd);
    assert.equal(end.reason, "stalled-reader");
    assert.ok(
      end.t - filled.t <= slackMs(bounds("never-reading").neverReadingMs).latestMs + end.lagMs,
      `took ${end.t - filled.t} ms`,
    );
  });

  test("a cable that heals in time costs nothing: watch sees the probes that were missed and then answered", async () => {
    await client("healed");
    lab.cut(indexOf("healed"));
    await seen("healed", (line) => line.event === "watch" && line.unanswered === 2);
    lab.heal(indexOf("healed"));
    await seen("healed", (line) => line.event === "watch" && line.kind === "answered", 5000);
    assert.equal(
      lines.find((line) => line.name === "healed" && line.event === "end"),
      undefined,
    );
  });

  test("the lecture's 5 s, 10 s, 3 find a silent peer in 35 s, with three probes on the wire", async () => {
    await client("lecture");
    lab.cut(indexOf("lecture"));
    const heard = await heardAt("lecture");
    const end = await seen("lecture", isEnd);
    assert.equal(end.reason, "keepalive-timeout");
    within(end.t - heard, bounds("lecture").silentPeerFirstMs, end.lagMs);
    assert.equal(bounds("lecture").silentPeerFirstMs, 35_000);
    await seen("lecture", isDeath);
    assert.equal(Math.max(...watched("lecture").map(({ unanswered = 0 }) => unanswered)), 3);
    assert.equal(watched("lecture").at(-1)!.probes, probesOnTheWire("lecture"));
  });

  test("on a living connection of the lecture, Wireshark and watch count the same probes: one every 10 s after the first at 5 s", async () => {
    await client("lecture-alive");
    const heard = await heardAt("lecture-alive");
    await seen("lecture-alive", (line) => line.event === "watch" && line.kind === "answered" && line.probes === 3);
    const times = watched("lecture-alive")
      .filter(({ kind }) => kind === "answered")
      .map(({ t, lagMs }) => ({ t, lagMs }));
    assert.equal(times.length, 3);
    for (const [index, { t, lagMs }] of times.entries())
      within(t - heard, 5000 + index * bounds("lecture-alive").liveProbeEveryMs, lagMs);
    assert.equal(probesOnTheWire("lecture-alive"), 3);
  });

  test("a stopped process in a session is found by its heartbeat", async () => {
    const child = sessionClient("session-stopped");
    await reader(child.stdout).until(/confirmed 3\n/);
    child.kill("SIGSTOP");
    const away = await seen("session-stopped", (line) => line.event === "presence" && line.presence === "away");
    assert.equal((away as { reason?: string }).reason, "heartbeat");
    const lastHeard = lines.findLast((line) => line.name === "session-stopped" && line.event === "message")!;
    within(away.t - lastHeard.t, bound({ heartbeat: "1s" }).hungProcessMs, away.lagMs);
    child.kill("SIGKILL");
  });

  test("a session goes on after the cable was cut and healed: every message once and in order", async () => {
    const child = sessionClient("session-healed");
    const said = reader(child.stdout);
    await said.until(/confirmed 10\n/);
    lab.cut(indexOf("session-healed"));
    await said.until(/end (heartbeat|user-timeout|keepalive-timeout)/);
    lab.heal(indexOf("session-healed"));
    await said.until(/open true/);
    const [, last] = await said.until(/open true\n[^]*confirmed (\d+)\n$/);
    await said.until(new RegExp(`confirmed ${Number(last) + 10}\n`));
    const received = lines
      .filter((line) => line.name === "session-healed" && line.event === "message")
      .map((line) => Number((line as { text: string }).text));
    assert.deepEqual(
      received,
      received.map((_, index) => index + 1),
    );
    assert.doesNotMatch(said.text(), /failed \d/, "no send failed");
    child.kill("SIGKILL");
  });

  function sessionClient(name: Case): ChildProcessWithoutNullStreams {
    const script = join(import.meta.dirname, "support/lab-session-child.ts");
    const args = [SERVER_ADDRESS, portOf(name), clientAddress(indexOf(name)), "1s"];
    const child = lab.run(
      "b",
      process.execPath,
      "--conditions=holdfast-source",
      "--disable-warning=ExperimentalWarning",
      script,
      ...args,
    );
    return child;
  }
});
