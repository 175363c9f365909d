/**
 * ● The keeper's thread: a connection to each broker's address that stays while the process's event loop is blocked. To a broker that
 * has forgotten who has which lease (it restarted, or another leads) it says what stands on the boards. It does no work and says
 * nothing of how tasks end.
 */
import { Buffer } from "node:buffer";
import { parentPort, workerData } from "node:worker_threads";
import { PROTOCOL, verbOf, VERB, type VerbIn, writeLease } from "../protocols/messages.ts";
import { RemoteConnection } from "./broker-connection.ts";
import type { KeeperMessage } from "./keeper.ts";
import { LeaseBoard } from "./lease-board.ts";

const ABOUT = Buffer.from(JSON.stringify({ begun: 1, process: workerData as string, keeps: 1 }));

interface Kept {
  readonly queue: Buffer;
  readonly board: LeaseBoard;
}

class BrokerKeeper {
  readonly kept = new Map<number, Kept>();
  readonly #connection: RemoteConnection;

  constructor({ address, security }: Extract<KeeperMessage, { kind: "keep" }>) {
    this.#connection = new RemoteConnection(
      address,
      { security, hasOthers: false },
      {
        up: () => this.#introduce(),
        down: () => {},
        heard: (frames) => {
          if (verbOf(frames[1]) === "ANEW") this.#introduce();
        },
      },
    );
  }

  say(verb: VerbIn, ...rest: Buffer[]): void {
    this.#connection.send([PROTOCOL, VERB[verb], ...rest]);
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  #introduce(): void {
    this.say("HELLO", Buffer.from("keeper"), ABOUT);
    for (const { queue, board } of this.kept.values()) {
      const leases = board.leases().map(({ id, token }) => writeLease(id, token));
      if (leases.length === 0) continue;
      this.say("HOLD", queue, ...leases);
      this.say("BEGUN", ...leases);
    }
  }
}

const brokers = new Map<string, BrokerKeeper>();
const byKey = new Map<number, BrokerKeeper>();

parentPort!.on("message", (message: KeeperMessage) => {
  switch (message.kind) {
    case "keep": {
      const { key, queue, memory } = message;
      const name = JSON.stringify([message.address, message.security]);
      let broker = brokers.get(name);
      if (!broker) brokers.set(name, (broker = new BrokerKeeper(message)));
      broker.kept.set(key, { queue: Buffer.from(queue), board: new LeaseBoard(memory) });
      byKey.set(key, broker);
      return;
    }
    case "giveBack":
      byKey.get(message.key)?.say("RETURN", writeLease(message.lease.id, message.lease.token));
      return;
    case "release": {
      const broker = byKey.get(message.key);
      byKey.delete(message.key);
      broker?.kept.delete(message.key);
      if (broker?.kept.size === 0) {
        for (const [name, each] of brokers) if (each === broker) brokers.delete(name);
        void broker.close();
      }
      if (byKey.size === 0) parentPort!.close();
    }
  }
});
