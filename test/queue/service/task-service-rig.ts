/** A desk on a clock moved by hand, for tests of what the desk does with tasks: no socket, no disk. */
import assert from "node:assert/strict";
import { ManualClock } from "../../../src/core/manual-clock.ts";
import { seeded } from "../../../src/core/random.ts";
import type { Consumer, Delivery } from "../../../src/queue/service/consumers.ts";
import { Desk, type DeskOptions } from "../../../src/queue/service/task-service.ts";
import { MemoryStore } from "../../../src/queue/stores/memory-store.ts";
import { readSpec, type TaskOptions } from "../../../src/queue/tasks/task-policy.ts";
import type { Outcome } from "../../../src/queue/service/outcome-watchers.ts";

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (value: Uint8Array): string => new TextDecoder().decode(value);

/** A desk on a clock moved by hand, and short words for what producers and workers do. */
export class Rig {
  readonly clock = new ManualClock();
  readonly store: MemoryStore;
  desk: Desk;

  constructor(store = new MemoryStore(), options: Partial<DeskOptions> = {}) {
    this.store = store;
    this.desk = new Desk({ store, clock: this.clock, random: seeded(1), ...options });
  }

  static async open(store?: MemoryStore, options?: Partial<DeskOptions>): Promise<Rig> {
    const rig = new Rig(store, options);
    await rig.desk.open();
    return rig;
  }

  async add(body: string, options: TaskOptions = {}, queue = "q"): Promise<number> {
    return (await this.addMany([body], options, queue))[0]!;
  }

  async addMany(bodies: readonly string[], options: TaskOptions = {}, queue = "q"): Promise<readonly number[]> {
    return new Promise((resolve, reject) => {
      const spec = readSpec(options, { nowMs: this.desk.nowMs, wallMs: this.desk.wallMs, numberOf: Number });
      this.desk.add({ queue, spec, bodies: bodies.map(bytes) }, { added: resolve, refused: reject });
    });
  }

  worker({ slots = 1, prefetch = 0, queue = "q" } = {}): Worker {
    const worker = new Worker(this.desk, { slots, prefetch, queue });
    this.desk.flush();
    return worker;
  }

  /** Lets time pass, doing what falls due, and lets what was written settle. */
  async pass(ms: number): Promise<void> {
    const endMs = this.clock.now() + ms;
    for (let nextMs = this.desk.deadlineMs; nextMs !== undefined && nextMs <= endMs; nextMs = this.desk.deadlineMs) {
      this.clock.advanceTo(nextMs);
      this.desk.tick();
      await settle();
    }
    this.clock.advanceTo(endMs);
    this.desk.tick();
    await settle();
  }

  outcome(id: number): Promise<Outcome> {
    return new Promise((resolve) => assert.ok(this.desk.watch(id, { ended: resolve })));
  }
}

export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

export class Worker {
  readonly consumer: Consumer;
  readonly tasks: Delivery[] = [];
  readonly revoked: string[] = [];
  readonly recalled: number[] = [];
  readonly #desk: Desk;

  constructor(desk: Desk, { slots, prefetch, queue }: { slots: number; prefetch: number; queue: string }) {
    this.#desk = desk;
    this.consumer = desk.consume(queue, {
      slots,
      prefetch,
      resumable: true,
      port: {
        task: (delivery) => this.tasks.push(delivery),
        revoked: (id, _token, why) => this.revoked.push(`${id} ${why}`),
        recall: (id) => this.recalled.push(id),
      },
    });
  }

  get bodies(): string[] {
    return this.tasks.map(({ body }) => text(body));
  }

  async finish(index: number, result = ""): Promise<boolean> {
    const finished = this.#desk.finish(this.consumer, this.tasks[index]!, bytes(result));
    this.#desk.flush();
    await settle();
    return finished;
  }

  async fail(index: number, error: string, final = false): Promise<boolean> {
    const failed = this.#desk.fail(this.consumer, this.tasks[index]!, { error, final });
    this.#desk.flush();
    await settle();
    return failed;
  }

  async leave(lost: boolean): Promise<void> {
    this.#desk.leave(this.consumer, { lost });
    this.#desk.flush();
    await settle();
  }
}
