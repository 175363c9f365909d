/**
 * The rival of bench/queue-cluster.ts: a work queue on JetStream as one writes it by hand with NATS' own client library. Tasks are
 * published with acknowledgement into a work-queue stream; a worker consumes them with a durable pull consumer, sends the result to the
 * caller and acknowledges the task. The result goes by core NATS alone (it is lost when the caller is away), or through a stream that
 * keeps results ten minutes, as ours are kept; the task is acknowledged only when that stream has it.
 */
import { AckPolicy, jetstream, jetstreamManager, RetentionPolicy } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { NatsServers } from "../../test/support/nats.ts";
import { BODY, CONCURRENCY, type Start } from "./rivals.ts";

/** Messages on their way to the worker beyond those it works on: the next never has to be waited for. */
const FETCH = 2 * CONCURRENCY;
const MINUTE_NS = 60_000_000_000;

export function plainJetstream({ nodes, keptResults }: { nodes: 1 | 3; keptResults: boolean }): Start {
  return async () => {
    const servers = await NatsServers.start({ nodes });
    const connectAs = (name: string) => connect({ servers: servers.hosts, name });
    const [producing, working] = await Promise.all([connectAs("producer"), connectAs("worker")]);
    const manager = await jetstreamManager(producing);
    const kept = { num_replicas: nodes };
    await manager.streams.add({ ...kept, name: "TASKS", subjects: ["tasks"], retention: RetentionPolicy.Workqueue });
    if (keptResults) await manager.streams.add({ ...kept, name: "RESULTS", subjects: ["results.>"], max_age: 10 * MINUTE_NS });
    await manager.consumers.add("TASKS", {
      durable_name: "workers",
      ack_policy: AckPolicy.Explicit,
      max_ack_pending: 4 * FETCH,
    });

    const results = jetstream(working);
    const consumer = await results.consumers.get("TASKS", "workers");
    const messages = await consumer.consume({
      max_messages: FETCH,
      callback: (message) => {
        // A task is its caller's number and the body; the number names where the result is awaited.
        const task = message.data;
        const subject = `results.${new DataView(task.buffer, task.byteOffset).getUint32(0)}`;
        if (!keptResults) {
          working.publish(subject, task);
          message.ack();
          return;
        }
        results.publish(subject, task).then(
          () => message.ack(),
          () => message.nak(),
        );
      },
    });

    const waiting = new Map<string, () => void>();
    producing.subscribe("results.*", {
      callback: (_, { subject }) => {
        waiting.get(subject)?.();
        waiting.delete(subject);
      },
    });
    const tasks = jetstream(producing);
    let count = 0;
    const add = async (): Promise<string> => {
      count += 1;
      const body = new Uint8Array(BODY);
      new DataView(body.buffer).setUint32(0, count);
      const subject = `results.${count}`;
      await tasks.publish("tasks", body);
      return subject;
    };
    return {
      add,
      call: async () => {
        const subject = `results.${count + 1}`;
        const result = new Promise<void>((resolve) => waiting.set(subject, resolve));
        await add();
        await result;
      },
      serverPids: servers.nodes.map(({ pid }) => pid),
      async stop() {
        await messages.close();
        await Promise.all([producing.close(), working.close()]);
        await servers[Symbol.asyncDispose]();
      },
    };
  };
}
