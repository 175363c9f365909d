/** A real PostgreSQL on loopback, with a folder of its own. It dies with the process that started it, however that ends. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { freePort } from "../../bench/support/process.ts";

/** 30 s: it takes 2 s on an idle machine. */
const READY_MS_MAX = 30_000;
/** It refuses to run as root. */
const AS_POSTGRES = process.getuid?.() === 0 ? ["--reuid=postgres", "--regid=postgres", "--clear-groups"] : [];

export class Postgres {
  readonly url: string;
  readonly #server: ChildProcess;
  readonly #folder: string;

  private constructor(url: string, server: ChildProcess, folder: string) {
    this.url = url;
    this.#server = server;
    this.#folder = folder;
  }

  /** @param fsync on: each commit is on disk before it is answered. Default off. */
  static async start({ fsync = false }: { readonly fsync?: boolean } = {}): Promise<Postgres> {
    const bin = dirname(globSync("/usr/lib/postgresql/*/bin/postgres").sort().at(-1)!);
    const folder = mkdtempSync(join(tmpdir(), "holdfast-postgres-"));
    if (AS_POSTGRES.length > 0) execFileSync("chown", ["postgres", folder]);
    const data = join(folder, "data");
    const run = (...words: string[]): string[] => ["--pdeathsig", "KILL", ...AS_POSTGRES, ...words];
    execFileSync("setpriv", run(join(bin, "initdb"), "-D", data, "-U", "test", "-A", "trust", "--no-sync", "-E", "UTF8"), {
      stdio: ["ignore", "ignore", "inherit"],
      cwd: folder,
    });
    const port = await freePort();
    // What is committed survives a kill -9 without fsync as well: only a power cut would cost it.
    const settings = {
      listen_addresses: "127.0.0.1",
      port: `${port}`,
      unix_socket_directories: "",
      fsync: fsync ? "on" : "off",
    };
    const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const server = spawn("setpriv", run(join(bin, "postgres"), "-D", data, ...flags), { stdio: "ignore", cwd: folder });
    const postgres = new Postgres(`postgres://test@127.0.0.1:${port}/postgres`, server, folder);
    await postgres.#answers();
    return postgres;
  }

  async close(): Promise<void> {
    if (this.#server.exitCode === null && this.#server.signalCode === null) {
      this.#server.kill("SIGINT");
      await once(this.#server, "exit");
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #answers(): Promise<void> {
    for (const sinceMs = performance.now(); ; await sleep(50)) {
      const client = new Client(this.url);
      try {
        await client.connect();
        await client.end();
        return;
      } catch (error) {
        if (performance.now() - sinceMs > READY_MS_MAX) throw error;
      }
    }
  }
}
