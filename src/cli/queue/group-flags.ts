/** ● Flags of commands that run a broker: where the tasks are kept when not on this machine, and with which other brokers. */
import type { Command } from "commander";
import type { BrokerOptions } from "../../queue/index.ts";
import { readCount } from "./client-flags.ts";

export interface GroupFlags {
  readonly store?: string;
  readonly replicas?: string;
  readonly group?: string;
}

export function groupFlags(command: Command): Command {
  return command
    .option("--store <url>", "keep tasks on NATS JetStream: nats://HOST:4222[,HOST…]; all brokers there are one queue")
    .option("--replicas <n>", "with --store: copies of the tasks when their stream is made (default 1; 3 survive a server)")
    .option("--group <name>", 'with --store: which brokers belong together (default "queue")');
}

export function readGroupFlags({ store, replicas, group }: GroupFlags): BrokerOptions {
  return {
    ...(store === undefined ? {} : { store }),
    ...(replicas === undefined ? {} : { replicas: readCount(replicas, "--replicas") }),
    ...(group === undefined ? {} : { group }),
  };
}
