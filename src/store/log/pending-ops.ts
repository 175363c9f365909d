/**
 * ○ Changes that the local copy has not taken in yet, folded: of a task that came and ended meanwhile one row is written, of one that
 * went as well none. Invariant: applied in order they leave the store as all that were pushed would.
 */
import type { StoreOp } from "../store.ts";

export class PendingOps {
  #ops: (StoreOp | undefined)[] = [];
  /** Task → where its `add` lies. */
  readonly #added = new Map<number, number>();
  /** Task that was there before → where its last change lies. */
  readonly #changed = new Map<number, number>();
  readonly #settings = new Map<string, number>();
  #bytes = 0;

  /** About how many bytes wait; what was folded away is counted, too. */
  get bytes(): number {
    return this.#bytes;
  }

  push(op: StoreOp): void {
    this.#bytes += OP_BYTES;
    switch (op.kind) {
      case "add":
        this.#bytes += op.head.length + op.body.length;
        this.#added.set(op.id, this.#ops.length);
        this.#ops.push(op);
        return;
      case "state":
      case "end":
        if (op.kind === "end") this.#bytes += op.result.length;
        this.#change(op);
        return;
      case "remove":
        this.#remove(op);
        return;
      case "set":
        this.#bytes += op.name.length + (op.value?.length ?? 0);
        this.#replace(this.#settings, op.name, op);
        return;
      case "rewrite":
      case "keep": {
        const at = this.#added.get(op.id);
        if (at !== undefined) {
          if (op.kind === "rewrite") this.#ops[at] = { ...op, kind: "add" };
          return;
        }
        this.#bytes += op.head.length + op.body.length;
        // What comes after it stays after it: before it the task may not have been there.
        this.#changed.delete(op.id);
        this.#ops.push(op);
        return;
      }
      case "events":
        this.#bytes += op.entry.length;
        this.#ops.push(op);
        return;
      case "fact":
        this.#bytes += op.fact.payload.length;
        this.#ops.push(op);
    }
  }

  /** All that is left of what was pushed, in order; and begins anew. */
  take(): StoreOp[] {
    const ops = this.#ops.filter((op) => op !== undefined);
    this.#ops = [];
    this.#added.clear();
    this.#changed.clear();
    this.#settings.clear();
    this.#bytes = 0;
    return ops;
  }

  #change(op: Extract<StoreOp, { kind: "state" | "end" }>): void {
    const at = this.#added.get(op.id);
    if (at === undefined) {
      const before = this.#changed.get(op.id);
      const earlier = before === undefined ? undefined : this.#ops[before];
      // A state after an end: the result stays, the state is the newer.
      if (earlier?.kind === "end" && op.kind === "state") this.#ops[before!] = { ...earlier, state: op.state };
      else this.#replace(this.#changed, op.id, op);
      return;
    }
    const added = this.#ops[at] as Extract<StoreOp, { kind: "add" }>;
    const { id, head } = added;
    this.#ops[at] = { kind: "add", id, head, state: op.state, body: op.kind === "end" ? op.result : added.body };
  }

  #remove(op: Extract<StoreOp, { kind: "remove" }>): void {
    const at = this.#added.get(op.id);
    if (at === undefined) {
      this.#replace(this.#changed, op.id, op);
      return;
    }
    this.#ops[at] = undefined;
    this.#added.delete(op.id);
  }

  /** The newer stands where it came, the older nowhere. */
  #replace<K>(where: Map<K, number>, key: K, op: StoreOp): void {
    const before = where.get(key);
    if (before !== undefined) this.#ops[before] = undefined;
    where.set(key, this.#ops.length);
    this.#ops.push(op);
  }
}

/** What a change costs beside its bytes: an object, a place in a list and in a map. */
const OP_BYTES = 150;
