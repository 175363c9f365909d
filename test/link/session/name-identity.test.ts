/** A name is the identity: restarts, takeovers, two clients that fight for one name. In simulated time, but for a real kill -9 at the end. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { codeOf } from "../../../src/core/errors.ts";
import { between, seeded } from "../../../src/core/random.ts";
import { connect, listen } from "../../../src/link/index.ts";
import type { ServerSession } from "../../../src/link/index.ts";
import { refuseBody, welcomeBody } from "../../../src/link/session/body.ts";
import type { SessionClientCore, SessionClientCoreOwner } from "../../../src/link/session/client/session-client-core.ts";
import type { SessionServerCore } from "../../../src/link/session/server/session-server-core.ts";
import type { SessionServerCoreOwner } from "../../../src/link/session/server/session-server-settings.ts";
import type { SessionServerSettings } from "../../../src/link/session/server/session-server-settings.ts";
import { HELLO, RawClient } from "../support/raw-client.ts";
import { virtualClientCore, virtualServerCore } from "../support/virtual-ends.ts";
import { VirtualNetwork } from "../support/virtual-network.ts";
import type { TransportPair } from "../support/virtual-network.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const bytes = (content: string): Uint8Array => Buffer.from(content);

/** A server, what it tells, and clients of one name. */
class Scene {
  readonly network: VirtualNetwork;
  readonly server: SessionServerCore;
  readonly told: string[] = [];
  readonly got: string[] = [];

  constructor(seed: number, settings: Partial<SessionServerSettings> = {}, owner: Partial<SessionServerCoreOwner> = {}) {
    this.network = new VirtualNetwork(seed);
    this.server = virtualServerCore(
      this.network,
      { heartbeatMs: 1000, ...settings },
      {
        message: (_session, message) => void this.got.push(text(message)),
        opened: (_session, { resumed, restarted }) => this.told.push(restarted ? "restarted" : resumed ? "resumed" : "new"),
        presence: (_session, presence) => this.told.push(presence),
        will: () => this.told.push("will"),
        ...owner,
      },
    );
  }

  get session(): ServerSession {
    return this.server.session("pump")!;
  }

  /** A process that says it is the pump. */
  pump(
    { certificate = "", token }: { certificate?: string; token?: string } = {},
    owner: Partial<SessionClientCoreOwner> = {},
  ): Pump {
    const pump: Pump = { core: undefined!, pair: undefined, got: [], ends: [], opened: [], closed: false };
    pump.core = virtualClientCore(
      { network: this.network, server: () => this.server, certificate, joined: (pair) => (pump.pair = pair) },
      { name: "pump", will: bytes("lost"), token },
      {
        message: (message) => void pump.got.push(text(message)),
        ended: ({ reason }) => void pump.ends.push(reason),
        opened: ({ resumed, welcome: { restarted = false } }) =>
          void pump.opened.push(restarted ? "restarted" : resumed ? "resumed" : "new"),
        closed: () => void (pump.closed = true),
        ...owner,
      },
    );
    pump.core.start();
    this.network.advance(100, 5);
    return pump;
  }

  /** What a promise comes to, while time goes on. */
  async outcome(promise: Promise<unknown>): Promise<unknown> {
    const outcome = promise.then(() => "done", codeOf);
    for (let round = 0; round < 20; round += 1) {
      this.network.advance(20, 5);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return Promise.race([outcome, Promise.resolve("pending")]);
  }

  /** kill -9: its kernel resets what it had, and nothing of it is ever heard again. */
  kill(pump: Pump): void {
    pump.pair?.client.vanish();
    pump.pair?.break({ client: Infinity, server: 1 });
    pump.core.close(0);
    this.network.advance(20, 5);
  }
}

interface Pump {
  core: SessionClientCore;
  pair: TransportPair | undefined;
  readonly got: string[];
  readonly ends: string[];
  readonly opened: string[];
  closed: boolean;
}

test("a client that is killed and started again goes on with its name's session: no will, never gone, what waited comes", async () => {
  const scene = new Scene(1, { ttlMs: 60_000, willDelayMs: 10_000 });
  const before = scene.pump();
  const { session } = scene;
  assert.equal(await scene.outcome(before.core.send(bytes("from before"))), "done");
  scene.kill(before);
  const commands = ["one", "two", "three"].map((command) => session.send(command));
  scene.network.advance(9000, 10);
  const after = scene.pump();
  assert.equal(await scene.outcome(Promise.all([...commands, after.core.send(bytes("from after"))])), "done");
  scene.network.advance(120_000, 50);
  assert.deepEqual(scene.told, ["new", "online", "away", "restarted", "online"]);
  assert.deepEqual(after.opened, ["restarted"]);
  assert.deepEqual(after.got, ["one", "two", "three"]);
  assert.equal(scene.session, session, "the same session");
  assert.deepEqual(scene.got, ["from before", "from after"]);
});

for (const inDoubt of ["reject", "resend"] as const) {
  test(`what was written to a client that was killed and not confirmed is in doubt: ${inDoubt}`, async () => {
    const scene = new Scene(2, { inDoubt });
    const before = scene.pump({}, { message: () => new Promise(() => {}) });
    const doubtful = scene.session.send("once or twice");
    doubtful.catch(() => {});
    scene.network.advance(50, 5);
    scene.kill(before);
    const waiting = scene.session.send("once");
    const after = scene.pump();
    assert.equal(await scene.outcome(waiting), "done");
    assert.equal(await scene.outcome(doubtful), inDoubt === "reject" ? "LINK_GAP" : "done");
    assert.deepEqual(after.got, inDoubt === "reject" ? ["once"] : ["once or twice", "once"]);
  });
}

test("of two clients with one name the newer one wins; the older hears taken-over and does not come back", async () => {
  const scene = new Scene(3);
  const older = scene.pump();
  assert.equal(await scene.outcome(older.core.send(bytes("from older"))), "done");
  const newer = scene.pump();
  scene.network.advance(60_000, 50);
  assert.deepEqual(older.ends, ["taken-over"]);
  assert.equal(older.closed, true);
  assert.deepEqual(newer.ends, []);
  assert.deepEqual(scene.told, ["new", "online", "restarted", "online"]);
  assert.equal(await scene.outcome(newer.core.send(bytes("from newer"))), "done");
  assert.deepEqual(scene.got, ["from older", "from newer"]);
});

test("a client that is cut off while another one takes its name hears so when it comes back", () => {
  const scene = new Scene(4);
  const older = scene.pump();
  older.pair!.break({ client: 3000, server: Infinity });
  const newer = scene.pump();
  scene.network.advance(60_000, 20);
  assert.deepEqual(older.ends, ["heartbeat", "taken-over"]);
  assert.equal(older.closed, true);
  assert.deepEqual(newer.ends, []);
  assert.equal(scene.session.presence, "online");
});

test("a client whose first WELCOME was lost, and whose name was taken meanwhile, does not take it back", () => {
  const scene = new Scene(5);
  const older: Pump = { core: undefined!, pair: undefined, got: [], ends: [], opened: [], closed: false };
  older.core = virtualClientCore(
    {
      network: scene.network,
      server: () => scene.server,
      joined(pair) {
        older.pair ??= pair;
        if (older.pair !== pair) return;
        const write = pair.server.write.bind(pair.server);
        let writes = 0;
        pair.server.write = (parts) => (writes++ === 0 ? write(parts) : undefined); // CHALLENGE arrives, WELCOME does not
      },
    },
    { name: "pump" },
    { ended: ({ reason }) => void older.ends.push(reason), closed: () => void (older.closed = true) },
  );
  older.core.start();
  scene.network.advance(100, 5);
  assert.equal(scene.session.presence, "online");
  older.pair!.break({ client: 500, server: Infinity });
  const newer = scene.pump();
  scene.network.advance(60_000, 20);
  assert.deepEqual(older.ends, ["keepalive-timeout", "taken-over"]);
  assert.equal(older.closed, true);
  assert.deepEqual(newer.ends, []);
});

test("a will's delay is no trap: taken over within it, no will is announced; after it, one is", () => {
  for (const [awayMs, told] of [
    [9900, ["new", "online", "away", "restarted", "online"]],
    [10_200, ["new", "online", "away", "will", "restarted", "online"]],
  ] as const) {
    const scene = new Scene(6, { willDelayMs: 10_000 });
    scene.kill(scene.pump());
    scene.network.advance(awayMs - 20, 5);
    scene.pump();
    scene.network.advance(120_000, 50);
    assert.deepEqual(scene.told, told);
  }
});

test("a name whose session was closed for good is free at once, also while its connection still ends", () => {
  const scene = new Scene(7);
  const before = scene.pump();
  const { session } = scene;
  before.pair!.cut = true; // the BYE is never answered
  session.close();
  scene.pump();
  assert.notEqual(scene.session, session);
  assert.equal(session.presence, "gone");
  assert.deepEqual(scene.told, ["new", "online", "gone", "new", "online"]);
});

test("the handler of a client before confirms nothing of the next one, and what it held is let go", async () => {
  const handlers: (() => void)[] = [];
  const scene = new Scene(8, {}, { message: () => new Promise<void>((resolve) => handlers.push(resolve)) });
  const before = scene.pump();
  before.core.send(new Uint8Array(1000)).catch(() => {});
  scene.network.advance(50, 5);
  assert.equal(scene.server.heldBytes, 1000);
  scene.kill(before);
  const after = scene.pump();
  assert.equal(scene.server.heldBytes, 0);
  const sent = after.core.send(new Uint8Array(10));
  scene.network.advance(50, 5);
  handlers[0]!();
  assert.equal(await scene.outcome(sent), "pending");
  handlers[1]!();
  assert.equal(await scene.outcome(sent), "done");
  assert.equal(scene.server.heldBytes, 0);
});

test("another certificate does not get the name, and the session of that name goes on", async () => {
  const scene = new Scene(9);
  const owner = scene.pump({ certificate: "CN=pump" });
  const thief = scene.pump({ certificate: "CN=thief" });
  assert.deepEqual(thief.ends, ["refused"]);
  assert.equal(thief.closed, true);
  assert.equal(await scene.outcome(owner.core.send(bytes("still here"))), "done");
  scene.kill(owner);
  assert.deepEqual(scene.pump({ certificate: "CN=pump" }).opened, ["restarted"]);
});

test("a name's token may change: who knows the new one has the session", () => {
  let token = "first";
  const scene = new Scene(10, { tokenRequired: true }, { token: () => token });
  scene.kill(scene.pump({ token }));
  token = "second";
  assert.deepEqual(scene.pump({ token: "first" }).ends, ["refused"]);
  assert.deepEqual(scene.pump({ token }).opened, ["restarted"]);
});

const seed = Number(process.env["SEED"] ?? 20_261_130);

test(`processes that fight for a name through cuts and kills: one is left, each message arrives once or is told (seed ${seed})`, async () => {
  for (let round = 0; round < 40; round += 1) {
    const chance = seeded(seed + round);
    const arrived = new Set<string>();
    const scene = new Scene(
      seed + round,
      { willDelayMs: 2000, ttlMs: 5000 },
      {
        message(_session, message) {
          assert.ok(!arrived.has(text(message)), `${text(message)} arrived twice`);
          arrived.add(text(message));
          return chance() < 0.3
            ? new Promise((resolve) =>
                scene.network.clock.at(scene.network.clock.now() + between(chance, 1, 900), () => resolve(undefined)),
              )
            : undefined;
        },
      },
    );
    const pumps: Pump[] = [];
    const outcomes: Promise<void>[] = [];
    const commands = new Map<string, string | undefined>();
    for (let step = 0; step < 60; step += 1) {
      const dice = chance();
      const pump = pumps[between(chance, 0, Math.max(0, pumps.length - 1))];
      const { pair } = pump ?? {};
      if (dice < 0.15 || !pump) pumps.push(scene.pump());
      else if (dice < 0.25) scene.kill(pump);
      else if (dice < 0.4 && pair && scene.network.pairs.has(pair)) {
        const notice = (): number => (chance() < 0.4 ? Infinity : between(chance, 0, 1500));
        pair.break({ client: notice(), server: notice() });
      } else if (dice < 0.7) {
        const name = `${round}.${step}`;
        outcomes.push(
          pump.core.send(bytes(name)).then(
            () => assert.ok(arrived.has(name), `${name} was confirmed and had not arrived`),
            (error: unknown) => assert.ok(["LINK_ENDED", "CLOSED", "LINK_GAP"].includes(String(codeOf(error))), String(error)),
          ),
        );
      } else if (scene.server.session("pump")) {
        const name = `command ${round}.${step}`;
        outcomes.push(
          scene.session.send(name).then(
            () => void commands.set(name, "done"),
            (error: unknown) => void commands.set(name, codeOf(error) as string),
          ),
        );
      }
      scene.network.advance(between(chance, 1, 400), 5);
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (let settling = 0; settling < 60; settling += 1) {
      scene.network.advance(1000, 20);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const living = pumps.filter(({ closed }) => !closed);
    assert.ok(living.length <= 1, `round ${round}: ${living.length} clients of one name live`);
    const presence = scene.told.findLast((word) => ["online", "away", "gone"].includes(word));
    assert.equal(presence, living.length === 1 ? "online" : "gone");
    assert.equal(scene.server.sessionCount, living.length);
    const counts = new Map<string, number>();
    for (const { got } of pumps) for (const name of got) counts.set(name, (counts.get(name) ?? 0) + 1);
    for (const pump of pumps) pump.core.close(0);
    scene.server.forgetAll();
    await Promise.all(outcomes);
    for (const [name, count] of counts) assert.equal(count, 1, `${name} arrived ${count} times`);
    for (const [name, outcome] of commands) if (outcome === "done") assert.equal(counts.get(name), 1, `${name} was confirmed`);
  }
});

test("clients of version 1 with one name have a session each, beside that of version 2, as they always had", async (t) => {
  const server = await listen({ port: 0, session: {} });
  t.after(() => server.close());
  const id = (byte: number): Uint8Array => new Uint8Array(16).fill(byte);
  const old = [1, 2].map((byte) => ({ client: new RawClient(server.port), sessionId: id(byte) }));
  for (const { client, sessionId } of old)
    assert.equal((await client.hello({ version: 1, name: "pump", sessionId })).name, "WELCOME");
  const pump = await connect({ port: server.port, session: { name: "pump" } });
  t.after(() => pump.close());
  assert.equal(server.stats().sessions.length, 3);
  assert.equal(server.session("pump")!.peer, [...server.sessions][2]!.peer);
  const again = new RawClient(server.port);
  const answer = await again.hello({ version: 1, name: "pump", sessionId: id(1), resume: true });
  assert.equal(welcomeBody.decode(answer.body).resumed, true);
  await old[0]!.client.closed;
  again.socket.destroy();
  old[1]!.client.socket.destroy();
});

test("a HELLO of version 1 with the id of a name's session does not get that session", async (t) => {
  const server = await listen({ port: 0, session: {} });
  t.after(() => server.close());
  const pump = await connect({ port: server.port, session: { name: "pump" } });
  t.after(() => pump.close());
  const thief = new RawClient(server.port);
  const answer = await thief.hello({ ...HELLO, name: "pump", sessionId: server.session("pump")!.state.id, resume: true });
  assert.equal(refuseBody.decode(answer.body).word, "session-unknown");
  thief.socket.destroy();
  await pump.send("mine");
});

test("kill -9 of a client's process, and a new one half way into the will's delay: the commands arrive, nobody hears of it", async (t) => {
  const server = await listen({ port: 0, session: { willDelay: "30s", ttl: "60s" } });
  t.after(() => server.close());
  const told: string[] = [];
  server.on("presence", (_session, presence) => told.push(presence)).on("will", () => told.push("will"));
  const child = (): ReturnType<typeof fork> =>
    fork(join(import.meta.dirname, "../support/named-client-child.ts"), [String(server.port), "pump"]);
  const opened = once(server, "session");
  const before = child();
  t.after(() => before.kill("SIGKILL"));
  const [session] = (await opened) as [ServerSession];
  const away = once(server, "presence");
  before.kill("SIGKILL");
  await away;
  const commands = Array.from({ length: 100 }, (_, index) => session.send(`command ${index}`));
  const after = child();
  t.after(() => after.kill("SIGKILL"));
  const got: unknown[] = [];
  after.on("message", (message) => got.push(message));
  await Promise.all(commands);
  while (got.length < 100) await once(after, "message");
  assert.deepEqual(
    got,
    Array.from({ length: 100 }, (_, index) => `command ${index}`),
  );
  assert.deepEqual(told, ["online", "away", "online"]);
  assert.equal(session.willAtMs, Infinity, "the will is cancelled");
  after.disconnect();
});
