/**
 * ● The log on NATS as a store for one broker, or for moving tasks: opening it takes the lead. Brokers that share a log elect a
 * leader (cluster-node.ts) and use the same parts.
 */
import { OperationError } from "../../core/errors.ts";
import type { Inspection, Store, StoredEvents, StoredTask, StoreOp, StoreOpening } from "../../store/store.ts";
import { GroupBus } from "./group-bus.ts";
import type { LeaderLog } from "../../store/log/leader-log.ts";
import { type FollowerOptions, LogFollower } from "../../store/log/log-follower.ts";

/** 500 ms: a leader answers at once, and sends a heartbeat each 200 ms. */
const LISTEN_MS = 500;
/** Another may write between the reading and the leading; one that does so this often is a leader that stays. */
const TRIES = 5;

export interface JetstreamStoreOptions extends FollowerOptions {
  /** Refuse to open while a broker leads, instead of taking the lead from it. */
  readonly refuseLed?: boolean;
}

export class JetstreamStore implements Store {
  readonly #options: JetstreamStoreOptions;
  #follower: LogFollower | undefined;
  #term: LeaderLog | undefined;
  #closing: Promise<void> | undefined;
  /** Refuses what is being written. */
  #reject: (error: OperationError) => void = () => {};

  constructor(options: JetstreamStoreOptions) {
    this.#options = options;
  }

  get patienceMs(): number | undefined {
    return this.#term?.patienceMs;
  }

  async open(): Promise<StoreOpening> {
    let caughtUp = (): void => {};
    const follower = await LogFollower.open(this.#options, { caughtUp: () => caughtUp() });
    this.#follower = follower;
    if (this.#options.refuseLed && (await this.#isLed(follower))) await this.#refuse();
    for (let tried = 0; tried < TRIES; tried += 1) {
      const end = new Promise<void>((resolve) => (caughtUp = resolve));
      await follower.follow();
      await end;
      this.#term = await follower.lead({ store: true }, () => this.#lost());
      if (!this.#term) continue;
      const { epoch, lastId, settings, lastEvent } = await this.#term.open();
      return { epoch, lastId, settings, lastEvent };
    }
    return this.#refuse();
  }

  async #refuse(): Promise<never> {
    await this.close();
    throw new OperationError("QUEUE_STORE_LOCKED", "Cannot take the log on NATS: a broker leads it");
  }

  /** Asks who leads, and waits for an answer. */
  async #isLed({ connection, writer }: LogFollower): Promise<boolean> {
    const heard = Promise.withResolvers<boolean>();
    const bus = new GroupBus(connection, this.#options.url.group, writer, {
      heartbeat: ({ kind }) => kind === "leading" && heard.resolve(true),
      toCore: () => {},
      toPeerRelay: () => {},
      trouble: (error) => heard.reject(error),
    });
    bus.heartbeat({ kind: "asking", writer, epoch: 0, ready: false, sequence: 0, broker: "", address: "" });
    const timer = setTimeout(() => heard.resolve(false), LISTEN_MS);
    try {
      return await heard.promise;
    } finally {
      clearTimeout(timer);
      bus.close();
    }
  }

  tasks(): AsyncIterable<readonly StoredTask[]> {
    return this.#open.tasks();
  }

  write(ops: readonly StoreOp[]): Promise<void> {
    const term = this.#open;
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      if (term.isOver) this.#lost();
      else term.write(ops).then(resolve, reject);
    });
  }

  read(ids: readonly number[]): Promise<readonly (Uint8Array | undefined)[]> {
    return this.#open.read(ids);
  }

  inspect(id: number): Promise<Inspection | undefined> {
    return this.#open.inspect(id);
  }

  events(from: number, bytesMax: number): Promise<readonly StoredEvents[]> {
    return this.#open.events(from, bytesMax);
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    await this.#term?.close();
    await this.#follower?.close();
  }

  /** What is being written was not: another has written in its place. */
  #lost(): void {
    this.#reject(new OperationError("QUEUE_STORE_LOCKED", "Another broker took over the log on NATS; writing has stopped"));
  }

  get #open(): LeaderLog {
    if (!this.#term) throw new OperationError("QUEUE_STORE_UNAVAILABLE", "The store is not open");
    return this.#term;
  }
}
