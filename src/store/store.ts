/**
 * ○ Where numbered records are kept (the queue's tasks, messages of sessions): what any store must be able to do. Three kinds exist:
 * memory (memory-store.ts), SQLite (sqlite/sqlite-store.ts), a log on NATS JetStream (queue/cluster/jetstream-store.ts).
 * test/store/store-conformance.ts tries what all promise. No store reads what is in a head, a state or a body.
 */
/**
 * What is kept of a task beside its row: an error of an attempt (attempt-error.ts), what a step of its handler came to
 * (tasks/step-facts.ts), a signal that was sent to it, how a task ended that it waited for.
 */
export type FactKind = (typeof FACT_KINDS)[number];

/** In the order of the numbers by which they are stored. */
export const FACT_KINDS = ["error", "step", "signal", "outcome"] as const;

/** Of errors, which have no name, the last ERRORS_MAX are kept; of the others one of each name: the newest, where the first was. */
export interface Fact {
  readonly kind: FactKind;
  readonly name: string;
  readonly payload: Uint8Array;
}

/** One change. A batch of them is written as a whole or not at all. */
export type StoreOp =
  /** A new task. */
  | {
      readonly kind: "add";
      readonly id: number;
      readonly head: Uint8Array;
      readonly state: Uint8Array;
      readonly body: Uint8Array;
    }
  /** A whole task with its facts, ended or not; changes nothing when it is there already. Moves tasks from store to store. */
  | {
      readonly kind: "keep";
      readonly id: number;
      readonly head: Uint8Array;
      readonly state: Uint8Array;
      /** Its result when it has ended with one. */
      readonly body: Uint8Array;
      readonly facts: readonly Fact[];
    }
  /** Its state record anew. */
  | { readonly kind: "state"; readonly id: number; readonly state: Uint8Array }
  /** It ended: its state anew, and its result in the place of its body. */
  | { readonly kind: "end"; readonly id: number; readonly state: Uint8Array; readonly result: Uint8Array }
  /** A task that has not begun has another head, state and body; its facts stay. Harmless when it is not there. */
  | {
      readonly kind: "rewrite";
      readonly id: number;
      readonly head: Uint8Array;
      readonly state: Uint8Array;
      readonly body: Uint8Array;
    }
  /** Removed, with body, result and facts. Harmless when it is not there. */
  | { readonly kind: "remove"; readonly id: number }
  /** One more fact. Harmless when the task is not there. */
  | { readonly kind: "fact"; readonly id: number; readonly fact: Fact }
  /**
   * One more entry of the ring of events: what the batch did, for those who listen. Entries that are older than `keepMs`, and all beyond
   * the newest `bytesMax` bytes of them, may go; the newest stays.
   */
  | {
      readonly kind: "events";
      /** Names when it was written: whoever was told of a number in another epoch was told of something else. */
      readonly epoch: number;
      /** The number of its last event. */
      readonly last: number;
      readonly atMs: number;
      readonly entry: Uint8Array;
      readonly keepMs: number;
      readonly bytesMax: number;
    }
  /** A setting; undefined takes it away. */
  | { readonly kind: "set"; readonly name: string; readonly value: string | undefined };

export interface StoredTask {
  readonly id: number;
  readonly head: Uint8Array;
  readonly state: Uint8Array;
  /** Which of the two is not what was written; undefined: neither. */
  readonly damaged?: { readonly head: boolean; readonly state: boolean } | undefined;
}

/** An entry of the ring of events. */
export interface StoredEvents {
  readonly epoch: number;
  /** The number of its last event. */
  readonly last: number;
  /** undefined: it is not what was written. */
  readonly entry: Uint8Array | undefined;
}

export interface Inspection {
  /** undefined: it is not what was written. */
  readonly head: Uint8Array | undefined;
  /** Oldest first. */
  readonly facts: readonly Fact[];
  /** A fact that is not what was written was left out. */
  readonly lacksFacts?: boolean | undefined;
}

/**
 * What a store knows when it is opened.
 *
 * @typeParam Standby what a store that follows another one's log hands over in the place of its records; most have none
 */
export interface StoreOpening<Standby = never> {
  /** How many times it was opened, this time included: grows with each, so that tokens made from it are never given twice. */
  readonly epoch: number;
  /** The largest task number ever added, removed ones included; 0 = none. */
  readonly lastId: number;
  readonly settings: ReadonlyMap<string, string>;
  /** The newest event of the ring; undefined: there is none. */
  readonly lastEvent?: { readonly epoch: number; readonly number: number } | undefined;
  /** All of its tasks, read already; then `tasks` need not be asked. */
  readonly standby?: Standby | undefined;
}

/** Where a broker keeps its tasks: `makeStore` makes one by its address. */
export interface Store<Standby = never> {
  /**
   * Opens, recovering from whatever ended the last use.
   *
   * @throws ProtocolError QUEUE_STORE_CORRUPT, OperationError QUEUE_STORE_LOCKED or QUEUE_STORE_UNAVAILABLE
   */
  open(): Promise<StoreOpening<Standby>>;
  /** All tasks in ascending order of their numbers, in portions; no `write` before the last was taken. */
  tasks(): AsyncIterable<readonly StoredTask[]>;
  /**
   * Writes all or nothing; resolves when it is as safe as the store's sync mode says. One call at a time.
   *
   * @throws OperationError QUEUE_STORE_UNAVAILABLE when it could not; nothing of the batch is kept then, and trying again is fine
   */
  write(ops: readonly StoreOp[]): Promise<void>;
  /**
   * After so many ms without an outcome of a write new tasks are refused, and nothing is given out, until it comes. Without it they
   * wait: for a disk that answers sooner or later.
   */
  readonly patienceMs?: number | undefined;
  /** Why it takes no new tasks, in a sentence that says what to do, although it writes everything else; undefined = it takes them. */
  readonly full?: string | undefined;
  /**
   * Bodies, or results of what is done, in the order asked for; undefined where no such task is kept, or what is kept is not what was
   * written. Sees all earlier writes.
   *
   * @throws OperationError QUEUE_STORE_UNAVAILABLE when one of them could not be read now; trying again is fine
   */
  read(ids: readonly number[]): Promise<readonly (Uint8Array | undefined)[]>;
  /** What is kept of a task beside its state and its body; undefined when it is not kept. */
  inspect(id: number): Promise<Inspection | undefined>;
  /** Entries of the ring that end with this event or a later one, in order, until they have so many bytes; none at the end. Sees all earlier writes. */
  events(from: number, bytesMax: number): Promise<readonly StoredEvents[]>;
  /** Waits for what is being written and closes. May be called twice. */
  close(): Promise<void>;
}
