/**
 * ● The keeper's thread: connections to the brokers' addresses that stay while the process's event loop is blocked. To a broker that has
 * forgotten who has which lease (it restarted, or another of its group leads) it says what stands on the boards. It does no work and
 * says nothing of how tasks end. Invariant: nothing is said of leases to a broker that knows no keepers, or that is another's.
 */
import { closePort } from "../../core/close-port.ts";
import { Buffer } from "node:buffer";
import { parentPort, workerData } from "node:worker_threads";
import { readBrokerMessage } from "../protocols/broker-messages.ts";
import { type Frames, PROTOCOL, VERB, type VerbIn, writeLease } from "../protocols/messages.ts";
import { RemoteConnection } from "./broker-connection.ts";
import type { KeeperMessage } from "./keeper.ts";
import { LeaseBoard } from "./lease-board.ts";

type KeepMessage = Extract<KeeperMessage, { kind: "keep" }>;

const HELLO = Buffer.from("keeper");
const ABOUT = Buffer.from(JSON.stringify({ begun: 1, process: workerData as string, keeps: 1 }));

/** The keeper at one address. */
class AddressKeeper {
  /** By their keys, the boards and whose leases are on them. */
  readonly kept = new Map<number, { readonly broker: string; readonly queue: Buffer; readonly board: LeaseBoard }>();
  readonly #connection: RemoteConnection;
  /** Who answers there; undefined: nobody now, or nobody who knows keepers. */
  #broker: string | undefined;

  constructor(address: string, security: KeepMessage["security"]) {
    this.#connection = new RemoteConnection(
      address,
      { security, hasOthers: false },
      {
        up: () => this.#say("HELLO", HELLO, ABOUT),
        down: () => (this.#broker = undefined),
        heard: (frames) => this.#heard(frames),
      },
    );
  }

  keep({ key, broker, queue, memory }: KeepMessage): void {
    this.kept.set(key, { broker, queue: Buffer.from(queue), board: new LeaseBoard(memory) });
  }

  giveBack(key: number, lease: Buffer): void {
    if (this.kept.get(key)?.broker === this.#broker) this.#say("RETURN", lease);
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  #say(verb: VerbIn, ...rest: Buffer[]): void {
    this.#connection.send([PROTOCOL, VERB[verb], ...rest]);
  }

  #heard(frames: Frames): void {
    try {
      const message = readBrokerMessage(frames);
      if (message.verb === "ANEW") this.#say("HELLO", HELLO, ABOUT);
      else if (message.verb === "WELCOME") this.#welcome(message.hasKeepers ? message.broker : undefined);
    } catch {
      // The worker's own connection says the same, and reports it.
      this.#connection.reset();
    }
  }

  #welcome(name: string | undefined): void {
    this.#broker = name;
    for (const { broker, queue, board } of this.kept.values()) {
      const leases = broker === name ? board.leases().map(({ id, token }) => writeLease(id, token)) : [];
      if (leases.length === 0) continue;
      this.#say("HOLD", queue, ...leases);
      this.#say("BEGUN", ...leases);
    }
  }
}

const keepers = new Map<string, AddressKeeper>();

parentPort!.on("message", (message: KeeperMessage) => {
  switch (message.kind) {
    case "keep": {
      const { key, addresses, security } = message;
      const names = new Map(addresses.map((address) => [JSON.stringify([address, security]), address]));
      for (const [name, address] of names) {
        if (!keepers.has(name)) keepers.set(name, new AddressKeeper(address, security));
        keepers.get(name)!.keep(message);
      }
      forget(key, names);
      return;
    }
    case "giveBack":
      for (const keeper of keepers.values()) keeper.giveBack(message.key, writeLease(message.lease.id, message.lease.token));
      return;
    case "release":
      forget(message.key);
      if (keepers.size === 0) closePort(parentPort!);
  }
});

/** At all addresses but these. */
function forget(key: number, except: ReadonlyMap<string, unknown> = new Map()): void {
  for (const [name, keeper] of keepers) {
    if (except.has(name)) continue;
    keeper.kept.delete(key);
    if (keeper.kept.size > 0) continue;
    keepers.delete(name);
    void keeper.close();
  }
}
