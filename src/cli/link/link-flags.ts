/** ● The flags that `holdfast listen` and `holdfast connect` share: keep-alive, TLS, the token's file. */
import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { messageOf, UsageError } from "../../core/errors.ts";
import type { KeepAliveOptions } from "../../link/index.ts";

/** The flags as commander hands them over. */
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
    .option("--idle <duration>", "silence before the first keep-alive probe", "5s")
    .option("--interval <duration>", "time between probes", "10s")
    .option("--count <n>", "unanswered probes that mean death", "3")
    .option("--user-timeout <duration>", "how long sent data may stay unacknowledged: a duration, 'auto' or 'off'", "auto");
}

export function readKeepAliveFlags({ idle, interval, count, userTimeout }: KeepAliveFlags): KeepAliveOptions {
  if (!/^\d+$/.test(count)) throw new UsageError("CLI_USAGE", `Cannot read --count: '${count}' is no whole number`);
  return { idle, interval, count: Number(count), userTimeout };
}

export function tlsFlags(command: Command): Command {
  return command
    .option("--cert <file>", "this side's certificate, in PEM; turns TLS on")
    .option("--key <file>", "its key, in PEM")
    .option("--ca <file>", "certificates to trust, in PEM; turns TLS on");
}

/** Node's TLS options, true for TLS with none, or false for plain TCP. */
export function readTls({ tls = false, cert, key, ca }: TlsFlags): boolean | { cert?: Buffer; key?: Buffer; ca?: Buffer } {
  if ((cert === undefined) !== (key === undefined))
    throw new UsageError("CLI_USAGE", "Cannot use --cert without --key, nor the reverse");
  if (cert === undefined && ca === undefined) return tls;
  return {
    ...(cert !== undefined && key !== undefined && { cert: read("--cert", cert), key: read("--key", key) }),
    ...(ca !== undefined && { ca: read("--ca", ca) }),
  };
}

/** The first line of a file: a token on the command line would be seen by every user of the machine. */
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
