/** ● Settings of the parts as the options of what runs them: files are read here, and what two settings mean together is checked. */
import { readFileSync } from "node:fs";
import type { CacheServerOptions } from "../../cache/index.ts";
import { parseAddress, showAddress } from "../../core/address.ts";
import { codeOf, messageOf, OperationError, UsageError } from "../../core/errors.ts";
import { readSecret } from "../../core/private-files.ts";
import type { KeepAliveOptions } from "../../link/index.ts";
import type { BrokerOptions, BrokerSecurity } from "../../queue/index.ts";
import type { CACHE, CONNECT, LINK_ALONE, QUEUE } from "../../settings/parts.ts";
import type { Values } from "../../settings/table.ts";
import { readKeys } from "./key-file.ts";

type QueueValues = Values<(typeof QUEUE)["settings"]>;
type CacheValues = Values<(typeof CACHE)["settings"]>;
type LinkValues = Values<(typeof LINK_ALONE)["settings"]>;
type ConnectValues = Values<(typeof CONNECT)["settings"]>;

/** @throws UsageError CLI_USAGE, OperationError CLI_USAGE when a file cannot be read */
export function brokerOptions({ plainUsers, curveKeys, curveClients, data, ...rest }: QueueValues): BrokerOptions {
  const security = brokerSecurity(plainUsers, { keys: curveKeys, clients: curveClients });
  return { ...rest, data: data === "memory" ? false : data, ...(security && { security }) };
}

function brokerSecurity(
  plainUsers: string | undefined,
  curve: { keys: string | undefined; clients: string | undefined },
): BrokerSecurity | undefined {
  if (plainUsers !== undefined && curve.keys !== undefined)
    throw new UsageError("CLI_USAGE", "Use --plain-users or --curve-keys, not both");
  if (plainUsers !== undefined) {
    const users = lines(read(plainUsers, readSecret)).map((line) => {
      const colon = line.indexOf(":");
      if (colon < 1) throw new UsageError("CLI_USAGE", `Cannot read ${plainUsers}: each line must be NAME:PASSWORD`);
      return [line.slice(0, colon), line.slice(colon + 1)] as const;
    });
    return { plain: Object.fromEntries(users) };
  }
  if (curve.keys === undefined) {
    if (curve.clients !== undefined)
      throw new UsageError("CLI_USAGE", "--curve-clients needs --curve-keys with the broker's keys");
    return undefined;
  }
  return {
    curve: { ...readKeys(curve.keys), ...(curve.clients === undefined ? {} : { clients: lines(read(curve.clients)) }) },
  };
}

export function cacheOptions({ listen, tlsCert, tlsKey, tlsCa, ...rest }: CacheValues): CacheServerOptions {
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new UsageError("CLI_USAGE", "--cache-tls-cert and --cache-tls-key must be given together");
  const files = tlsCert === undefined || tlsKey === undefined ? undefined : { chainCert: tlsCert, key: tlsKey };
  return {
    ...rest,
    listen: listen.map((address) =>
      address.startsWith("unix:") ? address : showAddress(parseAddress(address, "--cache", { port: 11_211 })),
    ),
    ...(files && { tls: tlsCa === undefined ? files : { ...files, caCert: tlsCa, verifyMode: 2 } }),
  };
}

/** What `listen` takes beside the address. */
export interface LinkListenOptions extends KeepAliveOptions {
  readonly tls?: { readonly cert?: Buffer; readonly key?: Buffer; readonly ca?: Buffer; readonly requestCert?: boolean };
}

export function linkOptions({ idle, interval, count, userTimeout, cert, key, ca }: LinkValues): LinkListenOptions {
  if ((cert === undefined) !== (key === undefined))
    throw new UsageError("CLI_USAGE", "--cert and --key must be given together");
  const tls = {
    ...(cert !== undefined && key !== undefined && { cert: read(cert), key: read(key, readSecret) }),
    ...(ca !== undefined && { ca: read(ca), requestCert: true }),
  };
  return { idle, interval, count, userTimeout, ...(Object.keys(tls).length > 0 && { tls }) };
}

/** What `connect` takes beside the address. */
export interface LinkConnectOptions extends KeepAliveOptions {
  /** true: TLS with what the system trusts. */
  readonly tls: boolean | { readonly cert?: Buffer; readonly key?: Buffer; readonly ca?: Buffer };
}

export function connectOptions({ tls = false, cert, key, ca, ...rest }: ConnectValues): LinkConnectOptions {
  if ((cert === undefined) !== (key === undefined))
    throw new UsageError("CLI_USAGE", "--cert and --key must be given together");
  const files = {
    ...(cert !== undefined && key !== undefined && { cert: read(cert), key: read(key, readSecret) }),
    ...(ca !== undefined && { ca: read(ca) }),
  };
  const { idle, interval, count, userTimeout } = rest;
  return { idle, interval, count, userTimeout, tls: Object.keys(files).length > 0 ? files : tls };
}

function lines(content: Buffer): string[] {
  return content
    .toString()
    .split("\n")
    .filter((line) => line !== "");
}

function read(file: string, how: (path: string) => Buffer = readFileSync): Buffer {
  try {
    return how(file);
  } catch (cause) {
    if (codeOf(cause) === "FILE_NOT_PRIVATE") throw cause;
    throw new OperationError("CLI_USAGE", `Cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
}
