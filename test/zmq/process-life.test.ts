/** Who keeps a process alive, and what becomes of messages when it has nothing more to do: as with the `zeromq` package. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Dealer } from "../../src/zmq/index.ts";
import { closing } from "../support/zmq.ts";

/** 400 ms after it began: a program that nothing keeps alive has ended long before. */
const ALIVE_MS = 400;

interface Program {
  readonly child: ChildProcess;
  readonly stderr: Promise<string>;
}

/** A program that has begun to do what it does. */
async function program(t: TestContext, kind: string, endpoint?: string): Promise<Program> {
  const flags = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning"];
  const args = [...flags, join(import.meta.dirname, "life-child.ts"), kind, ...(endpoint === undefined ? [] : [endpoint])];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  const stderr = text(child.stderr);
  await once(child.stdout, "data");
  return { child, stderr };
}

for (const kind of ["open sockets", "closed sockets", "a message to nobody", "events of a closed socket"]) {
  test(`${kind} keep no process alive`, async (t) => {
    const { child, stderr } = await program(t, kind);
    const [code] = child.exitCode === null ? ((await once(child, "exit")) as [number]) : [child.exitCode];
    assert.equal(code, 0);
    assert.equal(await stderr, "");
  });
}

for (const kind of [
  "a receive that waits",
  "a receive that waits at inproc",
  "a send that waits",
  "events that are awaited",
  "events that are listened to",
]) {
  test(`${kind} keep${kind.startsWith("events") ? "" : "s"} the process alive`, async (t) => {
    const { child } = await program(t, kind);
    await sleep(ALIVE_MS);
    assert.equal(child.exitCode, null);
  });
}

test("a process that ends delivers what it has queued first, to a peer that comes late", async (t) => {
  const dealer = closing(t, new Dealer());
  await dealer.bind("tcp://127.0.0.1:*");
  const endpoint = dealer.lastEndpoint!;
  await dealer.unbind(endpoint);
  const { child } = await program(t, "queued", endpoint);
  await sleep(ALIVE_MS);
  await dealer.bind(endpoint);
  assert.equal(String(await dealer.receive()), "queued");
  const [code] = child.exitCode === null ? ((await once(child, "exit")) as [number]) : [child.exitCode];
  assert.equal(code, 0);
});

const WARNING = /^\(node:\d+\) WARNING: Waiting for queued ZeroMQ messages to be delivered\./;

for (const [kind, expected] of [
  ["queued for a second", new RegExp(`${WARNING.source} Set 'context\\.blocky = false' to change this behaviour\\.\n$`)],
  ["queued for a second, not blocky", new RegExp(`${WARNING.source}\n$`)],
  ["queued for a moment", /^$/],
] as const) {
  test(`a message ${kind} makes a process wait that long, and ${expected.source === "^$" ? "no word of it" : "say so"}`, async (t) => {
    const { child, stderr } = await program(t, kind);
    const [code] = child.exitCode === null ? ((await once(child, "exit")) as [number]) : [child.exitCode];
    assert.equal(code, 0);
    assert.match(await stderr, expected);
  });
}
