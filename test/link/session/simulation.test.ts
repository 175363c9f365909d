/**
 * SessionState mode in a simulated network: cut cables, connections that overtake their predecessors, crashes of either side. Every
 * message carries its own name, so that loss, doubling and disorder cannot hide.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { codeOf } from "../../../src/core/errors.ts";
import { between, seeded } from "../../../src/core/random.ts";
import type { SessionClientCore } from "../../../src/link/session/client/session-client-core.ts";
import type { SessionServerCore } from "../../../src/link/session/server/session-server-core.ts";
import { VirtualNetwork } from "../support/virtual-network.ts";
import type { TransportPair } from "../support/virtual-network.ts";
import { virtualClientCore, virtualServerCore } from "../support/virtual-ends.ts";

/** "12:345" as eight bytes: who sent it, and which of theirs it is. */
function label(sender: number, number: number): Uint8Array {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, sender);
  view.setUint32(4, number);
  return bytes;
}

function readLabel(bytes: Uint8Array): { sender: number; number: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { sender: view.getUint32(0), number: view.getUint32(4) };
}

/** What became of one sender's messages. */
class Ledger {
  sent = 0;
  confirmed = 0;
  inDoubt = 0;
  readonly delivered: number[] = [];
  readonly confirmedNumbers: number[] = [];
  readonly unexpected: unknown[] = [];
}

const seed = Number(process.env["SEED"] ?? 20_261_124);

test(`a million messages over cut connections arrive exactly once and in order (seed ${seed})`, async () => {
  const total = 1_000_000;
  const network = new VirtualNetwork(seed);
  const chance = seeded(seed + 1);
  const clients = 20;
  const up = Array.from({ length: clients }, () => new Ledger());
  const down = Array.from({ length: clients }, () => new Ledger());
  const serverCore: SessionServerCore = virtualServerCore(
    network,
    { heartbeatMs: 1000, ttlMs: 1e9, keepMs: 1e9 },
    {
      message(session, bytes) {
        up[Number(session.name)]!.delivered.push(readLabel(bytes).number);
        return chance() < 0.01 ? later(network, between(chance, 1, 300)) : undefined;
      },
      opened(session, { resumed }) {
        sessions.set(session.name, session);
        if (resumed) resumptions += 1;
      },
    },
  );
  let resumptions = 0;
  const sessions = new Map<string, { send(bytes: Uint8Array): Promise<void> }>();
  const dialers = up.map((_, index) =>
    virtualClientCore(
      { network, server: () => serverCore },
      { name: String(index), keepMs: 1e9, heartbeatMs: 1000 },
      { message: (bytes) => void down[index]!.delivered.push(readLabel(bytes).number) },
    ),
  );
  for (const clientCore of dialers) clientCore.start();

  let sent = 0;
  while (sent < total) {
    for (let burst = between(chance, 1, 10); burst > 0 && sent < total; burst -= 1) {
      const index = between(chance, 0, clients - 1);
      const session = sessions.get(String(index));
      const upwards = !session || chance() < 0.7;
      const ledger = upwards ? up[index]! : down[index]!;
      for (let count = between(chance, 1, 40); count > 0 && sent < total; count -= 1) {
        ledger.sent += 1;
        sent += 1;
        const bytes = label(index, ledger.sent);
        track(ledger, ledger.sent, upwards ? dialers[index]!.send(bytes) : session.send(bytes));
      }
    }
    network.advance(between(chance, 1, 12), 4);
    if (chance() < 0.2) breakOne(network, chance);
    await turn();
  }
  await until(() => [...up, ...down].every((ledger) => ledger.confirmed + ledger.inDoubt === ledger.sent), network);

  for (const ledger of [...up, ...down]) {
    assert.deepEqual(ledger.unexpected, []);
    assert.equal(ledger.inDoubt, 0);
    assert.equal(ledger.confirmed, ledger.sent);
    assert.ok(inOrder(ledger.delivered, ledger.sent), "delivered once each, in the order sent");
  }
  assert.ok(resumptions > 300, `connections were lost and sessions resumed: ${resumptions}`);
});

test(`when clients and servers crash, what was confirmed arrived once and the rest is told to be in doubt (seed ${seed})`, async () => {
  const network = new VirtualNetwork(seed + 7);
  const chance = seeded(seed + 8);
  const ledgers: Ledger[] = [];
  const pairs = new Set<TransportPair>();
  let serverCore: SessionServerCore | undefined;
  const startServer = (): void => {
    serverCore = virtualServerCore(network, { heartbeatMs: 1000 }, { message: (_session, bytes) => deliver(bytes) });
  };
  const deliver = (bytes: Uint8Array): void => {
    const { sender, number } = readLabel(bytes);
    ledgers[sender]!.delivered.push(number);
  };
  startServer();
  const startClient = (): { clientCore: SessionClientCore; ledger: Ledger; sender: number } => {
    const ledger = new Ledger();
    const sender = ledgers.push(ledger) - 1;
    const clientCore = virtualClientCore(
      { network, server: () => serverCore, joined: (pair) => pairs.add(pair) },
      { heartbeatMs: 1000 },
    );
    clientCore.start();
    return { clientCore, ledger, sender };
  };
  const clients = Array.from({ length: 10 }, startClient);
  for (let step = 0; step < 6000; step += 1) {
    const { clientCore, ledger, sender } = clients[between(chance, 0, clients.length - 1)]!;
    for (let count = between(chance, 1, 20); count > 0; count -= 1) {
      ledger.sent += 1;
      track(ledger, ledger.sent, clientCore.send(label(sender, ledger.sent)));
    }
    network.advance(between(chance, 1, 20), 4);
    if (chance() < 0.05) breakOne(network, chance);
    if (chance() < 0.002) {
      // The server's process dies: its kernel resets every connection, its sessions are forgotten.
      for (const pair of network.pairs) {
        pair.server.vanish();
        pair.break({ client: between(chance, 1, 20), server: Infinity });
      }
      serverCore = undefined;
      network.clock.at(network.clock.now() + between(chance, 10, 2000), startServer);
    }
    if (chance() < 0.002) {
      // A client's process dies with what it had not sent.
      const index = between(chance, 0, clients.length - 1);
      clients[index]!.clientCore.close(0);
      network.advance(1);
      clients[index] = startClient();
    }
    await turn();
  }
  await until(() => ledgers.every((ledger) => ledger.confirmed + ledger.inDoubt === ledger.sent), network);

  let doubtful = 0;
  for (const ledger of ledgers) {
    assert.deepEqual(ledger.unexpected, []);
    const delivered = new Set(ledger.delivered);
    assert.equal(delivered.size, ledger.delivered.length, "nothing is delivered twice");
    assert.ok(
      ledger.confirmedNumbers.every((number) => delivered.has(number)),
      "what is confirmed was delivered",
    );
    assert.ok(
      ledger.delivered.every((number, index) => index === 0 || number > ledger.delivered[index - 1]!),
      "in order",
    );
    doubtful += ledger.inDoubt;
  }
  assert.ok(doubtful > 0, "crashes leave some in doubt, or the test tests nothing");
});

function track(ledger: Ledger, number: number, done: Promise<void>): void {
  done.then(
    () => {
      ledger.confirmed += 1;
      ledger.confirmedNumbers.push(number);
    },
    (error: unknown) => {
      if (codeOf(error) === "LINK_GAP" || codeOf(error) === "LINK_ENDED") ledger.inDoubt += 1;
      else ledger.unexpected.push(error);
    },
  );
}

/** Breaks a connection: both ends notice, or one, or neither, who then have heartbeats only. */
function breakOne(network: VirtualNetwork, chance: () => number): void {
  const pairs = [...network.pairs];
  const pair = pairs[Math.floor(chance() * pairs.length)];
  const notice = (): number => (chance() < 0.3 ? Infinity : between(chance, 0, 2000));
  pair?.break({ client: notice(), server: notice() });
}

function later(network: VirtualNetwork, inMs: number): Promise<void> {
  return new Promise((resolve) => network.clock.at(network.clock.now() + inMs, resolve));
}

async function turn(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}

async function until(done: () => boolean, network: VirtualNetwork): Promise<void> {
  for (let step = 0; step < 5000 && !done(); step += 1) {
    network.advance(200, 10);
    await turn();
  }
  assert.ok(done(), "everything settles in the end");
}

function inOrder(numbers: readonly number[], count: number): boolean {
  return numbers.length === count && numbers.every((number, index) => number === index + 1);
}
