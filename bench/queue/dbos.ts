/**
 * The rival of bench/queue-workflows.ts: DBOS Transact, whose workflows keep each step in PostgreSQL. Its package is not among ours: it is installed
 * into a folder of its own. PostgreSQL writes each commit to disk before it answers (synchronous_commit and fsync on).
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Postgres } from "../../test/support/postgres.ts";
import type { Workflows } from "../queue-workflows.ts";

/** What of its SDK is used here. */
interface Sdk {
  readonly DBOS: {
    setConfig(config: object): void;
    registerWorkflow<T>(run: (steps: number) => Promise<T>, options: { name: string }): (steps: number) => Promise<T>;
    runStep<T>(act: () => Promise<T>, options: { name: string }): Promise<T>;
    launch(): Promise<void>;
    shutdown(): Promise<void>;
  };
}

export async function dbos(): Promise<Workflows> {
  const postgres = await Postgres.start({ fsync: true });
  const folder = mkdtempSync(join(tmpdir(), "bench-dbos-"));
  writeFileSync(join(folder, "package.json"), "{}");
  execFileSync("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", "@dbos-inc/dbos-sdk@5"], {
    cwd: folder,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const { DBOS } = createRequire(join(folder, "index.js"))("@dbos-inc/dbos-sdk") as Sdk;
  DBOS.setConfig({ name: "bench", systemDatabaseUrl: postgres.url, logLevel: "error", runAdminServer: false });
  const workflow = DBOS.registerWorkflow(
    async (steps) => {
      for (let step = 0; step < steps; step += 1) await DBOS.runStep(() => Promise.resolve(step), { name: `step ${step}` });
    },
    { name: "workflow" },
  );
  await DBOS.launch();
  return {
    run: (steps) => workflow(steps),
    async stop() {
      await DBOS.shutdown();
      await postgres.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
