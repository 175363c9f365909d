/** Ours in bench/queue-cluster.ts: brokers that share one queue kept by nats-servers, behind one name that has all their addresses. */
import { freePort, HOLDFAST, type Running, startServer } from "../support/process.ts";
import { NatsServers } from "../../test/support/nats.ts";
import { type Start, withWorker } from "./rivals.ts";

export function brokersOnNats({ nodes, brokers }: { nodes: 1 | 3; brokers: number }): Start {
  return async () => {
    const nats = await NatsServers.start({ nodes });
    const port = await freePort();
    const addresses = Array.from({ length: brokers }, (_, index) => `127.0.0.${index + 1}`);
    const store = ["--store", nats.url, "--replicas", `${nodes}`, "--data", "memory"];
    const running: Running[] = [];
    for (const host of addresses) {
      const serve = ["queue", "serve", "--listen", `tcp://${host}:${port}`, ...store] as const;
      running.push(await startServer([...HOLDFAST, ...serve], { host, port }));
    }
    return withWorker(
      { url: `tcp://brokers.test:${port}`, lookup: async () => addresses },
      {
        pids: [...running, ...nats.nodes].map(({ pid }) => pid),
        async stop() {
          await Promise.all(running.map((broker) => broker.stop()));
          await nats[Symbol.asyncDispose]();
        },
      },
    );
  };
}
