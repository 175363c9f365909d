/**
 * ○ A store without a disk: for tests, and for `--sync none` without a data folder. Keeps what it holds over `close` and `open`
 * of the same object, as a disk would.
 */
import { withFact } from "./facts.ts";
import type { Fact, Inspection, Store, StoredEvents, StoredTask, StoreOp, StoreOpening } from "./store.ts";

interface Kept {
  readonly head: Uint8Array;
  state: Uint8Array;
  body: Uint8Array;
  facts: readonly Fact[];
}

/** 4096: a portion of a few hundred KB. */
const PORTION_TASKS = 4096;

export class MemoryStore implements Store {
  readonly #tasks = new Map<number, Kept>();
  readonly #settings = new Map<string, string>();
  #events: Extract<StoreOp, { kind: "events" }>[] = [];
  #eventBytes = 0;
  #epoch = 0;
  #lastId = 0;

  async open(): Promise<StoreOpening> {
    this.#epoch += 1;
    const newest = this.#events.at(-1);
    const lastEvent = newest && { epoch: newest.epoch, number: newest.last };
    return { epoch: this.#epoch, lastId: this.#lastId, settings: new Map(this.#settings), lastEvent };
  }

  async *tasks(): AsyncIterable<readonly StoredTask[]> {
    const all = [...this.#tasks].sort(([a], [b]) => a - b);
    for (let at = 0; at < all.length; at += PORTION_TASKS) {
      yield all.slice(at, at + PORTION_TASKS).map(([id, { head, state }]) => ({ id, head, state }));
    }
  }

  async write(ops: readonly StoreOp[]): Promise<void> {
    for (const op of ops) this.#apply(op);
  }

  async read(ids: readonly number[]): Promise<readonly (Uint8Array | undefined)[]> {
    return ids.map((id) => this.#tasks.get(id)?.body);
  }

  async inspect(id: number): Promise<Inspection | undefined> {
    const kept = this.#tasks.get(id);
    return kept && { head: kept.head, facts: kept.facts };
  }

  async events(from: number, bytesMax: number): Promise<readonly StoredEvents[]> {
    let bytes = 0;
    const found: StoredEvents[] = [];
    for (const { epoch, last, entry } of this.#events) {
      if (last < from) continue;
      found.push({ epoch, last, entry });
      bytes += entry.length;
      if (bytes >= bytesMax) break;
    }
    return found;
  }

  /** As SqliteStore's. */
  async whole(after: number, bytesMax: number): Promise<StoreOp[]> {
    const ops: StoreOp[] = [];
    let bytes = 0;
    for (const id of [...this.#tasks.keys()].filter((each) => each > after).sort((a, b) => a - b)) {
      const { head, state, body, facts } = this.#tasks.get(id)!;
      ops.push({ kind: "keep", id, head, state, body, facts });
      bytes += head.length + state.length + body.length;
      if (bytes >= bytesMax) break;
    }
    return ops;
  }

  async close(): Promise<void> {}

  #apply(op: StoreOp): void {
    switch (op.kind) {
      case "add":
        this.#tasks.set(op.id, { head: op.head, state: op.state, body: op.body.slice(), facts: [] });
        this.#lastId = Math.max(this.#lastId, op.id);
        return;
      case "keep": {
        const { id, head, state, body } = op;
        const facts = op.facts.reduce(withFact, []);
        if (!this.#tasks.has(id)) this.#tasks.set(id, { head, state, body: body.slice(), facts });
        this.#lastId = Math.max(this.#lastId, id);
        return;
      }
      case "rewrite":
        this.#change(op.id, (kept) => Object.assign(kept, { head: op.head, state: op.state, body: op.body.slice() }));
        return;
      case "state":
        this.#change(op.id, (kept) => (kept.state = op.state));
        return;
      case "end":
        this.#change(op.id, (kept) => Object.assign(kept, { state: op.state, body: op.result.slice() }));
        return;
      case "remove":
        this.#tasks.delete(op.id);
        return;
      case "fact":
        this.#change(op.id, (kept) => (kept.facts = withFact(kept.facts, op.fact)));
        return;
      case "events":
        this.#events.push(op);
        this.#eventBytes += op.entry.length;
        while (this.#events.length > 1) {
          const [oldest] = this.#events;
          if (oldest!.atMs >= op.atMs - op.keepMs && this.#eventBytes <= op.bytesMax) break;
          this.#eventBytes -= oldest!.entry.length;
          this.#events.shift();
        }
        return;
      case "set":
        if (op.value === undefined) this.#settings.delete(op.name);
        else this.#settings.set(op.name, op.value);
    }
  }

  #change(id: number, change: (kept: Kept) => void): void {
    const kept = this.#tasks.get(id);
    if (kept) change(kept);
  }
}
