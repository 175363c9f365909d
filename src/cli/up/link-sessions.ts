/** ● The link server of `up` in session mode: what peers send becomes tasks of a queue beside it, and their last word a value of the cache. */
import { CacheClient, type CacheServer } from "../../cache/index.ts";
import type { Address } from "../../core/address.ts";
import { UsageError } from "../../core/errors.ts";
import { listen, type Reading, type SessionServer } from "../../link/index.ts";
import { type Broker, queue } from "../../queue/index.ts";
import type { LINK } from "../../settings/parts.ts";
import type { Values } from "../../settings/table.ts";
import { linkOptions } from "../shared/part-options.ts";
import { listenWebSocket, type WebSocketListener } from "../shared/websocket-listener.ts";

type LinkSettings = Values<(typeof LINK)["settings"]>;

/** The servers that it needs, as far as they run. */
interface OtherServers {
  readonly cache?: CacheServer;
  readonly queue?: Broker;
}

/** @throws UsageError CLI_USAGE when a setting needs another one, or a part that is off */
export function checkSessions(
  { toQueue, toCache, token, websocket }: LinkSettings,
  runs: { queue: boolean; cache: boolean },
): void {
  const needs = (what: string, why: string): never => {
    throw new UsageError("CLI_USAGE", `${what} needs ${why}`);
  };
  if (toQueue === undefined && toCache) needs("--link-to-cache", "--link-to-queue");
  if (toQueue === undefined && token !== undefined) needs("--link-token-file", "--link-to-queue: only sessions have tokens");
  if (toQueue === undefined && websocket !== undefined)
    needs("--link-websocket", "--link-to-queue: only sessions come by WebSocket");
  if (toQueue !== undefined && !runs.queue) needs("--link-to-queue", "the queue, which is off");
  if (toCache && !runs.cache) needs("--link-to-cache", "a cache in this process, without users and TLS");
}

/** Listens. `close` ends the clients of queue and cache too. */
export async function listenSessions(
  address: Address,
  settings: LinkSettings & { readonly toQueue: string },
  { cache, queue: broker }: OtherServers,
): Promise<{ readonly server: SessionServer; close(): Promise<void> }> {
  const { token, toQueue, toCache } = settings;
  const { tls, ...keepAlive } = linkOptions(settings);
  const readings = queue<Reading>(toQueue, { broker: broker!, log: false });
  const values = toCache ? new CacheClient({ servers: [cache!.address] }) : undefined;
  const server = await listen({
    ...address,
    ...keepAlive,
    ...(tls && { tls }),
    session: { ...(token !== undefined && { token }) },
    toQueue: readings,
    ...(values && { toCache: values }),
  });
  let web: WebSocketListener | undefined;
  const close = async (): Promise<void> => {
    await server.close();
    await Promise.all([readings.close(), values?.close(), web?.close()]);
  };
  try {
    web = await listenWebSocket(settings, server, tls);
  } catch (error) {
    await close();
    throw error;
  }
  return { server, close };
}
