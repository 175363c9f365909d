/** SessionState mode's rules, in simulated time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { codeOf } from "../../../src/core/errors.ts";
import type { Presence, ServerSession } from "../../../src/link/session/server/server-session.ts";
import { VirtualNetwork } from "../support/virtual-network.ts";
import type { TransportPair } from "../support/virtual-network.ts";
import { virtualClientCore, virtualServerCore } from "../support/virtual-ends.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const bytes = (content: string): Uint8Array => Buffer.from(content);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("idle sessions ping once an interval, by the client alone, and nobody dies", () => {
  const network = new VirtualNetwork(1);
  const ends: string[] = [];
  const serverCore = virtualServerCore(network, { heartbeatMs: 30_000 });
  const written = { client: 0, server: 0 };
  const clientCore = virtualClientCore(
    {
      network,
      server: () => serverCore,
      joined: ({ client, server }) => {
        for (const [side, transport] of [
          ["client", client],
          ["server", server],
        ] as const) {
          const write = transport.write.bind(transport);
          transport.write = (parts) => {
            written[side] += 1;
            write(parts);
          };
        }
      },
    },
    {},
    { ended: ({ reason }) => ends.push(reason) },
  );
  clientCore.start();
  network.advance(1000, 5);
  written.client = 0;
  written.server = 0;
  network.advance(3_600_000, 500);
  assert.deepEqual(ends, []);
  assert.ok(written.client >= 118 && written.client <= 120, `client wrote ${written.client} frames in an hour`);
  assert.equal(written.server, written.client, "one answer each, and no ping of its own");
});

test("traffic received puts heartbeats off; what is sent does not", () => {
  const network = new VirtualNetwork(2);
  const serverCore = virtualServerCore(network, { heartbeatMs: 1000 });
  const ends: string[] = [];
  let pair: TransportPair | undefined;
  const clientCore = virtualClientCore(
    { network, server: () => serverCore, joined: (joined) => (pair = joined) },
    { reconnect: false },
    { ended: ({ reason }) => ends.push(reason) },
  );
  clientCore.start();
  network.advance(100, 5);
  // The server's answers vanish, so that the client hears nothing although it sends all the time.
  pair!.server.write = () => {};
  const start = network.clock.now();
  while (ends.length === 0) {
    clientCore.send(bytes("x")).catch(() => {});
    network.advance(50, 5);
  }
  const took = network.clock.now() - start;
  assert.deepEqual(ends, ["heartbeat"]);
  assert.ok(took >= 1200 && took <= 1450, `dead after ${took} ms: interval 1000 + timeout 334, less what was heard before`);
});

test("a heartbeat below the server's least is raised to it, and both sides keep to it", () => {
  const network = new VirtualNetwork(3);
  const serverCore = virtualServerCore(network, { heartbeatMsMin: 5000 });
  const intervals: number[] = [];
  const clientCore = virtualClientCore(
    { network, server: () => serverCore },
    { heartbeatMs: 10 },
    { opened: ({ welcome }) => intervals.push(welcome.heartbeatMs) },
  );
  clientCore.start();
  network.advance(100, 5);
  assert.deepEqual(intervals, [5000]);
});

test("a process that slept does not take its peers for dead when it wakes", () => {
  const network = new VirtualNetwork(4);
  const serverCore = virtualServerCore(network, { heartbeatMs: 1000 });
  const ends: string[] = [];
  const clientCore = virtualClientCore({ network, server: () => serverCore }, {}, { ended: ({ reason }) => ends.push(reason) });
  clientCore.start();
  network.advance(100, 5);
  // Time jumps for all, as for a laptop that was closed: no timer fired and no byte was read meanwhile.
  network.clock.jump(3_600_000);
  network.advance(5000, 5);
  assert.deepEqual(ends, []);
});

test("presence: online, away with the reason, and gone after the time to live; the will is announced once after its delay", () => {
  const network = new VirtualNetwork(5);
  const told: string[] = [];
  const serverCore = virtualServerCore(
    network,
    { ttlMs: 60_000, willDelayMs: 10_000, heartbeatMs: 1000 },
    {
      presence: (session: ServerSession, presence: Presence, end) =>
        told.push(`${session.name} ${presence} ${end?.reason ?? "-"}`),
      will: (session, will) => told.push(`${session.name} will ${text(will)}`),
    },
  );
  let up: typeof serverCore | undefined = serverCore;
  const clientCore = virtualClientCore({ network, server: () => up }, { name: "pump", will: bytes("pump lost") });
  clientCore.start();
  network.advance(100, 5);
  for (const pair of network.pairs) pair.break({ client: 0, server: Infinity });
  network.advance(3000, 5);
  assert.deepEqual(told.splice(0), ["pump online -", "pump online -"], "back on a new connection before anybody noticed");
  up = undefined;
  for (const pair of network.pairs) pair.break({ client: 0, server: Infinity });
  network.advance(9000, 5);
  assert.deepEqual(told.splice(0), ["pump away heartbeat"]);
  network.advance(5000, 5);
  assert.deepEqual(told.splice(0), ["pump will pump lost"]);
  network.advance(60_000, 50);
  assert.deepEqual(told, ["pump gone closed"]);
  assert.equal(serverCore.sessionCount, 0);
});

test("a client that says good-bye is gone at once, and its will is not announced", () => {
  const network = new VirtualNetwork(6);
  const told: string[] = [];
  const serverCore = virtualServerCore(
    network,
    {},
    { presence: (_session, presence) => told.push(presence), will: () => told.push("will") },
  );
  const clientCore = virtualClientCore({ network, server: () => serverCore }, { will: bytes("lost") });
  clientCore.start();
  network.advance(100, 5);
  clientCore.close(5000);
  network.advance(30_000, 50);
  assert.deepEqual(told, ["online", "away", "gone"]);
});

test("a session that the server has forgotten is a gap that says so: sent messages are in doubt, unsent ones move on", async () => {
  const network = new VirtualNetwork(7);
  const got: string[] = [];
  const owner = { message: (_session: ServerSession, message: Uint8Array): void => void got.push(text(message)) };
  let serverCore: ReturnType<typeof virtualServerCore> | undefined = virtualServerCore(network, {}, owner);
  const gaps: unknown[] = [];
  const clientCore = virtualClientCore({ network, server: () => serverCore }, {}, { gap: (gap) => gaps.push(gap) });
  clientCore.start();
  network.advance(100, 5);
  for (const pair of network.pairs) pair.server.deliver = () => {}; // read by nobody any more: the process dies
  const doubtful = clientCore.send(bytes("sent"));
  network.advance(50, 5);
  serverCore = undefined;
  for (const pair of network.pairs) pair.break({ client: 0, server: Infinity });
  network.advance(10, 5);
  const unsent = clientCore.send(bytes("unsent"));
  serverCore = virtualServerCore(network, {}, owner);
  const outcome = doubtful.then(() => "done", codeOf);
  network.advance(5000, 5);
  assert.equal(await outcome, "LINK_GAP");
  await unsent;
  assert.deepEqual(got, ["unsent"]);
  assert.deepEqual(gaps, [{ side: "own", count: 1, resent: false }]);
});

test("with inDoubt resend, messages in doubt are sent again in the new session, and the gap event says so", async () => {
  const network = new VirtualNetwork(8);
  const got: string[] = [];
  const owner = { message: (_session: ServerSession, message: Uint8Array): void => void got.push(text(message)) };
  let serverCore = virtualServerCore(network, {}, owner);
  const gaps: unknown[] = [];
  const clientCore = virtualClientCore(
    { network, server: () => serverCore },
    { inDoubt: "resend" },
    { gap: (gap) => gaps.push(gap) },
  );
  clientCore.start();
  network.advance(100, 5);
  for (const pair of network.pairs) pair.client.deliver = () => {}; // delivered, but the confirmation is lost
  const sent = clientCore.send(bytes("once or twice"));
  network.advance(50, 5);
  serverCore = virtualServerCore(network, {}, owner);
  for (const pair of network.pairs) pair.break({ client: 0, server: Infinity });
  network.advance(5000, 5);
  await sent;
  assert.deepEqual(got, ["once or twice", "once or twice"]);
  assert.deepEqual(gaps, [{ side: "own", count: 1, resent: true }]);
});

test("when the outbox is full, drop-oldest keeps the newest, and both sides learn of the gap", async () => {
  const network = new VirtualNetwork(9);
  const got: string[] = [];
  const gaps: unknown[] = [];
  const serverCore = virtualServerCore(
    network,
    { ttlMs: 1e9 },
    {
      message: (_session, message) => void got.push(text(message)),
      gap: (_session, lost) => gaps.push(lost),
    },
  );
  let up: typeof serverCore | undefined = serverCore;
  const clientCore = virtualClientCore({ network, server: () => up }, { whenFull: "drop-oldest", outboxMessagesMax: 10 });
  clientCore.start();
  network.advance(100, 5);
  const first = clientCore.send(bytes("0"));
  network.advance(50, 5);
  await first;
  up = undefined;
  for (const pair of network.pairs) pair.break({ client: 0, server: 0 });
  network.advance(10, 5);
  const sends = Array.from({ length: 25 }, (_, index) => clientCore.send(bytes(String(index + 1))).then(() => "done", codeOf));
  up = serverCore;
  network.advance(5000, 5);
  assert.deepEqual(await Promise.all(sends), [
    ...new Array<string>(15).fill("LINK_GAP"),
    ...new Array<string>(10).fill("done"),
  ]);
  assert.deepEqual(got, ["0", ...Array.from({ length: 10 }, (_, index) => String(index + 16))]);
  assert.deepEqual(gaps, [{ from: 2, to: 16 }]);
});

test("a message taken while the server was away, and longer than it turns out to take, is refused; those around it arrive", async () => {
  const network = new VirtualNetwork(15);
  const got: number[] = [];
  const limits = { messageBytesMax: 100, window: 10, windowBytes: 1000, partBytes: 16_384 };
  const serverCore = virtualServerCore(network, { limits }, { message: (_session, message) => void got.push(message.length) });
  const ends: string[] = [];
  const clientCore = virtualClientCore({ network, server: () => serverCore }, {}, { ended: ({ reason }) => ends.push(reason) });
  const outcomes = [50, 101, 100].map((length) => clientCore.send(new Uint8Array(length)).then(() => "done", codeOf));
  clientCore.start();
  network.advance(1000, 5);
  assert.deepEqual(await Promise.all(outcomes), ["done", "LINK_MESSAGE_TOO_LARGE", "done"]);
  assert.deepEqual(got, [50, 100]);
  assert.deepEqual(ends, []);
  await assert.rejects(clientCore.send(new Uint8Array(101)), { code: "LINK_MESSAGE_TOO_LARGE" });
});

test("messages given up while the connection is there are told as one gap, and those after it arrive", async () => {
  const network = new VirtualNetwork(16);
  const got: string[] = [];
  const gaps: unknown[] = [];
  const ends: string[] = [];
  const serverCore = virtualServerCore(
    network,
    { limits: { messageBytesMax: 1000, window: 1, windowBytes: 1000, partBytes: 16_384 } },
    {
      message: (_session, message) => {
        got.push(text(message));
        return new Promise((resolve) => network.clock.at(network.clock.now() + 2000, () => resolve(undefined)));
      },
      gap: (_session, lost) => gaps.push(lost),
    },
  );
  const clientCore = virtualClientCore(
    { network, server: () => serverCore },
    { keepMs: 3000 },
    { ended: ({ reason }) => ends.push(reason) },
  );
  clientCore.start();
  network.advance(100, 5);
  const early = ["1", "2", "3", "4"].map((each) => clientCore.send(bytes(each)).then(() => "done", codeOf));
  for (let step = 0; step < 400; step += 1) {
    network.advance(10, 5);
    await turn();
  }
  const late = clientCore.send(bytes("5")).then(() => "done", codeOf);
  for (let step = 0; step < 400; step += 1) {
    network.advance(10, 5);
    await turn();
  }
  assert.deepEqual(ends, []);
  assert.deepEqual(await Promise.all([...early, late]), ["done", "LINK_GAP", "LINK_GAP", "LINK_GAP", "done"]);
  assert.deepEqual(got, ["1", "2", "5"], "the second had been written when it was given up");
  assert.deepEqual(gaps, [{ from: 3, to: 4 }]);
});

test("when the outbox is full, send rejects with LINK_FULL and takes nothing", async () => {
  const network = new VirtualNetwork(10);
  const clientCore = virtualClientCore({ network, server: () => undefined }, { outboxMessagesMax: 2, outboxBytesMax: 100 });
  clientCore.start();
  void clientCore.send(bytes("1")).catch(() => {});
  void clientCore.send(bytes("2")).catch(() => {});
  await assert.rejects(clientCore.send(bytes("3")), { code: "LINK_FULL" });
  assert.deepEqual(clientCore.unsettled, { messages: 2, bytes: 2 });
});

test("a message that nobody confirms is given up when its time is over: send never hangs", async () => {
  const network = new VirtualNetwork(11);
  const gaps: unknown[] = [];
  const clientCore = virtualClientCore(
    { network, server: () => undefined },
    { keepMs: 60_000 },
    { gap: (gap) => gaps.push(gap) },
  );
  clientCore.start();
  const outcome = clientCore.send(bytes("1")).catch(codeOf);
  network.advance(60_001, 100);
  assert.equal(await outcome, "LINK_GAP");
  assert.deepEqual(gaps, [{ side: "own", count: 1, resent: false }]);
});

test("a connection past its greatest age is made anew, and the session goes on without a gap", async () => {
  const network = new VirtualNetwork(12);
  const ends: string[] = [];
  const opened: boolean[] = [];
  const serverCore = virtualServerCore(network, { maxAgeMs: 60_000 });
  const clientCore = virtualClientCore(
    { network, server: () => serverCore },
    {},
    { ended: ({ reason }) => ends.push(reason), opened: ({ resumed }) => opened.push(resumed) },
  );
  clientCore.start();
  const sends: Promise<void>[] = [];
  for (let second = 0; second < 200; second += 1) {
    sends.push(clientCore.send(bytes("x")));
    network.advance(1000, 20);
  }
  await Promise.all(sends);
  assert.deepEqual(ends, ["max-age", "max-age", "max-age"]);
  assert.deepEqual(opened, [false, true, true, true]);
});

test("5,000 clients that a drain sends away come back evenly over the drain's time", async () => {
  const network = new VirtualNetwork(13);
  const old = virtualServerCore(network);
  const next = virtualServerCore(network);
  let serving = old;
  const arrivals: number[] = [];
  const count = 5000;
  for (let index = 0; index < count; index += 1) {
    const clientCore = virtualClientCore(
      { network, server: () => serving, joined: () => arrivals.push(network.clock.now()) },
      { name: String(index) },
    );
    clientCore.start();
  }
  network.advance(1000, 10);
  assert.equal(old.connectionCount, count);
  arrivals.length = 0;
  const start = network.clock.now();
  serving = next;
  old.drain(20_000);
  network.advance(22_000, 10);
  assert.equal(old.connectionCount, 0);
  assert.equal(next.connectionCount, count);
  const perSecond = new Array<number>(22).fill(0);
  for (const at of arrivals) perSecond[Math.floor((at - start) / 1000)]! += 1;
  assert.equal(arrivals.length, count, "one connection each, although the next server knows none of the sessions");
  const busiest = Math.max(...perSecond);
  assert.ok(busiest <= 300, `even would be 250 a second; the busiest second had ${busiest}`);
  for (let second = 1; second < 19; second += 1) assert.ok(perSecond[second]! >= 200, `second ${second}: ${perSecond[second]}`);
  await turn();
});

test("5,000 clients whose server dies come back with full jitter, the busiest tenth of a second far from all of them", () => {
  const network = new VirtualNetwork(14);
  let serverCore: ReturnType<typeof virtualServerCore> | undefined = virtualServerCore(network);
  const arrivals: number[] = [];
  const count = 5000;
  for (let index = 0; index < count; index += 1) {
    virtualClientCore({
      network,
      server: () => serverCore,
      backoff: { base: 250, cap: 30_000 },
      joined: () => arrivals.push(network.clock.now()),
    }).start();
  }
  network.advance(1000, 10);
  arrivals.length = 0;
  serverCore = undefined;
  for (const pair of network.pairs) pair.break({ client: 1, server: Infinity });
  network.advance(10_000, 10);
  const back = virtualServerCore(network);
  serverCore = back;
  network.advance(60_000, 20);
  assert.equal(back.connectionCount, count);
  const perTenth = new Map<number, number>();
  for (const at of arrivals) perTenth.set(Math.floor(at / 100), (perTenth.get(Math.floor(at / 100)) ?? 0) + 1);
  const busiest = Math.max(...perTenth.values());
  assert.ok(busiest < count / 20, `${busiest} of ${count} came in the same 100 ms`);
});
