/** `holdfast cache` as a process: its flags, its user, its signals, and that no stranger holds up its end. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { COMPILE_CACHE, HOLDFAST } from "../../../bench/support/process.ts";
import { requires } from "../../support/requires.ts";
import { makeCertificates } from "../../link/support/certificates.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-command-"));
const root = process.getuid?.() === 0 ? false : "needs root";

/** Runs `holdfast cache` until `ready` or its end. */
function cache(flags: readonly string[], env: Record<string, string> = {}) {
  const [file, ...words] = HOLDFAST;
  const child = spawn(file!, [...words, "cache", ...flags], {
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said.out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said.err += text));
  const ended = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  return { child, said, ended };
}

/** The ports that it wrote to its port file, which it does last before it serves. */
async function portsIn(file: string): Promise<{ kind: string; port: number }[]> {
  for (let turn = 0; turn < 400 && !existsSync(file); turn += 1) await sleep(25);
  return readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => ({ kind: line.slice(0, 3), port: Number(line.split(" ").at(-1)) }));
}

test("-h begins with the line that test harnesses of memcached clients look for", async () => {
  const { said, ended } = cache(["-h"]);
  assert.deepEqual(await ended, [0, null]);
  assert.equal(said.out.split("\n")[0], "memcached 1.6.45");
});

for (const [flags, kinds] of [
  [
    ["-l", "::1", "-U", "-1"],
    ["TCP", "UDP"],
  ],
  [
    ["-l", "[::1],127.0.0.1", "-U", "-1"],
    ["TCP", "TCP", "UDP", "UDP"],
  ],
  [
    ["-l", "0.0.0.0,::", "-U", "-1"],
    ["TCP", "TCP", "UDP", "UDP"],
  ],
] as const) {
  test(`${flags.join(" ")} listens on each of them`, async () => {
    const file = join(folder, `ports-${flags[1].replaceAll(/\W/g, "_")}`);
    const { child, said, ended } = cache(["-p", "-1", ...flags], { MEMCACHED_PORT_FILENAME: file });
    void ended.then(() => existsSync(file) || assert.fail(said.err));
    const ports = await portsIn(file);
    assert.deepEqual(ports.map(({ kind }) => kind), kinds); // prettier-ignore
    child.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null]);
  });
}

test("-l 0.0.0.0,:: listens on one port of both families", async () => {
  const file = join(folder, "one-port");
  const free = await (async () => {
    const probe = cache(["-p", "-1", "-l", "127.0.0.1"], { MEMCACHED_PORT_FILENAME: `${file}-probe` });
    const ports = await portsIn(`${file}-probe`);
    probe.child.kill("SIGTERM");
    await probe.ended;
    return ports[0]!.port;
  })();
  const { child, ended } = cache(["-p", String(free), "-U", String(free), "-l", "0.0.0.0,::"], {
    MEMCACHED_PORT_FILENAME: file,
  });
  assert.deepEqual(await portsIn(file), [
    { kind: "TCP", port: free },
    { kind: "TCP", port: free },
    { kind: "UDP", port: free },
    { kind: "UDP", port: free },
  ]);
  child.kill("SIGTERM");
  assert.deepEqual(await ended, [0, null]);
});

for (const signal of ["SIGTERM", "SIGUSR1", "SIGINT"] as const) {
  test(`${signal} at the moment it listens drains it and writes its memory file`, async () => {
    const memory = join(folder, `memory-${signal}`);
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const { child, said, ended } = cache(["-p", String(port), "-l", "127.0.0.1", "-e", memory]);
    for (let tries = 0; tries < 20_000; tries += 1) {
      const socket = connect(port, "127.0.0.1");
      const there = await new Promise<boolean>((resolve) => {
        socket.once("connect", () => resolve(true));
        socket.once("error", () => resolve(false));
      });
      if (there) {
        child.kill(signal);
        socket.destroy();
        break;
      }
    }
    assert.deepEqual(await ended, [0, null], said.err);
    assert.ok(existsSync(`${memory}.meta`));
  });
}

test(
  "clients that never finish a TLS handshake do not hold up the end, and the memory file is written",
  requires("openssl"),
  async () => {
    const memory = join(folder, "tls-memory");
    const file = join(folder, "tls-ports");
    const { cert, key } = makeCertificates().server;
    const [certFile, keyFile] = [join(folder, "own.crt"), join(folder, "own.key")];
    writeFileSync(certFile, cert);
    writeFileSync(keyFile, key, { mode: 0o600 });
    const { child, said, ended } = cache(
      ["-p", "-1", "-l", "127.0.0.1", "-Z", "-o", `ssl_chain_cert=${certFile},ssl_key=${keyFile}`, "-e", memory],
      { MEMCACHED_PORT_FILENAME: file },
    );
    const { port } = (await portsIn(file))[0]!;
    const strangers = Array.from({ length: 3 }, () => connect(port, "127.0.0.1").on("error", () => {}));
    await Promise.all(strangers.map((socket) => once(socket, "connect")));
    strangers[1]!.write(Buffer.from([0x16, 0x03, 0x01, 0x02]));
    await sleep(50);
    const began = performance.now();
    child.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null], said.err);
    assert.ok(performance.now() - began < 3000);
    assert.ok(existsSync(`${memory}.meta`));
    for (const socket of strangers) socket.destroy();
  },
);

test("-u with a user that there is not ends with 67 before it listens", { skip: root }, async () => {
  const { said, ended } = cache(["-p", "-1", "-l", "127.0.0.1", "-u", "nosuchuser"]);
  assert.deepEqual(await ended, [67, null]);
  assert.match(said.err, /can't find the user nosuchuser to switch to/);
});

test(
  "-u nobody serves as nobody, with nobody's own group and no other, and its unix socket is nobody's",
  { skip: root },
  async () => {
    const path = join(mkdtempSync(join(tmpdir(), "holdfast-user-")), "socket");
    const { child, ended } = cache(["-s", path, "-u", "nobody"]);
    const status = (): string => readFileSync(`/proc/${child.pid}/status`, "utf8");
    const [, , uid, gid] = /^nobody:.*/m.exec(readFileSync("/etc/passwd", "utf8"))![0].split(":");
    for (let turn = 0; turn < 400 && !status().includes(`Uid:\t${uid}\t${uid}`); turn += 1) await sleep(25);
    assert.match(status(), new RegExp(`^Uid:\\s${uid}\\s${uid}\\s${uid}\\s${uid}$`, "m"));
    assert.match(status(), new RegExp(`^Gid:\\s${gid}\\s${gid}\\s${gid}\\s${gid}$`, "m"));
    assert.match(status(), /^Groups:\s*$/m);
    child.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null]);
  },
);
