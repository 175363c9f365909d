/**
 * ● What a power cut could cost, read from the NATS servers where they tell: a server writes to its files at once and makes the disk keep
 * them every `sync_interval`. Servers tell that only to users of their system account, and only since 2.10; else the default is named.
 */
import type { ClusterConnection } from "./cluster-connection.ts";

/** nats-server's default. */
const SYNC_INTERVAL_MS_DEFAULT = 120_000;
const ASK_MS = 500;
const STALL_MS = 150;
const MS = 1_000_000;

interface ServerReport {
  readonly data?: { readonly config?: { readonly sync_interval?: number; readonly sync_always?: boolean } };
}

/** Facts for one line of the log. */
export async function durability(connection: ClusterConnection, replicas: number): Promise<Record<string, unknown>> {
  const known: number[] = [];
  try {
    const answers = await connection.nats.requestMany("$SYS.REQ.SERVER.PING.JSZ", "{}", {
      strategy: "stall",
      maxWait: ASK_MS,
      stall: STALL_MS,
    });
    for await (const answer of answers) {
      const config = answer.json<ServerReport>().data?.config;
      if (config?.sync_always) known.push(0);
      else if (config?.sync_interval !== undefined) known.push(config.sync_interval / MS);
    }
  } catch {
    // This user may not ask, or nobody answers: the default is assumed and named as such.
  }
  const worstMs = known.length > 0 ? Math.max(...known) : SYNC_INTERVAL_MS_DEFAULT;
  const source = known.length > 0 ? "as the servers say" : "nats-server's default, the servers did not tell theirs";
  return { server: connection.serverVersion, replicas, powerCut: sentence(worstMs, replicas), source };
}

function sentence(syncMs: number, replicas: number): string {
  if (syncMs === 0) return "loses nothing that was acknowledged (sync_interval: always)";
  const much = `what was acknowledged in the last ${syncMs / 1000} s`;
  if (replicas === 1)
    return `of the NATS server may lose ${much}; sync_interval: always loses nothing, 3 replicas need more than one cut`;
  return `of most NATS servers at once may lose ${much}; of fewer nothing`;
}
