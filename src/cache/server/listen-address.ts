/** ○ An address to listen on, with memcached's prefixes: `notls:`, `btls:` or `mtls:`, `proto[ascii]:` or `proto[binary]:`. */
import { UsageError } from "../../core/errors.ts";
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

const PREFIX = /^(notls|btls|mtls|proto\[(\w+)\]):/;
