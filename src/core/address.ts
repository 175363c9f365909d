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

/** The host of "127.0.0.1:11211" or "[::1]:5555", without brackets; of a host alone itself. */
export function hostOf(address: string): string {
  return address.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
}

/** True for addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host) || host.startsWith("::ffff:127.");
}

/** How many bits of an address count. */
export interface NetworkPrefix {
  readonly ipv4: number;
  readonly ipv6: number;
}

/** The network of an address in CIDR notation: "10.1.2.0/24", "2001:db8:0:1::/64"; text that is no address is its own. */
export function networkOf(host: string, { ipv4, ipv6 }: NetworkPrefix): string {
  const bare = host
    .replace(/^\[|\]$/g, "")
    .replace(/%.*$/, "")
    .replace(/^::ffff:(?=\d+\.)/i, "");
  if (/^\d+(\.\d+){3}$/.test(bare))
    return ipv4 === 32 ? bare : `${masked(bare.split(".").map(Number), 8, ipv4).join(".")}/${ipv4}`;
  if (!bare.includes(":")) return bare;
  const [head = "", tail] = bare.split("::");
  const groups = (text: string): number[] => (text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16)));
  const first = groups(head);
  const last = tail === undefined ? [] : groups(tail);
  const all = [...first, ...new Array<number>(Math.max(0, 8 - first.length - last.length)).fill(0), ...last];
  return `${masked(all, 16, ipv6)
    .map((group) => group.toString(16))
    .join(":")}/${ipv6}`;
}

function masked(groups: readonly number[], groupBits: number, prefix: number): number[] {
  return groups.map((group, index) => {
    const bits = Math.min(groupBits, Math.max(0, prefix - index * groupBits));
    return group & ~(2 ** (groupBits - bits) - 1);
  });
}
