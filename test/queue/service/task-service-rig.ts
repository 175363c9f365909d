/** A task service on a clock moved by hand, for tests of what the task service does with tasks: no socket, no disk. */
import assert from "node:assert/strict";
import { ManualClock } from "../../../src/core/manual-clock.ts";
import { seeded } from "../../../src/core/random.ts";
import type { Consumer, Delivery } from "../../../src/queue/service/consumers.ts";
import { TaskService, type TaskServiceOptions } from "../../../src/queue/service/task-service.ts";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import { readSpec, readSpecs, type TaskOptions } from "../../../src/queue/tasks/task-policy.ts";
import type { Outcome } from "../../../src/queue/service/outcomes.ts";

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (value: Uint8Array): string => new TextDecoder().decode(value);

/** A task service on a clock moved by hand, and short words for what producers and workers do. */
export class Rig {
  readonly clock = new ManualClock();
  readonly store: MemoryStore;
  service: TaskService;

  constructor(store = new MemoryStore(), options: Partial<TaskServiceOptions> = {}) {
    this.store = store;
    this.service = new TaskService({ store, clock: this.clock, random: seeded(1), ...options });
  }

  static async open(store?: MemoryStore, options?: Partial<TaskServiceOptions>): Promise<Rig> {
    const rig = new Rig(store, options);
    await rig.service.open();
    return rig;
  }

  /** A service on what this one left behind, at the same time. */
  async restarted(): Promise<Rig> {
    await this.service.close();
    const rig = new Rig(this.store);
    rig.clock.advanceTo(this.clock.now());
    await rig.service.open();
    return rig;
  }

  async add(body: string, options: TaskOptions = {}, queue = "q"): Promise<number> {
    return (await this.addMany([body], options, queue))[0]!;
  }

  async addMany(bodies: readonly string[], options: TaskOptions = {}, queue = "q"): Promise<readonly number[]> {
    return new Promise((resolve, reject) => {
      const spec = readSpec(options, { nowMs: this.service.nowMs, wallMs: this.service.wallMs, numberOf: Number });
      this.service.add({ queue, spec, bodies: bodies.map(bytes) }, { added: resolve, refused: reject });
      this.service.flush();
    });
  }

  /** Each body with what it asks for. */
  async addEach(asked: readonly (readonly [body: string, options: TaskOptions])[], queue = "q"): Promise<readonly number[]> {
    return new Promise((resolve, reject) => {
      const context = { nowMs: this.service.nowMs, wallMs: this.service.wallMs, numberOf: Number };
      const specs = readSpecs({ each: asked.map(([, options]) => options) }, asked.length, context);
      const bodies = asked.map(([body]) => bytes(body));
      this.service.add({ queue, spec: readSpec({}, context), specs, bodies }, { added: resolve, refused: reject });
      this.service.flush();
    });
  }

  worker({ slots = 1, prefetch = 0, queue = "q", ...rest }: Partial<WorkerRigOptions> = {}): Worker {
    const worker = new Worker(this.service, { slots, prefetch, queue, ...rest });
    this.service.flush();
    return worker;
  }

  /** Lets time pass, doing what falls due, and lets what was written settle. */
  async pass(ms: number): Promise<void> {
    const endMs = this.clock.now() + ms;
    for (let nextMs = this.service.deadlineMs; nextMs !== undefined && nextMs <= endMs; nextMs = this.service.deadlineMs) {
      this.clock.advanceTo(nextMs);
      this.service.tick();
      await settle();
    }
    this.clock.advanceTo(endMs);
    this.service.tick();
    await settle();
  }

  outcome(id: number): Promise<Outcome> {
    return new Promise((resolve) => assert.ok(this.service.watch(id, { ended: resolve })));
  }
}

export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

interface WorkerRigOptions {
  readonly slots: number;
  readonly prefetch: number;
  readonly queue: string;
  readonly saysBegun?: boolean;
  readonly host?: unknown;
  readonly peer?: string;
}

export class Worker {
  readonly consumer: Consumer;
  readonly tasks: Delivery[] = [];
  readonly revoked: string[] = [];
  readonly recalled: number[] = [];
  readonly #service: TaskService;

  constructor(service: TaskService, { queue, ...options }: WorkerRigOptions) {
    this.#service = service;
    this.consumer = service.consume(queue, {
      ...options,
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

  /** Work on these has begun, by their places in `tasks`. */
  begin(...indices: readonly number[]): void {
    for (const index of indices) this.#service.begun(this.consumer, this.tasks[index]!);
  }

  async finish(index: number, result = ""): Promise<boolean> {
    const finished = this.#service.finish(this.consumer, this.tasks[index]!, bytes(result));
    this.#service.flush();
    await settle();
    return finished;
  }

  async fail(index: number, error: string, final = false): Promise<boolean> {
    const failed = this.#service.fail(this.consumer, this.tasks[index]!, { error, final });
    this.#service.flush();
    await settle();
    return failed;
  }

  async leave(lost: boolean): Promise<void> {
    this.#service.leave(this.consumer, { lost });
    this.#service.flush();
    await settle();
  }
}
