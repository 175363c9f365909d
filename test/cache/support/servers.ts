/**
 * Cache servers as their clients meet them: a process on a unix socket of its own. `holdfast cache` and Debian's memcached take the
 * same flags, so one function starts either.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, type NetConnectOpts, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HOLDFAST, type Running, startServer } from "../../../bench/support/process.ts";

/** Command lines that start a cache server; flags follow. */
export const HOLDFAST_CACHE: readonly [string, ...string[]] = [...HOLDFAST, "cache"];
export const MEMCACHED: readonly [string, ...string[]] = [
  "memcached",
  ...(process.getuid?.() === 0 ? ["-u", "root"] : []), // it refuses to run as root by accident
];

/** 15 s: no conversation of the tests takes two. */
const SILENCE_MS_MAX = 15_000;

/** A cache server that was started for a test. */
export interface CacheServer extends Running {
  readonly at: NetConnectOpts;
}

/** Starts a cache server on a unix socket of its own, in a folder that goes when it stops. */
export async function startCache(command: readonly [string, ...string[]], flags: readonly string[] = []): Promise<CacheServer> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-cache-"));
  const at = { path: join(folder, "socket") };
  const running = await startServer([...command, "-s", at.path, ...flags], at);
  return {
    ...running,
    at,
    async stop() {
      await running.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Runs a test's body with servers that end with it. */
export async function withCaches<T>(
  commands: readonly (readonly [string, ...string[]])[],
  flags: readonly string[],
  body: (...servers: readonly CacheServer[]) => Promise<T>,
): Promise<T> {
  const servers: CacheServer[] = [];
  try {
    for (const command of commands) servers.push(await startCache(command, flags));
    return await body(...servers);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}

/**
 * Sends chunks one after the other and returns everything that the server answers until it closes the connection: the last chunk
 * must make it do so (`quit`).
 *
 * @throws Error with what was answered so far when the server falls silent
 */
export async function converse(at: NetConnectOpts, chunks: readonly Uint8Array[]): Promise<Buffer> {
  const socket = createConnection({ ...at, noDelay: true });
  const answer: Buffer[] = [];
  socket.on("data", (bytes: Buffer) => answer.push(bytes));
  socket.setTimeout(SILENCE_MS_MAX, () => {
    socket.destroy(
      new Error(`the server falls silent after ${JSON.stringify(Buffer.concat(answer).toString("latin1").slice(-200))}`),
    );
  });
  const closed = once(socket, "close");
  for (const chunk of chunks) {
    if (socket.destroyed) break;
    if (!socket.write(chunk)) await Promise.race([once(socket, "drain"), closed]);
    else if (chunks.length > 1) await new Promise((resolve) => void setImmediate(resolve));
  }
  await closed.catch((error: unknown) => {
    if (!(error instanceof Error && /ECONNRESET|EPIPE/.test(error.message))) throw error; // hung up on while still sending
  });
  return Buffer.concat(answer);
}

/** A connection on which each command is answered before the next is sent. */
export class Dialogue {
  readonly #socket: Socket;
  #answer = "";
  #heard: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => {
      this.#answer += bytes.toString("latin1");
      this.#heard();
    });
    socket.on("close", () => this.#heard());
    socket.on("error", () => this.#heard());
  }

  static async open(at: NetConnectOpts): Promise<Dialogue> {
    const socket = createConnection({ ...at, noDelay: true });
    await once(socket, "connect");
    return new Dialogue(socket);
  }

  /**
   * Sends a command of the text or meta protocol and resolves to its whole answer, empty for a quiet one: `mn` goes along, whose own
   * answer marks the end. Bytes are given and returned as latin1 text.
   *
   * @throws Error when the server closes the connection or falls silent
   */
  async ask(command: string): Promise<string> {
    this.#answer = "";
    this.#socket.write(`${command}mn\r\n`, "latin1");
    const late = setTimeout(() => this.#socket.destroy(), SILENCE_MS_MAX);
    while (!this.#answer.endsWith("MN\r\n") && !this.#socket.destroyed) {
      await new Promise<void>((resolve) => (this.#heard = resolve));
    }
    clearTimeout(late);
    if (this.#answer.endsWith("MN\r\n")) return this.#answer.slice(0, -"MN\r\n".length);
    throw new Error(`no whole answer to ${JSON.stringify(command)}: ${JSON.stringify(this.#answer)}`);
  }

  close(): void {
    this.#socket.destroy();
  }
}
