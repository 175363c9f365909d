/** `holdfast listen` and `holdfast connect` as programs. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { proxyTo } from "./support/proxy.ts";
import { reader } from "./support/reader.ts";

const holdfast = join(import.meta.dirname, "../../bin/holdfast");

function start(t: TestContext, ...args: string[]): ChildProcessWithoutNullStreams {
  const child = spawn(holdfast, args);
  t.after(() => child.kill("SIGKILL"));
  return child;
}

async function listener(
  t: TestContext,
  ...args: string[]
): Promise<{
  child: ChildProcessWithoutNullStreams;
  port: string;
  out: ReturnType<typeof reader>;
  talk: ReturnType<typeof reader>;
}> {
  const child = start(t, "listen", "0", ...args);
  const talk = reader(child.stderr);
  const out = reader(child.stdout);
  const said = args.includes("--json") ? out : talk;
  const [, port] = await said.until(/listening(?: on |","address":")127\.0\.0\.1:(\d+)/);
  return { child, port: port!, out, talk };
}

async function exitCode(child: ChildProcessWithoutNullStreams): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode;
}

test("--by byte prints one byte a line, --by hex a chunk in hex, --by line whole lines with their peer", async (t) => {
  for (const [by, expected] of [
    ["byte", /^h\ni\n\\x0a\n$/],
    ["hex", /^68 69 0a\n$/],
    ["line", /^127\.0\.0\.1:\d+ hi\n$/],
  ] as const) {
    const { port, out } = await listener(t, "--by", by);
    connect(Number(port), "127.0.0.1").end("hi\n");
    await out.until(expected);
  }
});

test("--json prints events one a line, bytes in base64 too", async (t) => {
  const { port, out } = await listener(t, "--json");
  connect(Number(port), "127.0.0.1").end("hi");
  await out.until(/"event":"end"/);
  const events = out
    .text()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    events.map(({ event }) => event),
    ["listening", "open", "bytes", "end"],
  );
  assert.deepEqual(events[1]!["keepAlive"], { idleMs: 5000, intervalMs: 10_000, count: 3, userTimeoutMs: 34_000 });
  assert.equal(events[2]!["base64"], "aGk=");
  assert.equal(events[3]!["reason"], "fin");
});

test("in a session, each line of stdin arrives once and in order, over a connection that is reset again and again", async (t) => {
  const server = await listener(t, "--sessions");
  const proxy = await proxyTo(Number(server.port));
  t.after(() => proxy.close());
  const client = start(t, "connect", `127.0.0.1:${proxy.port}`, "--session", "sensor-7");
  const talk = reader(client.stderr);
  await talk.until(/session opened/);
  const lines = Array.from({ length: 300 }, (_, index) => `reading ${index}`);
  for (let part = 0; part < 3; part += 1) {
    client.stdin.write(`${lines.slice(part * 100, part * 100 + 100).join("\n")}\n`);
    await server.out.until(new RegExp(`reading ${part * 100 + 10}\n`));
    proxy.reset();
    await talk.until(new RegExp(`(session resumed[^]*){${part + 1}}`));
  }
  client.stdin.end();
  assert.equal(await exitCode(client), 0);
  assert.equal(server.out.text(), lines.map((line) => `${line}\n`).join(""));
  await server.talk.until(/sensor-7 gone/);
});

test("--token-file keeps out who does not know the token", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-token-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const right = join(folder, "right");
  const wrong = join(folder, "wrong");
  writeFileSync(right, "correct horse\n", { mode: 0o600 });
  writeFileSync(wrong, "battery staple\n", { mode: 0o600 });
  const { port } = await listener(t, "--sessions", "--token-file", right);
  const refused = spawnSync(holdfast, ["connect", `127.0.0.1:${port}`, "--session", "a", "--token-file", wrong], {
    input: "x\n",
  });
  assert.equal(refused.status, 1);
  assert.match(refused.stderr.toString(), /unauthorised/);
  const welcome = spawnSync(holdfast, ["connect", `127.0.0.1:${port}`, "--session", "a", "--token-file", right], {
    input: "x\n",
  });
  assert.equal(welcome.status, 0, welcome.stderr.toString());
});

test("connect --session --spool sends what a run before it, which was killed, had not sent", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-cli-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const spool = ["--session", "pump", "--spool", join(folder, "outbox")];
  const killed = start(t, "connect", "127.0.0.1:1", ...spool);
  killed.stdin.write("one\ntwo\n");
  while (!existsSync(join(folder, "outbox")) || !readFileSync(join(folder, "outbox")).includes("two"))
    await new Promise((resolve) => setTimeout(resolve, 20));
  killed.kill("SIGKILL");
  await once(killed, "exit");
  const { port, out } = await listener(t, "--sessions");
  const next = start(t, "connect", `127.0.0.1:${port}`, ...spool);
  next.stdin.end("three\n");
  assert.equal(await exitCode(next), 0);
  await out.until(/^one\ntwo\nthree\n$/);
});

test("connect --session ends with 1 and says why when another one takes its name", async (t) => {
  const { port } = await listener(t, "--sessions");
  const older = start(t, "connect", `127.0.0.1:${port}`, "--session", "pump");
  const talk = reader(older.stderr);
  await talk.until(/session opened/);
  const newer = start(t, "connect", `127.0.0.1:${port}`, "--session", "pump");
  await talk.until(/ended: taken-over, the session went on over a newer connection/);
  assert.equal(await exitCode(older), 1);
  newer.stdin.end("x\n");
  assert.equal(await exitCode(newer), 0);
});

test("--reconnect comes back when the server does", async (t) => {
  const first = await listener(t);
  const client = start(t, "connect", `127.0.0.1:${first.port}`, "--reconnect");
  const talk = reader(client.stderr);
  await talk.until(/connected to/);
  first.child.kill("SIGKILL");
  await talk.until(/reconnecting in/);
  const second = start(t, "listen", first.port);
  await reader(second.stderr).until(/listening/);
  await talk.until(/connected to[^]*connected to/);
  client.stdin.end();
  assert.equal(await exitCode(client), 0);
});

test("a server that is not there, a taken port and wrong flags end with their sentence and exit code", async (t) => {
  const { port } = await listener(t);
  for (const [args, status, sentence] of [
    [["connect", "127.0.0.1:1"], 1, /Cannot connect to 127\.0\.0\.1:1/],
    [["listen", port], 1, /another program uses this address/],
    [["listen", "--by", "word"], 2, /choose raw, byte, line, hex/],
    [["listen", "--by", "byte", "--format", "perl"], 2, /choose plain, python/],
    [["listen", "--format", "python"], 2, /needs --by byte/],
    [["listen", "--count", "many"], 2, /must be a whole number/],
    [["listen", "--idle", "10h"], 2, /more than the 32767 s/],
    [["connect", "127.0.0.1:1", "--spool", "outbox"], 2, /needs --session/],
    [["connect"], 2, /address/],
  ] as const) {
    const { status: got, stderr } = spawnSync(holdfast, args);
    assert.match(stderr.toString(), sentence);
    assert.equal(got, status, args.join(" "));
  }
});

test("a reader of stdout that has seen enough ends holdfast listen without a word, as SIGPIPE would: not with 0", async (t) => {
  const { child, port, talk } = await listener(t);
  const socket = connect(Number(port), "127.0.0.1");
  socket.on("error", () => {});
  child.stdout.destroy();
  const sending = setInterval(() => socket.write("hello\n"), 20);
  t.after(() => {
    clearInterval(sending);
    socket.destroy();
  });
  assert.equal(await exitCode(child), 128 + 13);
  assert.doesNotMatch(talk.text(), /EPIPE/);
});

test("--websocket lets sessions in by WebSocket too, with a page's origin as it says, and connect takes a ws:// address", async (t) => {
  const flags = ["--websocket", "127.0.0.1:0", "--allowed-origins", "https://app.example.org"];
  const { out, talk, child } = await listener(t, "--sessions", ...flags);
  const [, port] = await talk.until(/127\.0\.0\.1:(\d+) by WebSocket/);
  const sender = start(t, "connect", `ws://127.0.0.1:${port}`, "--session", "web");
  sender.stdin.end("one\ntwo\n");
  assert.equal(await exitCode(sender), 0);
  await out.until(/^one\ntwo\n$/);
  const status = async (origin: string): Promise<number | undefined> => {
    const headers = {
      Origin: origin,
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
      "Sec-WebSocket-Protocol": "holdfast-link",
    };
    const asked = request({ port, headers });
    asked.end();
    const answer = await Promise.race([once(asked, "response"), once(asked, "upgrade")]);
    asked.destroy();
    return (answer[0] as IncomingMessage).statusCode;
  };
  assert.equal(await status("https://app.example.org"), 101);
  assert.equal(await status("https://evil.example.org"), 403);
  assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 426);
  child.kill("SIGTERM");
  assert.equal(await exitCode(child), 0);
  for (const wrong of [
    ["listen", "0", "--websocket", "127.0.0.1:0"],
    ["listen", "0", "--sessions", "--allowed-origins", "*"],
    ["connect", "ws://127.0.0.1:1"],
  ])
    assert.equal(spawnSync(holdfast, wrong).status, 2, wrong.join(" "));
});
