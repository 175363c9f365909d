/** ○ Endpoints: "tcp://host:port", "ipc://path", "ipc://@abstract", "inproc://name" → their parts, and back. */
import { utf8 } from "../../core/bytes.ts";
import { wrongType, zmqError, type ZmqErrorCode } from "../errors.ts";

/** Where to connect from; port 0: any. */
export interface SourceAddress {
  readonly host: string;
  readonly port: number;
}

export type Endpoint =
  | {
      readonly transport: "tcp";
      /** A name, an address without brackets, an interface's name, or "*". */
      readonly host: string;
      /** 0: any. */
      readonly port: number;
      /** "tcp://source;destination": where to connect from. */
      readonly source: SourceAddress | undefined;
    }
  | { readonly transport: "ipc"; /** "*": any; starting with "@": abstract. */ readonly path: string }
  | { readonly transport: "inproc"; readonly name: string };

/** 107 octets: `sun_path` of Linux without its last zero. Node cuts a longer one off and binds that. */
const PATH_BYTES_MAX = 107;

/** @throws UsageError EINVAL, EPROTONOSUPPORT, ENAMETOOLONG */
export function parseEndpoint(address: string): Endpoint {
  if (typeof address !== "string") throw wrongType("Address must be a string");
  const match = /^([a-z]+):\/\/(.+)$/s.exec(address);
  if (!match) throw invalid(address, "it is not 'transport://address'");
  const [, transport, rest] = match as unknown as [string, string, string];
  switch (transport) {
    case "tcp": {
      const [destination, source] = rest.includes(";") ? rest.split(";", 2).toReversed() : [rest, undefined];
      const { host, port } = parseHostPort(address, destination!);
      return { transport, host, port, source: source === undefined ? undefined : parseHostPort(address, source) };
    }
    case "ipc":
      if (rest === "@") throw invalid(address, "an abstract name is not empty");
      if (utf8(rest).length > PATH_BYTES_MAX)
        throw refused("ENAMETOOLONG", address, `a path has at most ${PATH_BYTES_MAX} octets`);
      return { transport, path: rest };
    case "inproc":
      return { transport, name: rest };
    default:
      throw refused("EPROTONOSUPPORT", address, "transports are tcp, ipc and inproc");
  }
}

/**
 * As `parseEndpoint`, for connecting: to all addresses or any port nothing can.
 *
 * @throws UsageError EINVAL, EPROTONOSUPPORT, ENAMETOOLONG
 */
export function parseDestination(address: string): Endpoint {
  const endpoint = parseEndpoint(address);
  if (endpoint.transport === "tcp" && (endpoint.host === "*" || address.endsWith(":*")))
    throw invalid(address, "a '*' can be bound, not connected to");
  return endpoint;
}

/** The endpoint of an address, as `lastEndpoint` shows it. */
export function tcpEndpoint(host: string, port: number): string {
  return host.includes(":") ? `tcp://[${host}]:${port}` : `tcp://${host}:${port}`;
}

/** What Node calls the path: an abstract one starts with a zero octet. */
export function socketPath(path: string): string {
  return path.startsWith("@") ? `\0${path.slice(1)}` : path;
}

function parseHostPort(address: string, text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]\s]+)\]|(\S+)):(\d+|\*)$/.exec(text);
  if (!match) throw invalid(address, "a tcp address is 'host:port'");
  const port = match[3] === "*" ? 0 : Number(match[3]);
  if (port > 65_535) throw invalid(address, `port ${port} is above 65535`);
  return { host: match[1] ?? match[2]!, port };
}

function invalid(address: string, reason: string): Error {
  return refused("EINVAL", address, reason);
}

function refused(code: ZmqErrorCode, address: string, reason: string): Error {
  return zmqError(code, { detail: `Cannot use ${JSON.stringify(address)}: ${reason}`, address });
}
