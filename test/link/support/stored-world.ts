/**
 * A server whose sessions are in a store, and clients with spools, in a simulated world where cables break and either side is killed at
 * any moment. A ledger says what became of every message.
 */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { between, seeded } from "../../../src/core/random.ts";
import type { Random } from "../../../src/core/random.ts";
import type { SessionClientCore } from "../../../src/link/session/client/session-client-core.ts";
import type { SessionServerCore } from "../../../src/link/session/server/session-server-core.ts";
import { PersistentSessions } from "../../../src/link/session/server/persistent-sessions.ts";
import { SpoolFile } from "../../../src/link/session/client/spool-file.ts";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import { MortalStore } from "./mortal-store.ts";
import { virtualClientCore, virtualServerCore } from "./virtual-ends.ts";
import { VirtualNetwork } from "./virtual-network.ts";
import type { TransportPair } from "./virtual-network.ts";

export interface WorldOptions {
  readonly seed: number;
  /** Where spools lie. */
  readonly folder: string;
  readonly clients: number;
  /** A planted bug, which the ledger must find. */
  readonly lies?: boolean;
}

/** What is to be true in the end, of one client. */
export interface Ledger {
  /** What it sent, in order, of each priority. */
  readonly sent: { plain: string[]; urgent: string[] };
  /** What the consumer behind the server took, each once: as a queue with idempotency keys does. */
  readonly stored: string[];
  /** Two messages under one key: the second would be lost. */
  conflicts: number;
  /** What the server's application sent to it; and of that what was in the store when a server was killed, or confirmed. */
  readonly commands: string[];
  readonly promised: Set<string>;
  readonly handled: string[];
  /** Gaps that either side was told. */
  gaps: number;
}

interface Client {
  core: SessionClientCore;
  pair: TransportPair | undefined;
  run: number;
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class StoredWorld {
  readonly network: VirtualNetwork;
  readonly ledgers: Ledger[] = [];
  kills = 0;
  readonly #options: WorldOptions;
  readonly #chance: Random;
  readonly #disk = new MemoryStore();
  readonly #keys = new Map<string, string>();
  readonly #clients: Client[] = [];
  #store: MortalStore | undefined;
  #server: SessionServerCore | undefined;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.network = new VirtualNetwork(options.seed);
    this.#chance = seeded(options.seed);
  }

  async run(steps: number): Promise<void> {
    await this.#startServer();
    for (let index = 0; index < this.#options.clients; index += 1) {
      this.ledgers.push({
        sent: { plain: [], urgent: [] },
        stored: [],
        conflicts: 0,
        commands: [],
        promised: new Set(),
        handled: [],
        gaps: 0,
      });
      this.#startClient(index);
    }
    for (let step = 0; step < steps; step += 1) await this.#step();
    if (!this.#server) await this.#startServer();
    for (let settling = 0; settling < 600 && !this.#isSettled; settling += 1) await this.#pass(50);
  }

  get #isSettled(): boolean {
    return this.ledgers.every(
      ({ promised, handled }, index) =>
        this.#clients[index]!.core.unsettled.messages === 0 &&
        this.#server!.session(`pump ${index}`)?.state.outbox.length === 0 &&
        [...promised].every((command) => handled.includes(command)),
    );
  }

  async #step(): Promise<void> {
    const chance = this.#chance;
    const index = between(chance, 0, this.#clients.length - 1);
    const client = this.#clients[index]!;
    const ledger = this.ledgers[index]!;
    for (let count = between(chance, 0, 8); count > 0; count -= 1) {
      const kind = chance() < 0.2 ? "urgent" : "plain";
      const name = `${index} ${kind} ${ledger.sent[kind].length}${chance() < 0.05 ? ".".repeat(40_000) : ""}`;
      ledger.sent[kind].push(name);
      client.core.send(Buffer.from(name), { urgent: kind === "urgent" }).catch(() => {});
    }
    const session = this.#server?.session(`pump ${index}`);
    if (session && chance() < 0.4) {
      const command = `command ${index}.${ledger.commands.length}${chance() < 0.05 ? ".".repeat(40_000) : ""}`;
      ledger.commands.push(command);
      session.send(command).then(
        () => ledger.promised.add(command),
        () => {},
      );
    }
    if (chance() < 0.03) client.core.sendStream([Buffer.from("a stream is in no spool")]).catch(() => {});
    if (session && chance() < 0.03) session.sendStream([Buffer.from("nor in the store")]).catch(() => {});
    if (chance() < 0.02 && this.#store) this.#store.failures = between(chance, 1, 4);
    await this.#pass(between(chance, 1, 40));
    if (chance() < 0.08) client.pair?.break({ client: between(chance, 0, 500), server: chance() < 0.5 ? Infinity : 1 });
    if (chance() < 0.06) this.#killClient(index);
    if (chance() < 0.06 && this.#server) await this.#killServer();
    else if (!this.#server && chance() < 0.3) await this.#startServer();
  }

  async #pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 5) {
      this.network.advance(Math.min(5, left), 5);
      await turn();
    }
  }

  async #startServer(): Promise<void> {
    const { network } = this;
    const chance = this.#chance;
    const mortal = new MortalStore(this.#disk, { network, chance, lies: this.#options.lies ?? false });
    const store = new PersistentSessions({ store: mortal, clock: network.clock, troubled: () => {} });
    const { sessions, lost } = await store.open();
    if (lost > 0) throw new Error("nothing was damaged");
    const core = virtualServerCore(
      network,
      { heartbeatMs: 1000, ttlMs: 1e9, keepMs: 1e9, willDelayMs: 1e9, limits: LIMITS },
      {
        message: ({ name, state }, message, number) => {
          if (mortal !== this.#store) return undefined; // a process that is no more
          const ledger = this.ledgers[Number(name.split(" ")[1])]!;
          const key = `${Buffer.from(state.id).toString("hex")}-${number}`;
          const content = text(message);
          if (!this.#keys.has(key)) ledger.stored.push(content);
          else if (this.#keys.get(key) !== content) ledger.conflicts += 1;
          this.#keys.set(key, content);
          const ms = between(chance, 1, 300);
          return chance() < 0.4
            ? new Promise((done) => network.clock.at(network.clock.now() + ms, () => done(undefined)))
            : undefined;
        },
        stream: () => undefined,
        gap: ({ name }) => {
          if (mortal === this.#store) this.#tellGap(Number(name.split(" ")[1]));
        },
      },
      store,
    );
    core.restore(sessions);
    this.#store = mortal;
    this.#server = core;
  }

  /** Streams are lost with their process, and the other side is told: that is no gap of messages. */
  #tellGap(index: number): void {
    this.ledgers[index]!.gaps += 1;
  }

  async #killServer(): Promise<void> {
    this.kills += 1;
    const store = this.#store!;
    this.#server = undefined;
    this.#store = undefined;
    for (const pair of this.network.pairs) {
      pair.server.vanish();
      pair.break({ client: between(this.#chance, 1, 50), server: Infinity });
    }
    await store.kill();
    for await (const rows of this.#disk.tasks()) {
      for (const body of await this.#disk.read(rows.map(({ id }) => id))) {
        const command = text(body!);
        for (const { commands, promised } of this.ledgers) if (commands.includes(command)) promised.add(command);
      }
    }
  }

  #killClient(index: number): void {
    this.kills += 1;
    const { pair } = this.#clients[index]!;
    pair?.client.vanish();
    pair?.break({ client: Infinity, server: between(this.#chance, 0, 300) });
    this.#startClient(index);
  }

  #startClient(index: number): void {
    const ledger = this.ledgers[index]!;
    const run = (this.#clients[index]?.run ?? 0) + 1;
    const file = join(this.#options.folder, `${this.#options.seed}.${index}.${run}`);
    if (run > 1) copyFileSync(join(this.#options.folder, `${this.#options.seed}.${index}.${run - 1}`), file); // what a kill leaves
    const isMe = (): boolean => this.#clients[index]!.run === run;
    const core = virtualClientCore(
      {
        network: this.network,
        server: () => (isMe() ? this.#server : undefined),
        joined: (pair) => (this.#clients[index]!.pair = pair),
      },
      { name: `pump ${index}`, keepMs: 1e9, heartbeatMs: 1000, spool: new SpoolFile(file, this.network.clock) },
      {
        message: (message) => void (isMe() && ledger.handled.push(text(message))),
        gap: () => (ledger.gaps += 1),
        stream: () => undefined,
      },
    );
    this.#clients[index] = { core, pair: undefined, run };
    core.start();
  }
}

const LIMITS = { messageBytesMax: 1_048_576, window: 255, windowBytes: 4_194_304, partBytes: 16_384 };
