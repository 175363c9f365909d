/** Sessions of a server in a store: through kills of both sides each message arrives once, in order, or is told. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { between, seeded } from "../../../src/core/random.ts";
import { StoredWorld } from "../support/stored-world.ts";
import { NatsServers } from "../../support/nats.ts";
import { requires } from "../../support/requires.ts";
import type { Ledger } from "../support/stored-world.ts";

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "holdfast-sessions-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

const peers = requires("nats-server");
const seed = Number(process.env["SEED"] ?? 20_261_201);

/** What the ledger finds wrong, in words. */
function faults({ sent, stored, conflicts, commands, promised, handled }: Ledger): string[] {
  const found: string[] = [];
  for (const kind of ["plain", "urgent"] as const) {
    const got = stored.filter((name) => name.includes(kind));
    if (new Set(got).size < got.length) found.push(`${kind} messages doubled`);
    if (sent[kind].some((name) => !got.includes(name))) found.push(`${kind} messages lost`);
    if (got.join() !== sent[kind].join()) found.push(`${kind} messages not as sent`);
  }
  if (conflicts > 0) found.push("two messages under one number");
  const places = handled.map((command) => commands.indexOf(command));
  if (new Set(handled).size < handled.length) found.push("commands doubled");
  if (places.some((place, index) => place < 0 || (index > 0 && place < places[index - 1]!)))
    found.push("commands out of order");
  if ([...promised].some((command) => !handled.includes(command))) found.push("commands lost");
  return found;
}

test(`through cuts, full disks and kills of both sides nothing is lost, doubled or out of order (seed ${seed})`, async (t) => {
  const path = folder(t);
  let kills = 0;
  let messages = 0;
  for (let round = 0; round < 12; round += 1) {
    const world = new StoredWorld({ seed: seed + round, folder: path, clients: 3 });
    await world.run(150);
    kills += world.kills;
    for (const ledger of world.ledgers) {
      messages += ledger.stored.length + ledger.handled.length;
      assert.deepEqual(faults(ledger), [], `seed ${seed + round}`);
    }
  }
  assert.ok(kills > 100 && messages > 5000, `${kills} kills, ${messages} messages`);
});

test(`a store that says "written" too early is found out by the ledger (seed ${seed})`, async (t) => {
  const path = folder(t);
  const found = new Set<string>();
  for (let round = 0; round < 6; round += 1) {
    const world = new StoredWorld({ seed: seed + round, folder: path, clients: 3, lies: true });
    await world.run(150);
    for (const ledger of world.ledgers) for (const fault of faults(ledger)) found.add(fault);
  }
  assert.notDeepEqual([...found], []);
});

test("a server and a client that are killed with kill -9, again and again, lose and double nothing, in SQLite", async (t) => {
  const path = folder(t);
  await killAgain(t, { path, store: join(path, "store"), hosts: ["127.0.0.1"], kills: 5 });
});

test(
  "two servers on one NATS and a client that are killed again and again lose and double nothing",
  { ...peers, timeout: 60_000 },
  async (t) => {
    const nats = await NatsServers.start();
    t.after(() => nats[Symbol.asyncDispose]());
    await killAgain(t, { path: folder(t), store: nats.url, hosts: ["127.0.0.1", "127.0.0.2"], kills: 3 });
  },
);

/** Servers at these hosts, of which each that is killed begins again, and one client. */
async function killAgain(
  t: TestContext,
  { path, store, hosts, kills }: { path: string; store: string; hosts: readonly string[]; kills: number },
): Promise<void> {
  const taken = join(path, "taken");
  const chance = seeded(seed);
  const port = String(await freePort());
  const addresses = hosts.map((host) => `${host}:${port}`).join();
  const wrong: string[] = [];
  const confirmed = new Set<number>();
  const sent: number[] = [];
  /** Of those at several hosts: the last that said that it leads, and how many did. */
  let leader: ChildProcess | undefined;
  let terms = 0;
  let deposed = 0;
  const found = Promise.withResolvers<void>();
  let led = Promise.withResolvers<void>();
  const servers = await Promise.all(hosts.map((host) => startServer(host)));
  let run = 0;
  let { child: client, heard } = startClient(0, 1_000_000);
  for (let kill = 0; kill < kills; kill += 1) {
    await heard(between(chance, 20, 150));
    if (chance() < 0.6) {
      const at =
        leader && servers.includes(leader) && chance() < 0.7 ? servers.indexOf(leader) : between(chance, 0, hosts.length - 1);
      if (servers[at] === leader) deposed += 1;
      servers[at]!.kill("SIGKILL");
      await once(servers[at]!, "exit");
      servers[at] = await startServer(hosts[at]!);
    } else {
      client.kill("SIGKILL");
      await once(client, "exit");
      run += 1;
      ({ child: client, heard } = startClient(run, 1_000_000));
    }
  }
  if (hosts.length > 1) {
    // It stands still; another leads; it goes on, and finds out.
    const still = await aLeader();
    const next = led.promise;
    still.kill("SIGSTOP");
    await next;
    await heard(50);
    deposed += 1;
    still.kill("SIGCONT");
    await Promise.all([heard(50), found.promise]);
  }
  client.kill("SIGKILL");
  await once(client, "exit");
  run += 1;
  const last = startClient(run, 100);
  await last.done;
  for (const each of [...servers, last.child]) {
    each.kill("SIGKILL");
    await once(each, "exit");
  }

  assert.deepEqual(wrong, []);
  if (hosts.length > 1) assert.ok(terms > deposed, `${terms} terms, and ${deposed} leaders were killed or stood still`);
  const keys = new Map<string, string>();
  for (const line of lines(taken)) {
    const [key, name] = line.split(" ") as [string, string];
    assert.equal(keys.get(key) ?? name, name, "one number, one message");
    keys.set(key, name);
  }
  const got = [...keys.values()];
  assert.equal(new Set(got).size, got.length, "none twice");
  for (let each = 0; each <= run; each += 1) {
    const numbers = got.filter((name) => name.startsWith(`${each}.`)).map((name) => Number(name.split(".")[1]));
    assert.deepEqual(
      numbers,
      numbers.map((_, index) => index + 1),
      `run ${each} in order`,
    );
    assert.ok(numbers.length >= (sent[each] ?? 0), `run ${each}: ${numbers.length} of ${sent[each]}`);
  }
  const handled = lines(join(path, "handled")).map(Number);
  assert.ok(
    [...confirmed].every((command) => handled.includes(command)),
    "what was confirmed was handled",
  );
  assert.deepEqual(
    [...new Set(handled)],
    [...new Set(handled)].toSorted((one, other) => one - other),
  );
  assert.ok(handled.length - new Set(handled).size <= run, "a handler sees again what a killed client had not noted");

  /** The one that leads and was not killed. */
  async function aLeader(): Promise<ChildProcess> {
    if (leader && servers.includes(leader)) return leader;
    await led.promise;
    return aLeader();
  }

  async function startServer(host: string): Promise<ChildProcess> {
    const child = fork(join(import.meta.dirname, "../support/stored-server-child.ts"), [host, port, store, taken]);
    t.after(() => child.kill("SIGKILL"));
    const listening = Promise.withResolvers<void>();
    child.on("message", (message: string) => {
      const [word, number] = message.split(" ");
      if (word === "listening") listening.resolve();
      else if (word === "leads") {
        leader = child;
        terms += 1;
        led.resolve();
        led = Promise.withResolvers<void>();
      } else if (word === "follows") found.resolve();
      else if (message.includes("another leads")) return; // told to who had asked the one that stood still
      else if (word === "confirmed") confirmed.add(Number(number));
      else wrong.push(message);
    });
    await listening.promise;
    return child;
  }

  function startClient(
    which: number,
    count: number,
  ): { child: ChildProcess; done: Promise<void>; heard(more: number): Promise<void> } {
    const words = [addresses, path, which, count].map(String);
    const child = fork(join(import.meta.dirname, "../support/stored-client-child.ts"), words);
    t.after(() => child.kill("SIGKILL"));
    const done = Promise.withResolvers<void>();
    let until = { least: 0, resolve: (): void => {} };
    child.on("message", (message: string) => {
      const [word, number] = message.split(" ");
      if (word === "done") done.resolve();
      else if (word === "sent") {
        sent[which] = Number(number);
        if (sent[which]! >= until.least) until.resolve();
      } else wrong.push(message);
    });
    const wait = (more: number): Promise<void> =>
      new Promise((resolve) => (until = { least: (sent[which] ?? 0) + more, resolve }));
    return { child, done: done.promise, heard: wait };
  }
}

function lines(file: string): string[] {
  return readFileSync(file, "utf8").split("\n").slice(0, -1);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
