/** `holdfast wire` where capturing is not permitted: the tap of a running dashboard, and the kernel's table. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CacheClient, CacheServer } from "../../src/cache/index.ts";
import { Dashboard } from "../../src/dashboard/index.ts";
import { connect, listen } from "../../src/link/index.ts";
import { addressesOf } from "../../src/wire/keep-alive/kernel-addresses.ts";

const linux = { skip: process.platform === "linux" ? false : "the kernel's table is Linux's" };
const main = join(import.meta.dirname, "../../src/cli/main.ts");
const running: ChildProcessByStdio<null, Readable, Readable>[] = [];
after(() => running.forEach((child) => child.kill("SIGKILL")));

/** The command with no tool to capture with. */
function wire(...args: string[]): { lines: Record<string, unknown>[]; said: () => string; stop: () => Promise<number | null> } {
  const node = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning", main, "wire", "--json", ...args];
  const child = spawn(process.execPath, node, {
    env: { ...process.env, PATH: "/nonexistent" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.push(child);
  const lines: Record<string, unknown>[] = [];
  let rest = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    lines.push(...parts.map((line) => JSON.parse(line) as Record<string, unknown>));
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const stop = (): Promise<number | null> => {
    child.kill("SIGINT");
    return ended;
  };
  return { lines, said: () => stderr, stop };
}

async function until(holds: () => boolean, what: () => string): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!holds()) {
    assert.ok(performance.now() < deadline, what());
    await sleep(20);
  }
}

test("what a running holdfast reads and writes is shown as tapped, with the kernel's news beside it", linux, async () => {
  const cache = new CacheServer({ listen: "127.0.0.1:0" });
  await cache.listen();
  const dashboard = new Dashboard({ listen: "127.0.0.1:0", cache });
  await dashboard.listen();
  const port = cache.address.split(":").at(-1)!;
  const shown = wire("--port", `${port}=cache`, "--dashboard", dashboard.address);
  await until(() => shown.said().includes("falling back to"), shown.said);
  const client = new CacheClient({ servers: [cache.address] });
  await client.set("greeting", "hello");
  const summaries = (source: string): string[] =>
    shown.lines.filter((line) => line["source"] === source).map((line) => String(line["summary"]));
  await until(
    () => summaries("tapped").some((text) => text.includes("greeting")),
    () => JSON.stringify(shown.lines),
  );
  await until(
    () => summaries("kernel counters").includes("connected"),
    () => JSON.stringify(shown.lines),
  );
  await client.close();
  await until(
    () => summaries("kernel counters").includes("disconnected"),
    () => JSON.stringify(shown.lines),
  );
  assert.deepEqual(summaries("captured"), []);
  assert.equal(await shown.stop(), 0);
  await dashboard.close();
  await cache.close();
});

test("without a dashboard the kernel's counters alone are shown, and it says so", linux, async () => {
  const link = await listen({ port: 0, idle: "1s", interval: "1s", count: 3 });
  const peer = await connect({ host: "127.0.0.1", port: link.port });
  peer.on("error", () => {});
  const shown = wire("--port", String(link.port), "--dashboard", "127.0.0.1:9");
  await until(() => shown.lines.length > 0 && shown.said().includes("falling back to"), shown.said);
  assert.match(
    shown.said(),
    /tcpdump: not installed.*\nno holdfast dashboard at 127\.0\.0\.1:9.*\nfalling back to: the kernel's keep-alive counters/,
  );
  assert.equal(shown.lines[0]!["summary"], "already connected");
  assert.equal(shown.lines[0]!["peer"], link.stats().connections[0]!.peer);
  assert.equal(await shown.stop(), 0);
  await peer.close();
  await link.close();
});

test("the kernel's addresses are read as people write them", () => {
  assert.deepEqual(addressesOf("0100007F:2BCB 0300007F:9C40"), {
    local: "127.0.0.1:11211",
    remote: "127.0.0.3:40000",
    localPort: 11_211,
  });
  const loopback = "00000000000000000000000001000000";
  assert.equal(addressesOf(`${loopback}:0050 ${loopback}:0051`).local, "[::1]:80");
  assert.equal(addressesOf("B80D0120000000000000000001000000:0050 0100007F:0001").local, "[2001:db8::1]:80");
});
