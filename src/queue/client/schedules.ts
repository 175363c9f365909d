/** ● The schedules of a queue: tasks that are added by the calendar. */
import type { Schedule } from "../operations/answers.ts";
import { brokersOf, operateAll } from "./administration.ts";
import type { AddOptions, Queue } from "./queue.ts";
import type { WaitFor } from "./wait-options.ts";

/** When tasks are added, and which. */
export interface ScheduleOptions<P> extends Pick<
  AddOptions,
  "priority" | "attempts" | "backoff" | "backoffMax" | "attemptTimeout" | "expire" | "keep" | "group"
> {
  /** Minute hour day month weekday, such as "0 8 * * 1-5", with an optional field for seconds in front. */
  readonly cron: string;
  /** The payload of its tasks. */
  readonly body: P;
  /** An IANA name such as "Europe/Berlin"; default UTC. */
  readonly timeZone?: string;
  /** What to do with runs missed while the broker was away: one for all of them (the default), none, or all of the last hundred. */
  readonly missed?: "latest" | "skip" | "all";
}

/** Of one queue: `queue.schedules`. */
export class Schedules<P> {
  readonly #queue: Queue<P, never>;

  /** @internal */
  constructor(queue: Queue<P, never>) {
    this.#queue = queue;
  }

  /**
   * Makes a schedule, or replaces the one of this name, whatever queue it was of. Names are the broker's.
   *
   * @returns when it runs first
   * @throws UsageError QUEUE_OPTIONS_INVALID for an expression or a time zone that there is not, or that never comes
   */
  async upsert(
    name: string,
    { cron, body, timeZone, missed, ...options }: ScheduleOptions<P>,
    wait: WaitFor = {},
  ): Promise<Date> {
    const { client } = this.#queue;
    const asked = this.#queue.wait(wait);
    const brokers = await brokersOf(client, asked);
    const having = await this.#having(name, wait);
    const { value } = await client.operate(
      "upsertSchedule",
      { name, expression: cron, queue: this.#queue.name, timeZone, missed, options: this.#queue.wireOptions(options) },
      { ...asked, broker: having[0] ?? brokers[0], body: await this.#queue.payload.encode(body) },
    );
    return new Date(value.nextMs ?? NaN);
  }

  /** The schedules that add tasks to this queue. */
  async list(wait: WaitFor = {}): Promise<Schedule[]> {
    const all = await operateAll(this.#queue.client, "schedules", { queue: this.#queue.name }, this.#queue.wait(wait));
    return all.flatMap(({ schedules }) => schedules);
  }

  /** Removes a schedule; tasks that it has added stay. @returns false when there was none of this name */
  async remove(name: string, wait: WaitFor = {}): Promise<boolean> {
    const having = await this.#having(name, wait);
    for (const broker of having)
      await this.#queue.client.operate("removeSchedule", { name }, { ...this.#queue.wait(wait), broker });
    return having.length > 0;
  }

  /** When a schedule runs next, `count` times at most; none when there is no such schedule, or it never comes again. */
  async next(name: string, count = 1, wait: WaitFor = {}): Promise<Date[]> {
    const all = await operateAll(this.#queue.client, "schedules", { name, runs: count }, this.#queue.wait(wait));
    return (all.flatMap(({ schedules }) => schedules)[0]?.nextRunsMs ?? []).map((atMs) => new Date(atMs));
  }

  /** The brokers that have it. */
  async #having(name: string, wait: WaitFor): Promise<string[]> {
    const { client } = this.#queue;
    const asked = this.#queue.wait(wait);
    const found: string[] = [];
    for (const broker of await brokersOf(client, asked)) {
      const { value } = await client.operate("schedules", { name }, { ...asked, broker });
      if (value.schedules.length > 0) found.push(broker);
    }
    return found;
  }
}
