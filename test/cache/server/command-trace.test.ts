/** `-vv` and `verbosity`: what is printed of clients and commands. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mock, test } from "node:test";
import { CacheServer } from "../../../src/cache/index.ts";
import { openSession } from "../../../src/cache/server/open-session.ts";
import type { CacheSession } from "../../../src/cache/protocol/cache-session.ts";
import { consumeTraced } from "../../../src/cache/server/command-trace.ts";
import { between, seeded } from "../../../src/core/random.ts";
import { DirectCache } from "../../support/direct-cache.ts";
import { MemcachedClient } from "../../support/memcached-client.ts";
import { requires } from "../../support/requires.ts";
import { randomCommand } from "../support/command-stream.ts";
import { HOLDFAST_CACHE, MEMCACHED } from "../support/servers.ts";

const CONVERSATION: readonly (readonly [request: string, end: RegExp])[] = [
  ["set k 0 0 12\r\nget no\r\nhere\r\n", /STORED\r\n$/],
  ["get k nothing\r\n", /END\r\n$/],
  ["incr k 1\r\n", /\r\n$/],
  ["delete nothing\r\nnonsense\r\n", /ERROR\r\n$/],
];

/** What both print of it; the number of the connection is left out. */
const PRINTED = [
  "<N new auto-negotiating client connection",
  "<N set k 0 0 12",
  ">N STORED",
  "<N get k nothing",
  ">N sending key k",
  ">N END",
  "<N incr k 1",
  ">N CLIENT_ERROR cannot increment or decrement non-numeric value",
  "<N delete nothing",
  ">N NOT_FOUND",
  "<N nonsense",
  ">N ERROR",
  "<N connection closed.",
];

/** Lines about one connection, in the order printed. */
function connectionLines(text: string): string[] {
  return text
    .split("\n")
    .filter((line) => /^[<>]\d+ (?!server listening|send buffer)/.test(line))
    .map((line) => line.replace(/^([<>])\d+/, "$1N"));
}

/** Runs a server with flags, talks to it over one connection, returns what it printed. */
async function printedBy([file, ...args]: readonly [string, ...string[]], flags: readonly string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-verbose-"));
  const path = join(folder, "socket");
  const child = spawn(file, [...args, "-s", path, ...flags], { stdio: ["ignore", "ignore", "pipe"] });
  const exited = once(child, "exit");
  let printed = "";
  let heard = (): void => {};
  child.stderr.setEncoding("latin1").on("data", (text: string) => {
    printed += text;
    heard();
  });
  try {
    let client: MemcachedClient | undefined;
    while (client === undefined) {
      if (child.exitCode !== null) throw new Error(`${file} ended: ${printed}`);
      client = await MemcachedClient.connect(`unix:${path}`).catch(() => undefined);
      if (client === undefined) await new Promise((resolve) => void setTimeout(resolve, 20)); // the start of a process has no event
    }
    for (const [request, end] of CONVERSATION) await client.ask(request, end);
    client.close();
    while (flags.includes("-vv") && !printed.includes("connection closed"))
      await new Promise<void>((resolve) => (heard = resolve));
  } finally {
    child.kill("SIGTERM");
    await exited;
    rmSync(folder, { recursive: true, force: true });
  }
  return printed;
}

test("-vv prints connections, commands and replies, and no value", async () => {
  assert.deepEqual(connectionLines(await printedBy(HOLDFAST_CACHE, ["-vv"])), PRINTED);
});

/** The classes of the store and the listening sockets, whatever numbers those have. */
function startLines(text: string): string[] {
  return text
    .split("\n")
    .filter((line) => /^slab class|server listening/.test(line))
    .map((line) => line.replace(/^<\d+/, "<N"));
}

test("-vv prints the classes and the listening sockets as Debian's memcached does", requires("memcached"), async () => {
  const [ours, theirs] = [await printedBy(HOLDFAST_CACHE, ["-vv"]), await printedBy(MEMCACHED, ["-vv"])];
  assert.deepEqual(startLines(ours), startLines(theirs));
  assert.ok(startLines(ours).includes("slab class  39: chunk size    524288 perslab       2"));
  assert.ok(startLines(ours).includes("<N server listening (auto-negotiate)"));
});

test("verbosity 2 prints the commands of datagrams", async () => {
  const printed = await printedHere({ udp: ["127.0.0.1:0"], tune: { verbosity: 2 } }, async (_client, server) => {
    const socket = createSocket("udp4");
    const request = Buffer.concat([Buffer.from([0, 1, 0, 0, 0, 1, 0, 0]), Buffer.from("get a\r\n")]);
    socket.send(request, Number(server.udpAddresses[0]!.split(":")[1]), "127.0.0.1");
    await once(socket, "message");
    socket.close();
  });
  assert.ok(printed.join("\n").includes("<N get a\n>N END"), printed.join("\n"));
});

test("-vv prints what Debian's memcached prints", requires("memcached"), async () => {
  assert.deepEqual(connectionLines(await printedBy(MEMCACHED, ["-vv"])), PRINTED);
});

test("without -vv no command is printed", async () => {
  assert.equal(await printedBy(HOLDFAST_CACHE, ["-v"]), "");
});

/** Everything that a server in this process prints while `body` talks to it. */
async function printedHere(
  options: ConstructorParameters<typeof CacheServer>[0],
  body: (client: MemcachedClient, server: CacheServer) => Promise<void>,
): Promise<string[]> {
  let printed = "";
  const write = mock.method(process.stderr, "write", (text: string) => {
    printed += text;
    return true;
  });
  const server = new CacheServer({ listen: "127.0.0.1:0", traceToStderr: true, ...options });
  try {
    await server.listen();
    const client = await MemcachedClient.connect(server.address);
    await body(client, server);
    client.close();
  } finally {
    await server.close();
    write.mock.restore();
  }
  return connectionLines(printed);
}

test("verbosity 2 prints from the next command on, verbosity 0 ends it", async () => {
  const printed = await printedHere({}, async (client) => {
    await client.ask("verbosity 2\r\n");
    await client.ask("get a\r\n", /END\r\n$/);
    await client.ask("verbosity 0\r\n");
    await client.ask("get b\r\n", /END\r\n$/);
  });
  assert.deepEqual(printed, ["<N get a", ">N END", "<N verbosity 0", ">N OK"]);
});

test("an embedded server prints nothing, whatever verbosity a client asks for", async () => {
  const printed = await printedHere({ traceToStderr: false, tune: { verbosity: 2 } }, async (client) => {
    await client.ask("verbosity 2\r\nget a\r\n", /END\r\n$/);
  });
  assert.deepEqual(printed, []);
});

test("what is printed of a client cannot steer the terminal", async () => {
  const printed = await printedHere({ tune: { verbosity: 2 } }, async (client) => {
    await client.ask("get \x1b[2J\r\n", /END\r\n$/);
  });
  assert.ok(printed.includes("<N get \\x1b[2J"));
});

test("a password is not printed", async () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-verbose-"));
  const authFile = join(folder, "users");
  writeFileSync(authFile, "ann:secret\n", { mode: 0o600 });
  try {
    const printed = await printedHere({ authFile, tune: { verbosity: 2 } }, async (client) => {
      await client.ask("set auth 0 0 10\r\nann secret\r\n");
      await client.ask("get a\r\n", /END\r\n$/);
    });
    assert.ok(printed.includes("<N set auth 0 0 10"));
    assert.doesNotMatch(printed.join("\n"), /secret/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("what is printed changes no reply, however requests and values are cut", () => {
  const seed = Math.floor(Math.random() * 1e9);
  const random = seeded(seed);
  for (let round = 0; round < 20; round += 1) {
    const request = Array.from({ length: 60 }, () => randomCommand(random).text).join("");
    const pieces: Buffer[] = [];
    for (let at = 0; at < request.length;) {
      const length = between(random, 1, 400);
      pieces.push(Buffer.from(request.slice(at, at + length), "latin1"));
      at += length;
    }
    const plain = new DirectCache();
    const traced = new DirectCache();
    const { session, context } = traced;
    traced.session = Object.create(session, {
      consume: {
        value: (input: Buffer, start: number, end: number) =>
          consumeTraced({ id: 1, session, out: context.out }, input, start, end).rest,
      },
      blocked: { get: () => session.blocked },
    }) as CacheSession;
    assert.equal(traced.feed(pieces), plain.feed(pieces), `seed ${seed}`);
  }
});

test("-R bounds a turn while commands are printed, too", () => {
  const cache = new DirectCache();
  const session = openSession({ ...cache.context, commandsPerTurn: 3 }, SPEECH, 0x67);
  const input = Buffer.from("get a\r\n".repeat(10));
  const { rest } = consumeTraced({ id: 1, session, out: cache.context.out }, input, 0, input.length);
  assert.equal(rest, 3 * "get a\r\n".length);
  assert.ok(session.blocked);
});

const SPEECH = { protocol: "auto", users: undefined, saslUsers: undefined, access: undefined } as const;
