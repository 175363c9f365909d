/**
 * The soak's players on Holdfast's own entry points: player-child.ts ROLE SEED PACE ADDRESSES. Each runs until it is killed, or asked to stop
 * by SIGTERM; what it promises or finds it says on stdout (player-report.ts), what it does not understand on stderr.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { CacheClient, text } from "../../src/cache/index.ts";
import { between, pick, type Random, seeded } from "../../src/core/random.ts";
import { connect, listen, type SessionClient } from "../../src/link/index.ts";
import { bytesCodec, queue, type Queue, worker } from "../../src/queue/index.ts";
import { proxyTo } from "../link/support/proxy.ts";
import { KEYS, keyOf, type PlayerReport, valueOf } from "./player-report.ts";

interface Addresses {
  readonly cache: string;
  readonly queue: string;
  readonly link: string;
  readonly dashboard: string;
  /** The port of the session server. */
  readonly hub: number;
  /** How long results are kept. */
  readonly keepMs: number;
}

interface Stage {
  readonly addresses: Addresses;
  readonly random: Random;
  /** 1: the usual number of operations; more is faster. */
  readonly pace: number;
  readonly stop: AbortSignal;
}

/** 30 s: a player that was stopped for some seconds must not take its own silence for the server's. */
const PATIENCE = "30s";
/** 2 min: a task may wait until a worker that holds it has been killed or replaced. */
const RESULT_PATIENCE = "2m";

const ROLES: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  cache,
  producer,
  worker: work,
  hub,
  sensors,
  lines,
  page,
};

function say(said: PlayerReport): void {
  process.stdout.write(`${JSON.stringify(said)}\n`);
}

const counts = new Map<string, number>();
function count(what: string, more = 1): void {
  counts.set(what, (counts.get(what) ?? 0) + more);
}
setInterval(() => {
  for (const [what, number] of counts) say({ kind: "count", what, count: number });
  counts.clear();
}, 1000).unref();

/** Goes on until asked to stop, with a pause of about this long after each round. */
async function rounds({ random, pace, stop }: Stage, pauseMs: number, round: () => Promise<void> | void): Promise<void> {
  while (!stop.aborted) {
    await round();
    await sleep((pauseMs * (0.5 + random())) / pace, undefined, { signal: stop }).catch(() => {});
  }
}

async function cache(stage: Stage): Promise<void> {
  const { addresses, random } = stage;
  const client = new CacheClient({ servers: [addresses.cache], codec: text, timeout: PATIENCE });
  const own = `counter:${randomUUID()}`;
  await client.set(own, "0", { ttl: "10m" });
  let counted = 0n;
  await rounds(stage, 50, async () => {
    const numbers = Array.from({ length: 8 }, () => between(random, 0, KEYS - 1));
    const found = await Promise.all(numbers.map((number) => client.get<string>(keyOf(number))));
    for (const [index, value] of found.entries()) {
      const number = numbers[index]!;
      if (value !== undefined && value !== valueOf(number))
        say({ kind: "wrong", text: `cache: ${keyOf(number)} is ${value.slice(0, 60)}` });
      if (value === undefined) await client.set(keyOf(number), valueOf(number), { ttl: "1h" });
    }
    await client.set(keyOf(numbers[0]!), valueOf(numbers[0]!), { ttl: "1h" });
    counted += 1n;
    const now = await client.incr(own);
    if (now !== counted) say({ kind: "wrong", text: `cache: counter is ${now} after ${counted}` });
    if (counted % 1000n === 0n) await client.touch(own, "10m");
    count("holdfast/cache", 10);
  });
  await client.close();
}

function tasks(addresses: Addresses): Queue<Uint8Array, Uint8Array> {
  return queue<Uint8Array, Uint8Array>("default", { url: addresses.queue, codec: bytesCodec });
}

async function producer(stage: Stage): Promise<void> {
  const { addresses, random } = stage;
  const orders = tasks(addresses);
  const keep = addresses.keepMs;
  const body = (): string => `order ${randomUUID()} ${"abc ".repeat(between(random, 0, 100))}`;
  await rounds(stage, 100, async () => {
    const bodies = Array.from({ length: pick(random, [1, 1, 2, 5]) }, body);
    const options = { keep, timeout: PATIENCE, ...(random() < 0.1 && { delay: "2s" }), ...(random() < 0.3 && { priority: 9 }) };
    const added = await orders.addMany(
      bodies.map((each) => Buffer.from(each)),
      options,
    );
    for (const [index, { id }] of added.entries()) say({ kind: "added", id, body: bodies[index]! });
    const question = body();
    const answer = Buffer.from(await orders.call(Buffer.from(question), { keep, timeout: RESULT_PATIENCE })).toString();
    if (answer !== question.toUpperCase()) say({ kind: "wrong", text: `call: ${question} was answered ${answer}` });
    count("calls answered");
  });
  await orders.close();
}

async function work({ addresses, random, stop }: Stage): Promise<void> {
  const orders = tasks(addresses);
  const running = worker(
    orders,
    async (body) => {
      await sleep(random() * 5);
      count("holdfast/queue worker");
      return Buffer.from(Buffer.from(body).toString().toUpperCase());
    },
    {
      concurrency: 4,
      signals: [],
      // A worker that stood still long enough loses its tasks to others; its own result is then refused. Anything else is told.
      onError: (error) => count(`results too late (${(error as { code?: string }).code ?? String(error)})`),
    },
  );
  await until(stop);
  await running.close();
  await orders.close();
}

/** The other end of the sensors: their messages' sender and number go into the books. */
async function hub({ stop, addresses }: Stage): Promise<void> {
  const server = await listen({
    port: 0,
    session: {
      ttl: addresses.keepMs,
      onMessage(session, message) {
        say({ kind: "received", sender: session.name, number: Number(Buffer.from(message).toString()) });
      },
    },
  });
  server.on("gap", ({ name }, { from, to }) => say({ kind: "wrong", text: `${name}: messages ${from} to ${to} given up` }));
  say({ kind: "listening", port: server.port });
  await until(stop);
  await server.close();
}

const SENSORS = 20;

async function sensors(stage: Stage): Promise<void> {
  const { addresses, stop } = stage;
  const cable = await proxyTo(addresses.hub);
  const run = randomUUID().slice(0, 8);
  const clients = await Promise.all(
    Array.from({ length: SENSORS }, (_, index) => connect({ port: cable.port, session: { name: `sensor-${run}-${index}` } })),
  );
  const cutting = rounds({ ...stage, pace: 1 }, 15_000, () => {
    cable.reset();
    count("cuts of 20 links");
  });
  await Promise.all([cutting, ...clients.map((client, index) => send(stage, client, `sensor-${run}-${index}`))]);
  await until(stop);
  await Promise.all(clients.map((client) => client.close()));
  await cable.close();
}

async function send(stage: Stage, client: SessionClient, sender: string): Promise<void> {
  let number = 0;
  await rounds(stage, 1000, async () => {
    number += 1;
    await client.send(String(number));
    say({ kind: "confirmed", sender, number });
  });
}

/** Byte mode: connections that come and go at the server of `holdfast up`. */
async function lines(stage: Stage): Promise<void> {
  const { link } = stage.addresses;
  const [host, port] = link.split(":") as [string, string];
  await rounds(stage, 3000, async () => {
    const client = await connect({ host, port: Number(port), idle: "5s", interval: "10s", count: 3 });
    for (let line = 0; line < 20; line += 1) await client.send(`${line} ${"y".repeat(100)}\n`);
    await client.close();
    count("byte connections");
  });
}

/** The dashboard's page, as far as the server can tell: the events, and now and then everything from the beginning. */
async function page(stage: Stage): Promise<void> {
  const { dashboard } = stage.addresses;
  await rounds(stage, 1000, async () => {
    for (const path of ["/", "/api/hello", "/metrics"]) await (await fetch(`${dashboard}${path}`)).arrayBuffer();
    const until = AbortSignal.any([stage.stop, AbortSignal.timeout(between(stage.random, 5000, 60_000))]);
    try {
      const { body } = await fetch(`${dashboard}/api/live`, { signal: until });
      for await (const event of body!) if (event.length > 0) count("dashboard events");
    } catch (error) {
      if (!until.aborted) throw error;
    }
  });
}

function until(stop: AbortSignal): Promise<void> {
  // Something to wait for: a signal keeps no process alive.
  const awake = setInterval(() => {}, 60_000);
  return new Promise<void>((resolve) => {
    const done = (): void => {
      clearInterval(awake);
      resolve();
    };
    if (stop.aborted) done();
    else stop.addEventListener("abort", done, { once: true });
  });
}

const [role, seed, pace, addresses] = process.argv.slice(2) as [string, string, string, string];
const stopping = new AbortController();
process.once("SIGTERM", () => stopping.abort());
say({ kind: "ready" });
await ROLES[role]!({
  addresses: JSON.parse(addresses) as Addresses,
  random: seeded(Number(seed)),
  pace: Number(pace),
  stop: stopping.signal,
});
