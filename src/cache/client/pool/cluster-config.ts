/**
 * ○ The configuration of a cluster as AWS ElastiCache, Google Memorystore and Holdfast give it: a version, and a line of
 * "HOST|IP|PORT" entries. The IP may be missing; hosts may begin with digits.
 */
import { ProtocolError } from "../../../core/errors.ts";
import { unexpected } from "../protocol/in-flight.ts";
import type { ReplyReader } from "../operations/operation.ts";
import { parseServer, type ServerAddress } from "../operations/server-address.ts";

/** The servers of a cluster. */
export interface ClusterConfig {
  /** Grows with every change. */
  readonly version: number;
  readonly servers: readonly ServerAddress[];
}

/** The item of engines before 1.4.14, which knew no `config get`. */
export const OLD_CLUSTER_KEY = "AmazonElastiCache:cluster";

/** @throws ProtocolError CACHE_REPLY_INVALID */
export function parseClusterConfig(text: string): ClusterConfig {
  const [first = "", second = ""] = text.split("\n");
  const version = Number(first.trim());
  const entries = second.trim().split(/\s+/).filter(Boolean);
  if (!/^\d+$/.test(first.trim()) || entries.length === 0) throw unreadable(text);
  return { version, servers: entries.map((entry) => parseEntry(entry, text)) };
}

function parseEntry(entry: string, text: string): ServerAddress {
  const [host = "", ip = "", port = ""] = entry.split("|");
  const name = host || ip;
  if (!name || !/^\d{1,5}$/.test(port)) throw unreadable(text);
  return parseServer(name.includes(":") ? `[${name}]:${port}` : `${name}:${port}`);
}

/** Reads the replies of `config get cluster` and of the older `get`; undefined: the server has no such configuration. */
export function clusterConfigReply(): ReplyReader<ClusterConfig | undefined> {
  let found: string | undefined;
  return (reply, verb) => {
    switch (reply.kind) {
      case "CONFIG":
      case "VALUE":
        found = reply.valueBytes.toString("latin1");
        return undefined;
      case "END":
        return { result: found === undefined ? undefined : parseClusterConfig(found) };
      default:
        throw unexpected(reply, verb);
    }
  };
}

function unreadable(text: string): ProtocolError {
  return new ProtocolError(
    "CACHE_REPLY_INVALID",
    `Cannot read cluster: '${text.slice(0, 100)}' is not a cluster configuration`,
  );
}
