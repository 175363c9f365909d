/** A store on a disk of memory, whose process can be killed: what is being written then is kept whole or not at all. */
import { between } from "../../../src/core/random.ts";
import type { Random } from "../../../src/core/random.ts";
import type { MemoryStore } from "../../../src/store/memory-store.ts";
import type { Store, StoredTask, StoreOp, StoreOpening } from "../../../src/store/store.ts";
import type { VirtualNetwork } from "./virtual-network.ts";

export interface MortalStoreOptions {
  readonly network: VirtualNetwork;
  readonly chance: Random;
  /** A planted bug: it says that a batch is written before it is. */
  readonly lies?: boolean;
}

export class MortalStore implements Store {
  readonly disk: MemoryStore;
  readonly #options: MortalStoreOptions;
  #dead = false;
  #writing: readonly StoreOp[] | undefined;
  /** So many of the next writes fail. */
  failures = 0;

  constructor(disk: MemoryStore, options: MortalStoreOptions) {
    this.disk = disk;
    this.#options = options;
  }

  open(): Promise<StoreOpening> {
    return this.disk.open();
  }

  tasks(): AsyncIterable<readonly StoredTask[]> {
    return this.disk.tasks();
  }

  async write(ops: readonly StoreOp[]): Promise<void> {
    const { network, chance, lies } = this.#options;
    if (this.failures > 0) {
      this.failures -= 1;
      throw new Error("the disk is full");
    }
    this.#writing = ops;
    const written = new Promise<void>((resolve) => {
      network.clock.at(network.clock.now() + between(chance, 0, 15), () => {
        if (this.#dead) return; // nobody hears of it
        this.#writing = undefined;
        void this.disk.write(ops).then(resolve);
      });
    });
    if (!lies) await written;
  }

  /** The process is killed. */
  async kill(): Promise<void> {
    this.#dead = true;
    const ops = this.#writing;
    this.#writing = undefined;
    if (ops && this.#options.chance() < 0.5) await this.disk.write(ops);
  }

  read(ids: readonly number[]): Promise<readonly (Uint8Array | undefined)[]> {
    return this.disk.read(ids);
  }

  events(...range: Parameters<Store["events"]>): ReturnType<Store["events"]> {
    return this.disk.events(...range);
  }

  inspect(id: number): ReturnType<Store["inspect"]> {
    return this.disk.inspect(id);
  }

  async close(): Promise<void> {}
}
