/** A farm on one page: who is asked, what a peer that is down or says nonsense costs, and who is shown. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer, type Server } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CacheClient, CacheServer } from "../../src/cache/index.ts";
import { Dashboard, type DashboardOptions } from "../../src/dashboard/index.ts";
import { type FarmRow, readMember } from "../../src/dashboard/farm/member.ts";
import { ManualClock } from "../../src/core/manual-clock.ts";
import { Broker } from "../../src/queue/index.ts";
import { Farm } from "../../src/dashboard/farm/farm.ts";
import { NatsServers } from "../support/nats.ts";
import { requires } from "../support/requires.ts";

const closing: (() => Promise<unknown>)[] = [];
after(async () => {
  for (const close of closing.toReversed()) await close();
});

async function dashboard(options: DashboardOptions = {}): Promise<Dashboard> {
  const started = new Dashboard({ listen: "127.0.0.1:0", ...options });
  await started.listen();
  closing.push(() => started.close());
  return started;
}

async function farmOf({ address }: Dashboard, headers = {}): Promise<FarmRow[]> {
  const answer = await fetch(`http://${address}/api/farm`, { headers });
  assert.equal(answer.status, 200);
  return (await answer.json()) as FarmRow[];
}

/** Asks until it is so; each question is answered at once. */
async function until(page: Dashboard, clock: ManualClock, isSo: (rows: FarmRow[]) => boolean): Promise<FarmRow[]> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    clock.advance(2000);
    const rows = await farmOf(page);
    if (isSo(rows) || performance.now() > deadline) return rows;
    await sleep(20);
  }
}

test("brokers, caches and who is down are on one page, and a peer that never answers holds nothing up", async () => {
  const cache = new CacheServer({ listen: "127.0.0.1:0" });
  await cache.listen();
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
  await broker.listen();
  const client = new CacheClient({ servers: [cache.address] });
  await client.set("a", 1);
  await client.close();
  closing.push(
    () => cache.close(),
    () => broker.close(),
  );
  const silent = createServer(() => {});
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  closing.push(async () => void silent.close());
  const other = await dashboard({ cache });
  const silentAddress = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const clock = new ManualClock();
  const page = await dashboard({ queue: broker, peers: [other.address, silentAddress, "127.0.0.1:1"], clock });

  const began = performance.now();
  assert.equal((await farmOf(page))[0]!.url, "");
  assert.ok(performance.now() - began < 1000, "the first answer waits for nobody");
  const rows = await until(page, clock, (all) => all.filter(({ state }) => state === "down").length === 2);
  assert.deepEqual(
    rows.map(({ url, state, why }) => [url, state, why?.replace(/ECONNREFUSED.*/, "ECONNREFUSED")]),
    [
      ["", "up", undefined],
      [`http://${other.address}/`, "up", undefined],
      [`http://${silentAddress}/`, "down", "no answer within 2 s"],
      ["http://127.0.0.1:1/", "down", rows[3]!.why],
    ],
  );
  assert.equal(rows[0]!.member!.queue!.address, broker.address);
  assert.equal(rows[1]!.member!.cache!.items, 1);

  await other.close();
  const gone = await until(page, clock, (all) => all[1]!.state === "down");
  assert.equal(gone[1]!.state, "down");
  assert.equal(gone[1]!.member!.cache!.address, cache.address, "what it said last stays on the page");
});

test("a process among its own peers, or there under two names, is shown once", async () => {
  const clock = new ManualClock();
  const peer = await dashboard();
  const port = peer.address.split(":")[1]!;
  const page = await dashboard({ peers: [peer.address, `localhost:${port}`], clock });
  const rows = await until(page, clock, (all) => all.length === 2 && all[1]!.state === "up");
  assert.deepEqual(
    rows.map(({ state }) => state),
    ["up", "up"],
  );
});

test("peers are asked with the token, and one with another token is down", async () => {
  const token = "a token of some length";
  const peer = await dashboard({ token });
  const clock = new ManualClock();
  const page = await dashboard({ token, peers: [peer.address], clock });
  const other = await dashboard({ token: "quite another long token", peers: [peer.address], clock });
  const headers = { authorization: `Bearer ${token}` };
  const ask = async (of: Dashboard, key: string): Promise<FarmRow> => {
    const deadline = performance.now() + 10_000;
    for (;;) {
      clock.advance(2000);
      const rows = await farmOf(of, { authorization: `Bearer ${key}` });
      if ((rows[1] && rows[1].state !== "asking") || performance.now() > deadline) return rows[1]!;
      await sleep(10);
    }
  };
  assert.equal((await fetch(`http://${peer.address}/api/member`, { headers })).status, 200);
  assert.equal((await ask(page, token)).state, "up");
  assert.deepEqual((await ask(other, "quite another long token")).why, "it answered 401");
});

test("what is no board, or sends without end, is down and costs 64 KiB", async () => {
  const answers: ((server: Server) => void)[] = [
    (server) => server.on("request", (_, response) => response.end("<html>")),
    (server) => server.on("request", (_, response) => response.end('{"id":7}')),
    (server) => server.on("request", (_, response) => response.writeHead(302, { location: "/elsewhere" }).end()),
    (server) =>
      server.on("request", (_, response) => {
        const more = (): void => {
          while (!response.destroyed && response.write("x".repeat(65_536)));
        };
        response.on("drain", more);
        more();
      }),
  ];
  const peers: string[] = [];
  for (const answer of answers) {
    const server = createHttpServer();
    answer(server);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    closing.push(async () => {
      server.closeAllConnections();
      server.close();
    });
    peers.push(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  }
  const clock = new ManualClock();
  const page = await dashboard({ peers, clock });
  const rows = await until(page, clock, (all) => all.filter(({ state }) => state === "down").length === 4);
  assert.deepEqual(
    rows.slice(1, 3).map(({ why }) => why),
    ["it is no board of Holdfast", "it is no board of Holdfast"],
  );
  assert.match(rows[3]!.why!, /redirect/);
  assert.equal(rows[4]!.why, "its answer is too long");
});

test("what a peer says is read word by word: another type is as if it were missing", () => {
  assert.equal(readMember(null), undefined);
  assert.equal(readMember({ upMs: 1 }), undefined);
  const read = readMember({
    id: "x",
    upMs: "soon",
    cpuShare: Number.POSITIVE_INFINITY,
    problems: [{ level: "bad", text: "y".repeat(1000) }, 7, { level: "sad", text: {} }],
    cache: { address: ["no"], items: 5 },
    queue: 7,
    extra: { deep: true },
  })!;
  assert.deepEqual([read.upMs, read.cpuShare], [0, 0]);
  assert.deepEqual(
    read.problems.map(({ level, text }) => [level, text.length]),
    [
      ["bad", 300],
      ["warning", 0],
      ["warning", 0],
    ],
  );
  assert.deepEqual([read.cache!.address, read.cache!.items, read.cache!.bytes], ["", 5, 0]);
  assert.equal(read.queue, undefined);
  assert.ok(!("extra" in read));
});

test("brokers of one group are on each other's page without being named", requires("nats-server"), async () => {
  await using nats = await NatsServers.start();
  const made = ["a", "b"].map(() => new Broker({ listen: "tcp://127.0.0.1:0", data: false, store: nats.url, log: false }));
  await Promise.all(made.map((broker) => broker.listen()));
  const [first, second] = await Promise.all(made.map((broker) => dashboard({ queue: broker })));
  let rows: FarmRow[] = [];
  for (const deadline = performance.now() + 20_000; rows.length < 2 && performance.now() < deadline; await sleep(100))
    rows = await farmOf(first!);
  assert.deepEqual(
    rows.map(({ state, member }) => [state, member?.queue?.address, member?.queue?.role].join(" ")).sort(),
    made.map((broker) => ["up", broker.address, broker.stats().cluster!.role].join(" ")).sort(),
  );
  const hello = (await (await fetch(`http://${second!.address}/api/hello`)).json()) as { hasPeers: boolean };
  assert.equal(hello.hasPeers, true);
  await Promise.all([first!.close(), second!.close()]);
  await Promise.all(made.map((broker) => broker.close()));
});

test("a broker that has told its group nothing for three turns is down with what it said, and news that are no member are left out", () => {
  const farm = new Farm({ peers: [], token: undefined, clock: new ManualClock() });
  const own = readMember({ id: "own" })!;
  const group = { group: "g", role: "leading", epoch: 1, sequence: 1, lag: 0, leader: "" } as const;
  const others = [
    { writer: "a", about: { id: "a", queue: { address: "tcp://a:5555" } }, agoMs: 6000 },
    { writer: "b", about: { id: "b" }, agoMs: 15_000 },
    { writer: "c", about: "nonsense", agoMs: 0 },
    { writer: "d", about: { id: "own" }, agoMs: 0 },
  ];
  assert.deepEqual(
    farm.members(own, { ...group, others }).map(({ url, state, member }) => [url, state, member?.id]),
    [
      ["", "up", "own"],
      ["group:a", "up", "a"],
      ["group:b", "down", "b"],
    ],
  );
});
