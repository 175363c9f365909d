import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { codeOf } from "../../../src/core/errors.ts";
import { queue, type Task, worker } from "../../../src/queue/index.ts";
import { requires } from "../../support/requires.ts";
import { Machines } from "./support/machines.ts";

/** What the loss of a leading broker may cost, and what a machine that runs many tests at once may add. */
const TAKEOVER_MS = 2000;
const SLOWNESS_MS = 3000;
/** nats-server 2.9 elects another leader of a stream within 4 to 9 s, now and then in two goes. */
const NATS_ELECTION_MS = 18_000;

/**
 * By hand, since what NATS needs after a cut goes from nothing to a quarter of a minute:
 * `HOLDFAST_CABLE_CUTS=5 npm test -- cluster-cable`
 */
const cuts = Number(process.env["HOLDFAST_CABLE_CUTS"] ?? 0);
if (cuts > 0) {
  test(
    "the cable of the machine that leads is pulled: callers go on at the others, and when it is back nothing is lost",
    requires("nats-server", "root", "iproute2"),
    async (t) => {
      await using machines = await Machines.start();
      const jobs = queue<number, string>("jobs", machines.options);
      const workers = [1, 2, 3].map(() => worker(jobs, (n) => `did ${n}`, { concurrency: 4, signals: [] }));
      const load = new AbortController();
      t.after(async () => {
        load.abort();
        await Promise.all([...workers, jobs].map((each) => each.close()));
      });
      const [calls, ledger, wrong]: [{ begunMs: number; endedMs: number }[], { n: number; task: Task<string> }[], string[]] = [
        [],
        [],
        [],
      ];
      let count = 0;
      const produce = async (): Promise<void> => {
        while (!load.signal.aborted) {
          const n = (count += 1);
          const begunMs = performance.now();
          try {
            if (n % 2 === 0) ledger.push({ n, task: await jobs.add(n, { timeout: "60s", keep: "1h" }) });
            else if ((await jobs.call(n, { timeout: "60s" })) === `did ${n}`)
              calls.push({ begunMs, endedMs: performance.now() });
            else wrong.push(`${n}`);
          } catch (error) {
            // Refused while NATS elects: not accepted, not owed.
            if (codeOf(error) !== "QUEUE_STORE_UNAVAILABLE") wrong.push(`${n}: ${codeOf(error)}`);
            await sleep(20);
          }
          await sleep(2);
        }
      };
      const producing = [1, 2, 3, 4].map(produce);
      await sleep(1000);

      for (let round = 1; round <= cuts; round += 1) {
        await machines.whole();
        const { leading } = machines;
        const natsLeads = await leading.streamLeader();
        const pulledMs = performance.now();
        leading.pull();
        let call: (typeof calls)[number] | undefined;
        await machines.until("a call ends that was begun after the cable was pulled", async () => {
          call = calls.find(({ begunMs }) => begunMs >= pulledMs);
          return call !== undefined;
        });
        const tookMs = call!.endedMs - pulledMs;
        const both = natsLeads === leading.address;
        t.diagnostic(
          `cut ${round}: a call ended ${tookMs.toFixed(0)} ms later${both ? "; the log's leader on NATS was cut, too" : ""}`,
        );
        assert.ok(tookMs < TAKEOVER_MS + SLOWNESS_MS + NATS_ELECTION_MS, `${tookMs} ms`);
        assert.notEqual(machines.leading, leading);
        await sleep(3000);
        leading.plug();
      }
      await machines.whole();
      load.abort();
      await Promise.all(producing);
      const outcomes = await Promise.all(
        ledger.map(async ({ n, task }) => ((await task.result({ timeout: "60s" })) === `did ${n}` ? [] : [n])),
      );
      assert.deepEqual(outcomes.flat(), []);
      assert.deepEqual(wrong, []);
      assert.ok(ledger.length > 100, `${ledger.length} tasks`);
      t.diagnostic(`${ledger.length} added, ${calls.length} called`);
    },
  );
}
