/** ○ Parses the addresses of a connection in /proc/net/tcp ("0100007F:2BCB 0300007F:9C40"). */

export interface KernelAddresses {
  readonly local: string;
  readonly remote: string;
  readonly localPort: number;
}

/** @param key as link's `endKey` makes it: words of 32 bits in little-endian order, ports in hexadecimal */
export function addressesOf(key: string): KernelAddresses {
  const [local, remote] = key.split(" ") as [string, string];
  return { local: show(local), remote: show(remote), localPort: hexPort(local) };
}

function hexPort(end: string): number {
  return Number.parseInt(end.slice(end.indexOf(":") + 1), 16);
}

function show(end: string): string {
  const hex = end.slice(0, end.indexOf(":"));
  const octets = (hex.match(/.{8}/g) ?? []).flatMap((word) =>
    (word.match(/../g) ?? []).reverse().map((pair) => Number.parseInt(pair, 16)),
  );
  if (octets.length === 4) return `${octets.join(".")}:${hexPort(end)}`;
  const groups = Array.from({ length: 8 }, (_, index) => ((octets[2 * index]! << 8) | octets[2 * index + 1]!).toString(16));
  const text = groups.join(":").replace(/(^|:)0(:0)+(:|$)/, "::");
  return `[${text}]:${hexPort(end)}`;
}
