/**
 * ● The entry point `holdfast/queue/testing`: a broker in memory for the tests of an application, with a clock that the test moves. It is the
 * broker and the client of `holdfast/queue`, connected inside the process; only time and the disk are others. Invariant: time moves only
 * while nothing can happen without it: what fell due has been done, and its handlers have ended, before anything later falls due.
 */
import type { Clock } from "../core/clock.ts";
import { UsageError } from "../core/errors.ts";
import type { LogOption } from "../core/log.ts";
import { ManualClock } from "../core/manual-clock.ts";
import { type Duration, durationMs } from "../core/units.ts";
import { Broker, type BrokerStats } from "./broker.ts";
import type { LocalBroker } from "./client/broker-connection.ts";
import { QueueClient } from "./client/queue-client.ts";
import { checkOptions, logOption, when } from "./option-check.ts";
import { MemoryStore } from "../store/memory-store.ts";
import type { StoreOp } from "../store/store.ts";

/** How a test's broker is set up. */
export interface TestBrokerOptions {
  /** What the wall clock shows at first; default 2026-01-01T00:00:00Z. */
  readonly now?: Date;
  /** As of `Broker`; default false: nothing is told. */
  readonly log?: LogOption;
}

/** The time of a test's broker and of its clients: it stands still until it is moved. */
export interface TestClock {
  /** What the wall clock shows. */
  readonly date: Date;
  /**
   * Moves time on. What falls due on the way happens in order, each at its own time, and with all that follows from it: a task that fails is
   * tried again after its backoff, a schedule adds its tasks, a lease or a rate ends.
   *
   * @throws UsageError UNIT_INVALID
   */
  advance(by: Duration): Promise<void>;
  /**
   * Moves time on until the wall clock shows this.
   *
   * @throws UsageError QUEUE_OPTIONS_INVALID for a time that has passed, or none
   */
  advanceTo(date: Date): Promise<void>;
}

/** A broker in memory, and the time it goes by. Made by `testBroker()`. */
export interface TestBroker {
  /** Its time. */
  readonly clock: TestClock;
  /** A client of it, for `queue(name, { client })`. Workers of such queues go by the same time. Closed with the broker. */
  connect(): QueueClient;
  /**
   * Resolves when nothing more happens at this time: everything that was asked is answered, every task that can run has run. A handler that
   * has waited for 50 ms of real time is taken to wait for the clock, and is not waited for.
   */
  idle(): Promise<void>;
  /** Its numbers as of now. */
  stats(): BrokerStats;
  /** Closes its clients and the broker. May be called twice. Close workers before it. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** 50 ms of real time: a handler that asks a database of the same machine is waited for; one that hangs costs a test no more than that. */
const PATIENCE_MS = 50;

/**
 * A broker in memory whose time the test moves: three days of delays, retries, schedules and limits take milliseconds.
 *
 * @throws UsageError QUEUE_OPTIONS_INVALID
 * @example
 * const broker = await testBroker();
 * const mails = queue<string, string>("mails", { client: broker.connect() });
 * const running = worker(mails, (to) => `sent to ${to}`);
 * const sent = mails.call("ada@example.org", { delay: "3d", timeout: "4d" });
 * await broker.clock.advance("3d");
 * console.log(await sent);
 * await running.close();
 * await broker.close();
 */
export async function testBroker(options: TestBrokerOptions = {}): Promise<TestBroker> {
  checkOptions(options, {
    act: "make the broker",
    known: {
      now: when((value) => value instanceof Date && !Number.isNaN(value.getTime()), "is a Date"),
      log: logOption,
    },
    bullmq: {},
  });
  const { now, log = false } = options;
  const time = new TestTime(now);
  const broker = new Broker({ listen: [], store: new WatchedStore(time.moved), clock: time.manual, signals: [], log });
  time.activeTasks = () => broker.stats().queues.reduce((active, { states }) => active + states.active, 0);
  await broker.listen();
  const clients = new Set<QueueClient>();
  const close = async (): Promise<void> => {
    await Promise.all([...clients].map((client) => client.close()));
    await broker.close();
  };
  return {
    clock: time,
    connect: () => {
      const client = new QueueClient({ broker: watched(broker, time.moved), clock: time.forClients, log });
      clients.add(client);
      return client;
    },
    idle: () => time.idle(),
    stats: () => broker.stats(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

class SteadyClock extends ManualClock implements Clock {
  readonly isWallSteady = true;
}

class TestTime implements TestClock {
  readonly manual: ManualClock;
  /** Whatever a client's timer does may have consequences. */
  readonly forClients: Clock;
  activeTasks: () => number = () => 0;
  #hasMoved = false;
  #wake: (() => void) | undefined;
  /** So many active tasks are known to wait for the clock. */
  #waiting = 0;
  #advancing: Promise<void> = Promise.resolve();

  constructor(now: Date | undefined) {
    const manual = new SteadyClock(now && { wallMs: now.getTime() });
    this.manual = manual;
    this.forClients = {
      now: () => manual.now(),
      wallMs: () => manual.wallMs(),
      at: (deadlineMs, fire) => {
        const call = (): void => {
          this.moved();
          fire();
        };
        if (deadlineMs > manual.now()) return manual.at(deadlineMs, call);
        const immediate = setImmediate(call);
        return () => clearImmediate(immediate);
      },
      afterInput: (call) => manual.afterInput(call),
    };
  }

  get date(): Date {
    return new Date(this.manual.wallMs());
  }

  /** Something happened from which more may follow. */
  readonly moved = (): void => {
    this.#hasMoved = true;
    this.#wake?.();
  };

  async advance(by: Duration): Promise<void> {
    const ms = durationMs(by, "advance");
    await this.#oneByOne(() => this.manual.now() + ms);
  }

  async advanceTo(date: Date): Promise<void> {
    const ms = date instanceof Date ? date.getTime() - this.manual.wallMs() : Number.NaN;
    if (!(ms >= 0))
      throw new UsageError(
        "QUEUE_OPTIONS_INVALID",
        `Cannot move the clock from ${this.date.toISOString()} to '${String(date)}': it moves on only`,
      );
    await this.#oneByOne(() => this.manual.now() + Math.max(0, date.getTime() - this.manual.wallMs()));
  }

  async idle(): Promise<void> {
    for (;;) {
      do {
        this.#hasMoved = false;
        // All that waits for nothing but promises and ticks of this process is done by then.
        await new Promise((resolve) => void setImmediate(resolve));
      } while (this.#hasMoved);
      const active = this.activeTasks();
      this.#waiting = Math.min(this.#waiting, active);
      if (active === this.#waiting) return;
      if (!(await this.#movesSoon())) this.#waiting = active;
    }
  }

  /** Advances of a test that does not wait for them follow one another. */
  #oneByOne(target: () => number): Promise<void> {
    const advancing = this.#advancing.then(() => this.#advanceTo(target()));
    this.#advancing = advancing.catch(() => {});
    return advancing;
  }

  async #advanceTo(targetMs: number): Promise<void> {
    const { manual } = this;
    await this.idle();
    for (let next = manual.nextDeadlineMs; next !== undefined && next <= targetMs; next = manual.nextDeadlineMs) {
      manual.advanceTo(next);
      // The broker looks at its tasks each second, and mostly there is nothing to do. If there is, promises have led to its store by the next
      // tick: a whole turn of the event loop costs four times as much.
      await new Promise<void>((resolve) => process.nextTick(resolve));
      if (this.#hasMoved) await this.idle();
    }
    manual.advanceTo(targetMs);
  }

  /** @returns false when nothing happens within the patience */
  #movesSoon(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#wake = undefined;
        resolve(false);
      }, PATIENCE_MS);
      this.#wake = () => {
        this.#wake = undefined;
        clearTimeout(timer);
        resolve(true);
      };
    });
  }
}

/** Tells of each change and each look. */
class WatchedStore extends MemoryStore {
  readonly #moved: () => void;

  constructor(moved: () => void) {
    super();
    this.#moved = moved;
  }

  override write(ops: readonly StoreOp[]): Promise<void> {
    this.#moved();
    return super.write(ops);
  }

  override read(ids: readonly number[]): Promise<readonly (Uint8Array | undefined)[]> {
    this.#moved();
    return super.read(ids);
  }
}

/** The broker as its clients reach it; each message to it and from it is told. */
function watched(broker: Broker, moved: () => void): LocalBroker {
  return {
    address: "test",
    attach: (send, closed) => {
      const { receive, gone } = broker.attach((frames) => {
        moved();
        send(frames);
      }, closed);
      return {
        gone,
        receive: (frames) => {
          moved();
          receive(frames);
        },
      };
    },
  };
}
