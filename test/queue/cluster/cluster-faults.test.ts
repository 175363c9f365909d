import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { seeded } from "../../../src/core/random.ts";
import { requires } from "../../support/requires.ts";
import { BROKER_HOSTS } from "../support/broker-hosts.ts";
import { FaultRig } from "./support/fault-rig.ts";

/** What a team may feel of a broker's loss. */
const TAKEOVER_MS_MAX = 2000;
/** Tasks that ten workers have at once: two that run and one that waits for each. What a lost lease may cost is at most these. */
const HELD = 30;

test(
  "nats-servers, brokers and workers are killed and cut off under load: nothing acknowledged is lost or without its result",
  requires("nats-server"),
  async (t) => {
    await using rig = await FaultRig.start();
    await sleep(1000);
    assert.deepEqual(rig.repeated(), [], "nothing is done twice while nothing fails");
    let faults = 0;
    const felt = async (what: string, sinceMs: number): Promise<number> => {
      faults += 1;
      const tookMs = await rig.goesOn(sinceMs);
      t.diagnostic(`${what}: on again after ${tookMs.toFixed(0)} ms`);
      return tookMs;
    };

    const takeovers: number[] = [];
    for (let kill = 0; kill < 3; kill += 1) {
      const leading = rig.leading();
      const sinceMs = performance.now();
      await rig.killBroker(leading);
      takeovers.push(await felt("the leading broker killed", sinceMs));
      await rig.startBroker(leading);
      await sleep(300);
    }
    const [, medianMs, worstMs] = takeovers.sort((a, b) => a - b) as [number, number, number];
    assert.ok(medianMs < TAKEOVER_MS_MAX, `${medianMs} ms`);
    assert.ok(worstMs < 2 * TAKEOVER_MS_MAX, `${worstMs} ms`);

    let sinceMs = performance.now();
    await rig.replaceWorkers();
    await felt("half of the workers killed", sinceMs);

    // Clients that wait at its broker notice by their heartbeats, after 10 s of silence.
    sinceMs = performance.now();
    const cut = rig.leading();
    rig.broker(cut).child.kill("SIGSTOP");
    await felt("the leading broker cut off", sinceMs);
    assert.notEqual(rig.leading(), cut);
    await sleep(500);
    sinceMs = performance.now();
    rig.broker(cut).child.kill("SIGCONT");
    await felt("it comes back", sinceMs);

    const node = await rig.natsLeader();
    sinceMs = performance.now();
    await node.kill();
    await felt("the nats-server that leads the log killed", sinceMs);
    node.start();

    assert.deepEqual(await rig.balance(), []);
    assert.ok(rig.ledger.length > 200, `${rig.ledger.length} tasks`);
    const repeated = rig.repeated();
    const { ledger, calls, refusals } = rig;
    t.diagnostic(`${ledger.length} added, ${calls.length} called, ${repeated.length} begun again over ${faults} faults`);
    t.diagnostic(`refused: ${JSON.stringify(Object.fromEntries(refusals))}`);
    assert.ok(repeated.length <= faults * HELD, `${repeated.length} tasks were begun again`);
  },
);

/**
 * The long form: faults by chance for so many minutes, under a seed that is printed.
 * `HOLDFAST_FAULT_MINUTES=10 HOLDFAST_SEED=7 npm test -- cluster-faults`
 */
const minutes = Number(process.env["HOLDFAST_FAULT_MINUTES"] ?? 0);
if (minutes > 0) {
  test("the same for minutes, with faults by chance", requires("nats-server"), async (t) => {
    const seed = Number(process.env["HOLDFAST_SEED"] ?? Date.now() % 1_000_000);
    t.diagnostic(`HOLDFAST_SEED=${seed}`);
    const random = seeded(seed);
    await using rig = await FaultRig.start();
    let faults = 0;
    for (const endMs = performance.now() + minutes * 60_000; performance.now() < endMs;) {
      faults += 1;
      const sinceMs = performance.now();
      const what = await oneFault(rig, random);
      const tookMs = await rig.goesOn(sinceMs);
      t.diagnostic(`${what}: on again after ${tookMs.toFixed(0)} ms`);
      await sleep(random() * 2000);
    }
    assert.deepEqual(await rig.balance(), []);
    t.diagnostic(`${rig.said(/; requesting another leader/g)} times a nats-server that led the log took nothing`);
    t.diagnostic(
      `${rig.ledger.length} added, ${rig.calls.length} called, ${rig.repeated().length} begun again over ${faults} faults`,
    );
    assert.ok(rig.repeated().length <= faults * HELD);
  });
}

async function oneFault(rig: FaultRig, random: () => number): Promise<string> {
  const broker = random() < 0.6 ? Math.max(0, rig.leading()) : Math.floor(random() * BROKER_HOSTS.length);
  const chance = random();
  if (chance < 0.3) {
    await rig.killBroker(broker);
    await sleep(random() * 3000);
    await rig.startBroker(broker);
    return `broker ${broker} killed`;
  }
  if (chance < 0.5) {
    const { child } = rig.broker(broker);
    child.kill("SIGSTOP");
    await sleep(random() * 8000);
    child.kill("SIGCONT");
    return `broker ${broker} cut off`;
  }
  if (chance < 0.7) {
    await rig.replaceWorkers();
    return "workers killed";
  }
  const node = chance < 0.85 ? await rig.natsLeader() : rig.nats.nodes[Math.floor(random() * 3)]!;
  if (random() < 0.5) {
    await node.stop();
    await sleep(random() * 12_000);
    node.continue();
    return `${node.name} stopped`;
  }
  await node.kill();
  await sleep(random() * 5000);
  node.start();
  return `${node.name} killed`;
}
