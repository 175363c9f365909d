/** ○ Addresses of servers, as options give them. */
import { UsageError } from "../../../core/errors.ts";
import { parseAddress, showAddress } from "../../../core/address.ts";

/** 11211: memcached's port. */
export const PORT_DEFAULT = 11_211;

/** One server: "HOST:PORT", "HOST" (port 11211), "/PATH" or "unix:/PATH" of a unix socket; or that with a weight and a zone. */
export type ServerSpec = string | { readonly address: string; readonly weight?: number; readonly zone?: string };

/** A server as the client keeps it. */
export interface ServerAddress {
  /** Its name in events, errors and statistics: "10.0.0.1:11211" or the socket's path. */
  readonly name: string;
  readonly host: string;
  /** 0 for a unix socket. */
  readonly port: number;
  /** The unix socket's path. */
  readonly path: string | undefined;
  readonly weight: number;
  /** What fails together with others of that name, such as a data centre. */
  readonly zone?: string;
  /** The name that its certificate must have, where that is not `host`. */
  readonly tlsName?: string;
}

/** @throws UsageError ADDRESS_INVALID or CACHE_OPTION_INVALID */
export function parseServer(spec: ServerSpec): ServerAddress {
  const { address, weight = 1, zone } = typeof spec === "string" ? { address: spec } : spec;
  if (!(Number.isFinite(weight) && weight > 0)) {
    throw new UsageError("CACHE_OPTION_INVALID", `Cannot use server ${address}: weight ${weight} is not a number above 0`);
  }
  if (zone !== undefined && (typeof zone !== "string" || zone === "")) {
    throw new UsageError("CACHE_OPTION_INVALID", `Cannot use server ${address}: its zone is not a name`);
  }
  const inZone = zone === undefined ? {} : { zone };
  const path = /^(?:unix:)?(\/.*)$/.exec(address)?.[1];
  if (path !== undefined) return { name: path, host: path, port: 0, path, weight, ...inZone };
  const { host, port } = parseAddress(address, "server", { port: PORT_DEFAULT });
  return { name: showAddress({ host, port }), host, port, path: undefined, weight, ...inZone };
}
