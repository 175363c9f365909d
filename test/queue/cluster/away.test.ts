import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort, residentBytes } from "../../../bench/support/process.ts";
import { codeOf } from "../../../src/core/errors.ts";
import { queue, worker } from "../../../src/queue/index.ts";
import { Holdfast } from "../../support/holdfast.ts";
import { NatsServers } from "../../support/nats.ts";
import { requires } from "../../support/requires.ts";

const AWAY_MS = 60_000;
const PRODUCERS = 5;
/** What 60 s of refusals may leave behind: an answer that was kept for each would be some 100 MiB. */
const GROWTH_BYTES_MAX = 48 * 1024 ** 2;

test(
  "NATS is away for a minute: new tasks are refused, memory is bounded, and all goes on without a restart",
  requires("nats-server"),
  async (t) => {
    await using servers = await NatsServers.start();
    const [node] = servers.nodes;
    const port = await freePort();
    const url = `tcp://127.0.0.1:${port}`;
    const broker = new Holdfast(["queue", "serve", "--listen", url, "--data", "memory", "--store", servers.url]);
    t.after(() => broker.stop("SIGKILL"));
    await broker.printed(/^queue /m);
    const jobs = queue<string, string>("jobs", { url });
    t.after(() => jobs.close());
    const begun = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const runner = worker(
      jobs,
      async (text) => {
        if (text === "before") await (begun.resolve(), go.promise);
        return `did ${text}`;
      },
      { signals: [], concurrency: 10 },
    );
    const early = jobs.call("before", { timeout: "5m" });
    await begun.promise;
    for (let n = 0; n < 1000; n += 1) await jobs.call("warm");

    await node!.kill();
    go.resolve();
    const refused = new Map<string, number>();
    let accepted = 0;
    const awayUntilMs = performance.now() + AWAY_MS;
    const produce = async (): Promise<void> => {
      while (performance.now() < awayUntilMs) {
        try {
          await jobs.add("refused".repeat(20), { timeout: "10s" });
          accepted += 1;
        } catch (error) {
          const code = codeOf(error) ?? String(error);
          refused.set(code, (refused.get(code) ?? 0) + 1);
        }
        await sleep(2);
      }
    };
    const producing = Array.from({ length: PRODUCERS }, produce);
    await sleep(10_000);
    const bytesBefore = residentBytes(broker.child.pid!);
    await Promise.all(producing);
    const growth = residentBytes(broker.child.pid!) - bytesBefore;
    const refusals = refused.get("QUEUE_STORE_UNAVAILABLE") ?? 0;
    t.diagnostic(`${refusals} refused; the broker's memory grew by ${(growth / 1024 ** 2).toFixed(1)} MiB in the last 50 s`);
    // What was on its way when the server went has no outcome, and its producers are told nothing else.
    const unknown = refused.get("QUEUE_UNREACHABLE") ?? 0;
    assert.ok(unknown <= PRODUCERS, `${unknown} without an answer`);
    assert.equal(refused.size, unknown > 0 ? 2 : 1, [...refused.keys()].join());
    assert.equal(accepted, 0);
    assert.ok(refusals > 1000, `${refusals} refusals`);
    assert.ok(growth < GROWTH_BYTES_MAX, `${growth} bytes`);

    const backMs = performance.now();
    node!.start();
    assert.equal(await early, "did before");
    assert.equal(await jobs.call("after", { timeout: "30s" }), "did after");
    t.diagnostic(`on again ${(performance.now() - backMs).toFixed(0)} ms after nats-server was started`);
    assert.match(broker.stderr, /queue\.nats-down[^]*queue\.nats-up/);
    await runner.close();
    await jobs.close();
  },
);
