/** ● Network interfaces by their names, where addresses name them: "tcp://eth0:5555". */
import { networkInterfaces } from "node:os";

/** "eth0" → its first address; anything else as it is. */
export function interfaceAddress(host: string, ipv6: boolean): string {
  const addresses = networkInterfaces()[host];
  const wanted = addresses?.find(({ family }) => (family === "IPv6") === ipv6) ?? addresses?.[0];
  return wanted?.address ?? host;
}
