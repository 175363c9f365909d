/**
 * Workers in a process that can be killed: `worker-child.ts PORT COUNT`. For each task that is begun a line on stdout, the task's id and
 * the time; pipes are written at once, so that what was begun before a kill has been told.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { queue, worker } from "../../../../src/queue/index.ts";
import { BROKER_HOSTS } from "../../support/broker-hosts.ts";

const [port, count] = process.argv.slice(2);
const jobs = queue<number, string>("jobs", { url: `tcp://brokers.test:${port}`, lookup: async () => BROKER_HOSTS });
for (let index = 0; index < Number(count); index += 1) {
  worker(
    jobs,
    async (n, { id }) => {
      process.stdout.write(`${id} ${Date.now()}\n`);
      await sleep(n % 20);
      return `did ${n}`;
    },
    { concurrency: 2, prefetch: 1 },
  );
}
