/**
 * ○ Addresses as people write them for TCP: "HOST:PORT", "PORT", ":PORT", "[::1]:PORT". URLs (tcp://, ipc://) are the socket
 * patterns' own and stand in zmq.
 */
import { UsageError } from "./errors.ts";
import { HOST_DEFAULT } from "./limits.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * Reads an address; what it leaves out comes from `defaults`.
 *
 * @param name the flag or option, for the error's sentence
 * @throws UsageError ADDRESS_INVALID
 */
export function parseAddress(text: string, name: string, defaults: { host?: string; port?: number } = {}): Address {
  const match = /^(?:(?:\[([^\]]+)\]|([^:[\]\s]*)):)?(\d{1,5})$/.exec(text.trim());
  const port = Number(match?.[3]);
  if (match && port <= 65_535) return { host: match[1] ?? (match[2] || (defaults.host ?? HOST_DEFAULT)), port };
  if (defaults.port !== undefined && /^[^:[\]\s]+$/.test(text)) return { host: text, port: defaults.port };
  throw new UsageError(
    "ADDRESS_INVALID",
    `Cannot read ${name}: '${text}' is not an address; write HOST:PORT, such as 127.0.0.1:8080`,
  );
}

/** "127.0.0.1:8080"; IPv6 hosts in brackets. */
export function showAddress({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The port at the end of "127.0.0.1:11211" or "tcp://[::1]:5555"; undefined for an address without one. */
export function portOf(address: string): number | undefined {
  const port = /:(\d+)$/.exec(address)?.[1];
  return port === undefined ? undefined : Number(port);
}

/** True for addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host) || host.startsWith("::ffff:127.");
}
