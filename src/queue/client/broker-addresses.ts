/**
 * ● The brokers behind one URL: a name with several addresses means a connection to each of them. The name is looked up again
 * every half minute; new addresses are connected, ones that are gone from the name are let go when they also answer no more.
 */
import { lookup as systemLookup } from "node:dns/promises";
import { isIP } from "node:net";
import { UsageError } from "../../core/errors.ts";

/** All addresses of a host name. */
export type Lookup = (host: string) => Promise<readonly string[]>;

export const lookupAll: Lookup = async (host) => {
  const found = await systemLookup(host, { all: true });
  return found.map(({ address }) => address);
};

/** 30 s: a broker that is added to the name gets work within half a minute. */
export const LOOKUP_MS = 30_000;
/** 1 s while no address is known: as soon as a broker that restarts is found. */
export const LOOKUP_AGAIN_MS = 1000;

export interface BrokerUrl {
  /** undefined: the URL is one endpoint as it is. */
  readonly host: string | undefined;
  /** The endpoint of one of the host's addresses. */
  endpoint(address: string): string;
  readonly url: string;
}

/** @throws UsageError QUEUE_OPTIONS_INVALID */
export function parseBrokerUrl(url: string): BrokerUrl {
  const tcp = /^tcp:\/\/(\[[^\]]+\]|[^:/]+):(\d+)$/.exec(url);
  if (!tcp) {
    if (/^(ipc|inproc):\/\/./.test(url)) return { host: undefined, endpoint: () => url, url };
    throw new UsageError("QUEUE_OPTIONS_INVALID", `Cannot connect to '${url}': write tcp://HOST:PORT or ipc://PATH`);
  }
  const [, name, port] = tcp as unknown as [string, string, string];
  const host = name.replace(/^\[(.*)\]$/, "$1");
  const endpoint = (address: string): string => `tcp://${address.includes(":") ? `[${address}]` : address}:${port}`;
  return { host: isIP(host) ? undefined : host, endpoint: isIP(host) ? () => url : endpoint, url };
}
