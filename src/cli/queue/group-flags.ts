/** ● Flags of commands that run a broker: the shared store, and the group of brokers that use it. */
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
    .option("--store <url>", "store tasks in NATS JetStream: nats://HOST:4222[,HOST…]; its brokers form one group")
    .option("--replicas <n>", "with --store: replicas of a new stream (default 1; 3 survive the loss of a server)")
    .option("--group <name>", 'with --store: name of the group of brokers (default "queue")');
}

export function readGroupFlags({ store, replicas, group }: GroupFlags): BrokerOptions {
  return {
    ...(store === undefined ? {} : { store }),
    ...(replicas === undefined ? {} : { replicas: readCount(replicas, "--replicas") }),
    ...(group === undefined ? {} : { group }),
  };
}
