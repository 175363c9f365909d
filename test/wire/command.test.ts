/** `holdfast wire` as a user runs it: files in, lines, ladders, JSON and pcapng out. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { CaptureReader } from "../../src/wire/capture/capture-reader.ts";
import { requires } from "../support/requires.ts";
import { SERVER, frame, pcapng } from "./tcp-frames.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "holdfast-wire-"));
const file = join(folder, "session.pcapng");
after(() => rmSync(folder, { recursive: true }));

writeFileSync(
  file,
  pcapng([
    frame({ flags: 2, sequence: 100 }),
    frame({ from: SERVER, flags: 0x12, sequence: 500, acknowledgment: 101 }),
    frame({ sequence: 101, acknowledgment: 501 }),
    frame({ sequence: 101, acknowledgment: 501, payload: "get a\r\n", atMs: 1 }),
    frame({ from: SERVER, sequence: 501, acknowledgment: 108, payload: "END\r\n", atMs: 2 }),
    frame({ sequence: 108, acknowledgment: 506, atMs: 3 }),
    frame({ from: SERVER, sequence: 505, acknowledgment: 108, atMs: 5003 }),
    frame({ sequence: 108, acknowledgment: 506, atMs: 5004 }),
  ]),
);

async function wire(...args: string[]): Promise<{ stdout: string; stderr: string; code: number }> {
  try {
    return { ...(await run(join(root, "bin/holdfast"), ["wire", ...args])), code: 0 };
  } catch (error) {
    return error as { stdout: string; stderr: string; code: number };
  }
}

test("one line a packet, with number, time, source, ends and what it says", async () => {
  const { stdout, stderr } = await wire("-r", file);
  const lines = stdout.trimEnd().split("\n");
  assert.equal(lines[3], "    4    0.001000 captured 10.0.0.2:40000 → 10.0.0.1:7000  memcached get a");
  assert.equal(lines[4], "    5    0.002000 captured 10.0.0.1:7000 → 10.0.0.2:40000  memcached END (miss)");
  assert.equal(lines[6], "    7    5.003000 captured 10.0.0.1:7000 → 10.0.0.2:40000  keep-alive probe");
  assert.equal(lines[7], "    8    5.004000 captured 10.0.0.2:40000 → 10.0.0.1:7000  keep-alive answered");
  assert.match(stderr, /8 packets/);
});

test("--ladder draws two lifelines, hollow arrows for probes, and silence as empty space", async () => {
  const { stdout } = await wire("-r", file, "--ladder");
  assert.match(stdout, /│─── memcached get a ─+▶│/);
  assert.match(stdout, /│◁╌+ keep-alive probe ╌╌╌│/);
  assert.match(stdout, /│╌╌╌ keep-alive answered ╌+▷│/);
  assert.match(stdout, /5 s idle/);
  assert.ok(
    stdout.split("\n").every((row) => Array.from(row).length <= 80),
    "fits 80 columns",
  );
});

test("--json gives one object a packet", async () => {
  const { stdout } = await wire("-r", file, "--json");
  const packets = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(packets.length, 8);
  assert.deepEqual(packets[6].tcp.marks, ["keep-alive"]);
  assert.equal(packets[3].tcp.messages[0].text, "get a");
});

test("-w writes what was read, with a comment on each named packet", async () => {
  const written = join(folder, "written.pcapng");
  await wire("-r", file, "-w", written);
  const reader = new CaptureReader();
  reader.push(readFileSync(written));
  const comments: (string | undefined)[] = [];
  for (let next = reader.next(); next; next = reader.next()) comments.push(next.comment);
  assert.equal(comments.length, 8);
  assert.equal(comments[3], "memcached get a (captured)");
  assert.equal(comments[6], "keep-alive probe (captured)");
});

test("--color paints, --no-color and a pipe do not", async () => {
  assert.ok((await wire("-r", file, "--color")).stdout.includes("\u001B[36mkeep-alive probe"));
  assert.ok(!(await wire("-r", file)).stdout.includes("\u001B"));
  assert.ok(!(await wire("-r", file, "--no-color")).stdout.includes("\u001B"));
});

test("wrong words exit 2, a file that is no capture exits 1, each with one sentence", async () => {
  const usage = await wire("--port", "http");
  assert.deepEqual([usage.code, usage.stderr.trimEnd().split("\n").length], [2, 1]);
  const unknown = await wire("--frobnicate");
  assert.equal(unknown.code, 2);
  const broken = await wire("-r", join(root, "package.json"));
  assert.deepEqual([broken.code, broken.stderr.trimEnd().split("\n").length], [1, 1]);
  const absent = await wire("-r", join(folder, "absent.pcap"));
  assert.deepEqual([absent.code, absent.stderr.trimEnd().split("\n").length], [1, 1]);
});

test(
  "packets of a live connection are captured and named; Ctrl-C ends with 0 and a count",
  requires("tcpdump", "root"),
  async () => {
    const server = createServer((socket) => socket.on("data", () => socket.write("END\r\n")));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const child = spawn(join(root, "bin/holdfast"), ["wire", "--port", `${port}=cache`]);
    const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
    while (!stderr.text.includes("capturing with")) await once(child.stderr, "data");
    const client = connect(port, "127.0.0.1");
    client.write("get live\r\n");
    while (!stdout.text.includes("memcached END (miss)")) await once(child.stdout, "data");
    client.destroy();
    server.close();
    child.kill("SIGINT");
    const [code] = (await once(child, "close")) as [number];
    assert.equal(code, 0);
    assert.match(stdout.text, /captured 127\.0\.0\.1:\d+ → 127\.0\.0\.1:\d+ {2}memcached get live/);
    assert.match(stderr.text, /\d+ packets; \d+ packets captured/);
  },
);

function collect(stream: NodeJS.ReadableStream): { text: string } {
  const collected = { text: "" };
  stream.setEncoding("utf8").on("data", (text: string) => (collected.text += text));
  return collected;
}
