/**
 * ○ Submissions on their way in: checked, given ids, written, and only then given out. One under a key that is known is answered
 * with the task that has it; one that finds its queue full is refused or waits, as it chose.
 */
import { EMPTY, sameBytes } from "../../core/bytes.ts";
import { HoldfastError, OperationError, UsageError } from "../../core/errors.ts";
import type { CommittedEvent, StoredEventName } from "./event-entry.ts";
import type { Owner } from "./guard.ts";
import type { Journal } from "./journal.ts";
import type { ServiceContext } from "./service-context.ts";
import { BATCH_TASKS_MAX, HELD_BYTES_MAX, TASK_OVERHEAD_BYTES } from "../limits.ts";
import { isResendKey, type KeyedBodies, type TaskSpec } from "../tasks/task-policy.ts";
import { digestOf } from "../tasks/bodies-digest.ts";
import { encodeHeadOf, encodeState } from "../tasks/task-record.ts";
import type { StoreOp } from "../../store/store.ts";
import { ID, NONE } from "../tasks/task-columns.ts";
import type { TaskQueue } from "../tasks/task-queue.ts";
import type { Outcomes, OutcomeWatcher } from "./outcomes.ts";

export interface Submission {
  readonly queue: string;
  readonly spec: TaskSpec;
  /** Several of them under a key are one submission: the same again are answered with the same tasks, others are refused. */
  readonly bodies: readonly Uint8Array[];
  /** Of each body, where they are not all the same: `spec` then has what is said of all, the key and what to do when the queue is full. */
  readonly specs?: readonly TaskSpec[] | undefined;
  /** Stays with each of the tasks until its outcome is told. */
  readonly watcher?: OutcomeWatcher | undefined;
}

/** The answer to a submission. Exactly one of the two is called, once. */
export interface SubmissionAnswer {
  /** The connection of the peer that submitted it. */
  readonly owner?: Owner | undefined;
  /** On disk. Tasks known under the same key already are answered with their own ids. */
  added(ids: readonly number[]): void;
  refused(error: HoldfastError): void;
}

interface Held {
  readonly submission: Submission;
  readonly answer: SubmissionAnswer;
  readonly bytes: number;
}

/** A submission that is being written. */
interface Written {
  readonly submission: Submission;
  readonly answer: SubmissionAnswer;
  readonly rows: readonly number[];
  readonly ids: readonly number[];
  readonly nowMs: number;
}

interface Group {
  readonly ops: StoreOp[];
  readonly events: CommittedEvent[];
  readonly written: Written[];
  bytes: number;
}

/** 1024 changes or 256 KiB: far under what one batch of the store takes, so that those bounds stay what they say. */
const GROUP_OPS_MAX = 1024;
const GROUP_BYTES_MAX = 256 * 1024;

const NOBODY_ELSE: readonly SubmissionAnswer[] = [];

export class Submissions {
  readonly #context: ServiceContext;
  readonly #journal: Journal;
  readonly #outcomes: Outcomes;
  readonly #bodyBytesMax: number;
  /** Submissions under a key that are being written: who else waits for them. */
  readonly #unwritten = new Map<number, readonly SubmissionAnswer[]>();
  /** The commit that is gathering. */
  #group: Group | undefined;
  /** Those that wait for room. */
  #held: Held[] = [];
  #heldBytes = 0;
  #closed = false;

  constructor(context: ServiceContext, parts: { journal: Journal; outcomes: Outcomes; bodyBytesMax: number }) {
    this.#context = context;
    this.#journal = parts.journal;
    this.#outcomes = parts.outcomes;
    this.#bodyBytesMax = parts.bodyBytesMax;
  }

  /** Takes a submission in: all of its bodies or none. */
  add(given: Submission, answer: SubmissionAnswer): void {
    const submission = withKeyedBodies(given);
    const refusal = this.#tryAdd(submission, answer);
    if (!refusal) return;
    if (refusal.code !== "QUEUE_FULL" || !submission.spec.waitForRoom) {
      this.#refuse(answer, refusal);
      return;
    }
    const bytes = submission.bodies.reduce((sum, body) => sum + body.length, TASK_OVERHEAD_BYTES);
    if (this.#heldBytes + bytes > HELD_BYTES_MAX) {
      this.#refuse(answer, refusal);
      return;
    }
    this.#heldBytes += bytes;
    this.#held.push({ submission, answer, bytes });
  }

  #tryAdd(submission: Submission, answer: SubmissionAnswer): HoldfastError | undefined {
    const { spec, bodies } = submission;
    const stateMachine = this.#context.stateMachine();
    try {
      if (this.#closed) throw closing();
      this.#checkBodies(submission);
      const queue = stateMachine.queue(submission.queue);
      const row = spec.key === "" ? NONE : stateMachine.findKey(queue.name, spec.key);
      if (row !== NONE) {
        mustBeSame(spec.key, stateMachine.keyedBodies(row), spec.keyed);
        this.#addAgain(row, submission, answer);
        return undefined;
      }
      for (const { after } of submission.specs ?? [spec])
        for (const id of after) if (stateMachine.find(id) === NONE) throw unknownParent(id);
      this.#checkRoom(queue, bodies);
      this.#reserve(queue, submission, answer);
      return undefined;
    } catch (error) {
      if (error instanceof HoldfastError) return error;
      throw error;
    }
  }

  #checkBodies({ bodies }: Submission): void {
    if (bodies.length === 0 || bodies.length > BATCH_TASKS_MAX) {
      throw new UsageError(
        "QUEUE_TOO_MANY",
        `Cannot submit ${bodies.length} bodies at once: 1 to ${BATCH_TASKS_MAX} are allowed`,
      );
    }
    const bytesMax = this.#bodyBytesMax;
    for (const body of bodies) {
      if (body.length > bytesMax) {
        throw new UsageError(
          "QUEUE_BODY_TOO_LARGE",
          `Cannot submit a body of ${body.length} bytes: at most ${bytesMax} are allowed`,
        );
      }
    }
  }

  #checkRoom(queue: TaskQueue, bodies: readonly Uint8Array[]): void {
    let bytes = 0;
    for (const body of bodies) bytes += body.length;
    const stateMachine = this.#context.stateMachine();
    if (stateMachine.isTooLarge(queue, bytes, bodies.length)) {
      throw new OperationError("QUEUE_BODY_TOO_LARGE", `Cannot submit ${bytes} bytes: more than the queue's limit`);
    }
    if (stateMachine.isFull(queue, bytes, bodies.length)) {
      throw new OperationError("QUEUE_FULL", `Cannot submit to queue '${queue.name}': its limit in bytes is reached`);
    }
  }

  #reserve(queue: TaskQueue, submission: Submission, answer: SubmissionAnswer): void {
    const { spec, specs, bodies, watcher } = submission;
    const { commits } = this.#context;
    const { refusal } = commits;
    if (refusal) throw refusal;
    const stateMachine = this.#context.stateMachine();
    const nowMs = this.#context.nowMs();
    let group: Group | undefined;
    // Of the size that they will have: a list that grows from nothing starts with room for 17, and mostly it is one.
    const rows = new Array<number>(bodies.length);
    const ids = new Array<number>(bodies.length);
    const others = bodies.length > 1 && spec.key !== "" ? keyedMember(spec) : spec;
    for (let index = 0; index < bodies.length; index += 1) {
      const body = bodies[index]!;
      const common = index === 0 ? spec : others;
      const own = specs ? { ...specs[index]!, ...keyOf(common) } : common;
      const row = stateMachine.reserve(queue, own, body.length, nowMs);
      const id = stateMachine.table.f(row, ID);
      rows[index] = row;
      ids[index] = id;
      group ??= this.#openGroup();
      const head = encodeHeadOf(own, queue.name, nowMs);
      group.ops.push({ kind: "add", id, head, state: encodeState(stateMachine.record(row)), body });
      const event = stateMachine.state(row) as StoredEventName;
      group.events.push({ event, id, queue: queue.name, attempt: 0, reason: undefined, error: "" });
      group.bytes += body.length;
      if (watcher) this.#outcomes.add(id, watcher);
    }
    this.#journal.addTime(group!.ops);
    if (spec.key !== "") this.#unwritten.set(rows[0]!, NOBODY_ELSE);
    group!.written.push({ submission, answer, rows, ids, nowMs });
  }

  /** What comes from now on is written after what has changed until now. */
  seal(): void {
    this.#group = undefined;
  }

  /** What submissions of one moment are written with: one commit, for as long as nobody has begun to write it. */
  #openGroup(): Group {
    const open = this.#group;
    if (open && open.ops.length < GROUP_OPS_MAX && open.bytes < GROUP_BYTES_MAX) return open;
    const group: Group = { ops: [], events: [], written: [], bytes: 0 };
    const { commits } = this.#context;
    if (!commits.single) this.#group = group;
    commits.submit({
      ops: group.ops,
      events: group.events,
      refusable: true,
      taken: () => {
        if (this.#group === group) this.#group = undefined;
      },
      done: (error) => {
        if (error) this.#journal.timeNotWritten();
        for (const written of group.written) {
          const { owner } = written.answer;
          this.#context.guard.run(() => (error ? this.#refused(written, error) : this.#written(written)), owner);
        }
      },
    });
    return group;
  }

  #written({ submission, answer, rows, ids, nowMs }: Written): void {
    const { spec, bodies } = submission;
    const { events } = this.#context;
    const stateMachine = this.#context.stateMachine();
    const storedMs = this.#context.nowMs();
    for (let index = 0; index < rows.length; index += 1) {
      this.#context.bodies.put(ids[index]!, bodies[index]!);
      stateMachine.admit(rows[index]!, nowMs);
      events.note(ids[index]!, "stored", storedMs);
    }
    const others = this.#othersOf(spec, rows[0]!);
    this.#added(answer, ids);
    for (const other of others) this.#added(other, ids);
  }

  #refused({ submission, answer, rows, ids }: Written, error: OperationError): void {
    const { spec, watcher } = submission;
    const stateMachine = this.#context.stateMachine();
    const others = this.#othersOf(spec, rows[0]!);
    for (const row of rows) stateMachine.discard(row);
    if (watcher) for (const id of ids) this.#outcomes.remove(id, watcher);
    this.#refuse(answer, error);
    for (const other of others) this.#refuse(other, error);
  }

  #added(answer: SubmissionAnswer, ids: readonly number[]): void {
    this.#context.guard.run(() => answer.added(ids), answer.owner, ids[0]);
  }

  #refuse(answer: SubmissionAnswer, error: HoldfastError): void {
    this.#context.guard.run(() => answer.refused(error), answer.owner);
  }

  /** Who else asked under the key meanwhile. */
  #othersOf({ key }: TaskSpec, row: number): readonly SubmissionAnswer[] {
    if (key === "") return NOBODY_ELSE;
    const others = this.#unwritten.get(row) ?? NOBODY_ELSE;
    this.#unwritten.delete(row);
    return others;
  }

  /** A submission under a key that is known: its tasks are the answer, whether they are still kept or not. */
  #addAgain(row: number, { bodies, watcher }: Submission, answer: SubmissionAnswer): void {
    const { owner } = answer;
    const first = this.#context.stateMachine().table.f(row, ID);
    const added = (ids: readonly number[]): void => {
      this.#added(answer, ids);
      if (watcher)
        for (const id of ids)
          if (!this.#outcomes.watch(id, watcher)) this.#outcomes.tell(watcher, { id, state: "unknown", bytes: EMPTY });
    };
    const unwritten = this.#unwritten.get(row);
    if (unwritten) this.#unwritten.set(row, [...unwritten, { owner, added, refused: (error) => answer.refused(error) }]);
    // One after the other: they were given their numbers in one turn.
    else added(bodies.map((_, index) => first + index));
  }

  /** Takes in those that have room now, in their order; a full queue holds up only its own. */
  admitHeld(): void {
    if (this.#held.length === 0) return;
    const full = new Set<string>();
    this.#held = this.#held.filter(({ submission, answer, bytes }) => {
      if (full.has(submission.queue)) return true;
      let refusal: HoldfastError | undefined;
      this.#context.guard.run(() => (refusal = this.#tryAdd(submission, answer)), answer.owner);
      if (refusal?.code === "QUEUE_FULL") {
        full.add(submission.queue);
        return true;
      }
      this.#heldBytes -= bytes;
      if (refusal) this.#refuse(answer, refusal);
      return false;
    });
  }

  /** Refuses what waits, and all that comes. */
  close(): void {
    this.#closed = true;
    for (const { answer } of this.#held.splice(0)) this.#refuse(answer, closing());
  }
}

/** With what several bodies under a key are known again by, and one where that was asked for. Under a key that was made to send them again they are the same anyway. */
function withKeyedBodies(submission: Submission): Submission {
  const { spec, bodies } = submission;
  if (spec.key === "" || (bodies.length <= 1 && !spec.sameBody) || bodies.length > BATCH_TASKS_MAX || isResendKey(spec.key))
    return submission;
  return { ...submission, spec: { ...spec, keyed: { count: bodies.length, digest: digestOf(bodies) } } };
}

/** What those are submitted with that come behind the first under a key. */
function keyedMember({ keyed, ...spec }: TaskSpec): TaskSpec {
  return { ...spec, key: "", ...(keyed && { isKeyedMember: true }) };
}

/** What says of a body under which key it is. */
function keyOf({ key, keyed, isKeyedMember }: TaskSpec): Pick<TaskSpec, "key" | "keyed" | "isKeyedMember"> {
  return { key, ...(keyed && { keyed }), ...(isKeyedMember && { isKeyedMember }) };
}

/** @throws OperationError QUEUE_KEY_CONFLICT */
function mustBeSame(key: string, known: KeyedBodies | undefined, asked: KeyedBodies | undefined): void {
  if (known && asked && known.count === asked.count && sameBytes(known.digest, asked.digest)) return;
  // Of one that was submitted without, nobody knows what it was.
  if ((known?.count ?? 1) === 1 && (asked?.count ?? 1) === 1 && !(known && asked)) return;
  throw new OperationError(
    "QUEUE_KEY_CONFLICT",
    `Cannot submit ${showBodies(asked)} under key '${key}': it is known for ${showBodies(known, "other ")}`,
  );
}

function showBodies({ count }: { readonly count: number } = { count: 1 }, other = ""): string {
  return count === 1 ? `1 ${other}body` : `${count} ${other}bodies`;
}

function unknownParent(id: number): OperationError {
  return new OperationError("QUEUE_TASK_UNKNOWN", `Cannot submit after task ${id}: it is unknown, or no longer kept`);
}

function closing(): OperationError {
  return new OperationError("CLOSED", "The broker is closing");
}
