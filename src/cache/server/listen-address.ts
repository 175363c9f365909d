/** ○ An address to listen on, with memcached's prefixes: `notls:`, `btls:` or `mtls:`, `proto[ascii]:` or `proto[binary]:`. */
import { parseAddress } from "../../core/address.ts";
import { UsageError } from "../../core/errors.ts";
import { PORT_DEFAULT } from "./limits.ts";
import type { ProtocolConfig } from "./open-session.ts";

export interface ListenAddress {
  /** "HOST:PORT", "PORT" or "unix:/path". */
  readonly address: string;
  /** `notls` leaves the address without TLS, `mtls` wants a client's certificate; `btls` and nothing are the usual. */
  readonly tls: "notls" | "btls" | "mtls";
  /** The protocol of this address; undefined for the server's. */
  readonly protocol: ProtocolConfig["protocol"] | undefined;
}

/** @throws UsageError CACHE_LISTEN_INVALID for a protocol that there is not */
export function parseListenAddress(text: string): ListenAddress {
  let address = text;
  let tls: ListenAddress["tls"] = "btls";
  let protocol: ListenAddress["protocol"];
  for (let found = PREFIX.exec(address); found; found = PREFIX.exec(address)) {
    const [whole, word, spoken] = found;
    address = address.slice(whole.length);
    if (word === "notls" || word === "btls" || word === "mtls") tls = word;
    else if (spoken === "ascii" || spoken === "binary") protocol = spoken;
    else if (spoken === "negotiating") protocol = "auto";
    else
      throw new UsageError("CACHE_LISTEN_INVALID", `Cannot listen on ${text}: protocol must be ascii, binary or negotiating`);
  }
  return { address, tls, protocol };
}

/** The ports that IPv4 addresses among these have: an IPv6 address of the same port must leave IPv4 to them. */
export function ipv4Ports(texts: string | readonly string[] = []): ReadonlySet<number> {
  const addresses = [texts].flat().map((text) => parseListenAddress(text).address);
  const named = addresses
    .filter((address) => !address.startsWith("unix:"))
    .map((address) => parseAddress(address, "listen", { port: PORT_DEFAULT }));
  return new Set(named.filter(({ host }) => IPV4.test(host)).map(({ port }) => port));
}

const IPV4 = /^\d+\.\d+\.\d+\.\d+$/;

const PREFIX = /^(notls|btls|mtls|proto\[(\w+)\]):/;
