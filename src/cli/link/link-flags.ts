/** ● The flags that `holdfast listen` and `holdfast connect` share: keep-alive, TLS, the token's file. */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { messageOf, UsageError } from "../../core/errors.ts";
import type { KeepAliveOptions } from "../../link/index.ts";

/** The flags as commander returns them. */
export interface KeepAliveFlags {
  readonly idle: string;
  readonly interval: string;
  readonly count: string;
  readonly userTimeout: string;
}

export interface TlsFlags {
  readonly tls?: boolean;
  readonly cert?: string;
  readonly key?: string;
  readonly ca?: string;
}

export function keepAliveFlags(command: Command): Command {
  return command
    .option("--idle <duration>", "idle time before the first keep-alive probe", "5s")
    .option("--interval <duration>", "time between probes", "10s")
    .option("--count <n>", "unanswered probes after which the connection is closed", "3")
    .option("--user-timeout <duration>", "how long sent data may stay unacknowledged: a duration, 'auto' or 'off'", "auto");
}

export function readKeepAliveFlags({ idle, interval, count, userTimeout }: KeepAliveFlags): KeepAliveOptions {
  if (!/^\d+$/.test(count)) throw new UsageError("CLI_USAGE", `Cannot read --count: '${count}' is not a whole number`);
  return { idle, interval, count: Number(count), userTimeout };
}

export function tlsFlags(command: Command): Command {
  return command
    .option("--cert <file>", "certificate of this side (PEM); turns TLS on")
    .option("--key <file>", "private key of the certificate (PEM)")
    .option("--ca <file>", "trusted CA certificates (PEM); turns TLS on");
}

/** Node's TLS options, true for TLS with none, or false for plain TCP. */
export function readTls({ tls = false, cert, key, ca }: TlsFlags): boolean | { cert?: Buffer; key?: Buffer; ca?: Buffer } {
  if ((cert === undefined) !== (key === undefined))
    throw new UsageError("CLI_USAGE", "--cert and --key must be given together");
  if (cert === undefined && ca === undefined) return tls;
  return {
    ...(cert !== undefined && key !== undefined && { cert: read("--cert", cert), key: read("--key", key) }),
    ...(ca !== undefined && { ca: read("--ca", ca) }),
  };
}

/** The first line of a file: other users of the machine can read a token on the command line. */
export function readToken(path: string): string {
  const token = read("--token-file", path).toString().split("\n")[0]!.trim();
  if (token === "") throw new UsageError("CLI_USAGE", `Cannot use --token-file: the first line of ${path} is empty`);
  return token;
}

function read(flag: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new UsageError("CLI_USAGE", `Cannot read ${flag}: ${messageOf(cause)}`, { cause });
  }
}
