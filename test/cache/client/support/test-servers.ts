/** Servers for the tests of the cache client: each on a port or a socket of its own, ended with the test. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { CacheServer, type CacheServerOptions } from "../../../../src/cache/index.ts";

/** A running server. */
export interface TestServer {
  /** "127.0.0.1:PORT", or the path of its unix socket. */
  readonly address: string;
}

/** One in a process of its own, which can be killed. */
export interface ForeignServer extends TestServer {
  readonly port: number;
  readonly process: ChildProcess;
}

/** Every server that the client must serve alike, by name, with the Debian package it needs. */
export const TEST_SERVERS: Readonly<
  Record<string, { readonly needs: readonly string[]; start(t: TestContext): Promise<TestServer> }>
> = {
  "Debian's memcached": { needs: ["memcached"], start: (t) => memcached(t) },
  "Holdfast's server": { needs: [], start: (t) => holdfast(t) },
};

/** Our own server, in this process. */
export async function holdfast(t: TestContext, options: CacheServerOptions = {}): Promise<TestServer> {
  const server = new CacheServer({ listen: "127.0.0.1:0", ...options });
  await server.listen();
  t.after(() => void server.close()); // resolves once its clients are gone, which close after it
  return { address: server.address };
}

/** Debian's memcached on a port of its own. */
export async function memcached(t: TestContext, ...flags: string[]): Promise<ForeignServer> {
  return memcachedAt(t, await freePort(), ...flags);
}

/** Debian's memcached on a port of its own, with variables in its environment. */
export async function memcachedWith(t: TestContext, variables: NodeJS.ProcessEnv, ...flags: string[]): Promise<ForeignServer> {
  return launch(t, await freePort(), variables, flags);
}

/** Debian's memcached on a port that was free a moment ago, as when it is started again. */
export async function memcachedAt(t: TestContext, port: number, ...flags: string[]): Promise<ForeignServer> {
  return launch(t, port, {}, flags);
}

async function launch(
  t: TestContext,
  port: number,
  variables: NodeJS.ProcessEnv,
  flags: readonly string[],
): Promise<ForeignServer> {
  const child = spawn("memcached", ["-u", "root", "-l", "127.0.0.1", "-p", String(port), "-U", "0", ...flags], {
    stdio: "ignore",
    env: { ...process.env, ...variables },
  });
  t.after(() => stop(child));
  await listening({ host: "127.0.0.1", port });
  return { address: `127.0.0.1:${port}`, port, process: child };
}

/** Debian's memcached on a unix socket. */
export async function memcachedOnSocket(t: TestContext): Promise<ForeignServer> {
  const path = join(temporary(t), "memcached.sock");
  const child = spawn("memcached", ["-u", "root", "-s", path], { stdio: "ignore" });
  t.after(() => stop(child));
  await listening({ path });
  return { address: path, port: 0, process: child };
}

/** A folder that goes with the test. */
export function temporary(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-cache-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

/** A port that nothing listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function listening(at: { host: string; port: number } | { path: string }): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    const socket = connect(at);
    const open = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    socket.destroy();
    if (open) return;
    await delay(10);
  }
  throw new Error(`nothing listens at ${JSON.stringify(at)}`);
}
