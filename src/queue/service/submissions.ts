/**
 * ○ Submissions on their way in: checked, given ids, written, and only then given out. One under a key that a task has is answered
 * with that task, or replaces what was asked for with it; one that finds its queue full is refused or waits, as it chose.
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
import { encodeHead, encodeHeadOf, encodeState } from "../tasks/task-record.ts";
import type { StoreOp } from "../../store/store.ts";
import { BODY_BYTES, CREATED, EXPIRES, ID, NONE } from "../tasks/task-columns.ts";
import type { TaskQueue } from "../tasks/task-queue.ts";
import type { Outcomes, OutcomeWatcher } from "./outcomes.ts";

export interface Submission {
  readonly queue: string;
  readonly spec: TaskSpec;
  /** Several of them under a key are one submission: the same again are answered with the same tasks, others are refused. */
  readonly bodies: readonly Uint8Array[];
  /** Of each body, where they are not all the same: `spec` then has what is said of all, the key (unless each has its own) and what to do when the queue is full. */
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

/** What a body under a key of its own comes to: a task that is known (`row`), or a new one. */
interface Keyed {
  readonly row: number;
  spec: TaskSpec;
  body: Uint8Array;
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
      const each = hasOwnKeys(submission) ? submission.specs : undefined;
      if (each) {
        this.#addEach(queue, submission, { specs: each, answer });
        return undefined;
      }
      const row = spec.key === "" ? NONE : stateMachine.findKeyHolder(queue.name, spec.key, this.#context.nowMs());
      if (row !== NONE && spec.replace) {
        this.#addEach(queue, submission, { specs: [spec], answer });
        return undefined;
      }
      if (row !== NONE) {
        mustBeSame(spec.key, stateMachine.keyedBodies(row), spec.keyed);
        this.#addAgain(row, submission, answer);
        return undefined;
      }
      this.#checkParents(submission.specs ?? [spec]);
      this.#checkRoom(queue, sumOf(bodies), bodies.length);
      this.#reserve(queue, submission, answer);
      return undefined;
    } catch (error) {
      if (error instanceof HoldfastError) return error;
      throw error;
    }
  }

  /**
   * Bodies under keys of their own. Those that are new are one commit; what is replaced is written whatever becomes of them: submitted again, it
   * comes to the same.
   */
  #addEach(
    queue: TaskQueue,
    submission: Submission,
    { specs, answer }: { readonly specs: readonly TaskSpec[]; readonly answer: SubmissionAnswer },
  ): void {
    const stateMachine = this.#context.stateMachine();
    const { refusal } = this.#context.commits;
    if (refusal) throw refusal;
    const byKey = new Map<string, Keyed>();
    for (const [index, spec] of specs.entries()) {
      const body = submission.bodies[index]!;
      const before = byKey.get(spec.key);
      if (before && spec.replace) Object.assign(before, { spec, body });
      if (before) continue;
      const row = stateMachine.findKeyHolder(queue.name, spec.key, this.#context.nowMs());
      const unwritten = row === NONE ? undefined : this.#unwritten.get(row);
      if (unwritten) {
        const { owner } = answer;
        const again = {
          owner,
          added: () => this.add(submission, answer),
          refused: (error: HoldfastError) => answer.refused(error),
        };
        this.#unwritten.set(row, [...unwritten, again]);
        return;
      }
      byKey.set(spec.key, { row, spec, body });
    }
    const keyed = [...byKey.values()];
    const fresh = keyed.filter(({ row }) => row === NONE);
    const replaced = keyed.filter(({ row, spec }) => row !== NONE && spec.replace);
    for (const { row, spec } of replaced) if (!stateMachine.isReplaceable(row)) throw notReplaceable(spec.key);
    this.#checkParents(fresh.map(({ spec }) => spec));
    const more = replaced.reduce((sum, { row, body }) => sum + body.length - stateMachine.table.u(row, BODY_BYTES), 0);
    this.#checkRoom(queue, sumOf(fresh.map(({ body }) => body)) + Math.max(0, more), fresh.length);

    const ids = new Map<string, number>();
    let open = 2;
    const done = (): void => {
      open -= 1;
      if (open > 0) return;
      this.#added(
        answer,
        specs.map(({ key }) => ids.get(key)!),
      );
      const known = keyed.filter(({ row }) => row !== NONE).map(({ spec }) => ids.get(spec.key)!);
      this.#watch(known, submission.watcher);
    };
    if (fresh.length === 0) open -= 1;
    else {
      const added = (given: readonly number[]): void => {
        for (const [index, { spec }] of fresh.entries()) ids.set(spec.key, given[index]!);
        done();
      };
      const news = { ...submission, bodies: fresh.map(({ body }) => body), specs: fresh.map(({ spec }) => spec) };
      this.#reserve(queue, news, { owner: answer.owner, added, refused: (error) => answer.refused(error) });
    }
    for (const { row, spec } of keyed) if (row !== NONE) ids.set(spec.key, stateMachine.table.f(row, ID));
    for (const each of replaced) this.#replace(queue, each);
    if (replaced.length === 0) done();
    else this.#journal.afterwards(done, answer.owner);
  }

  /** What was asked for with a task that has not begun is asked for anew. */
  #replace(queue: TaskQueue, { row, spec, body }: Keyed): void {
    const { bodies, events } = this.#context;
    const stateMachine = this.#context.stateMachine();
    const nowMs = this.#context.nowMs();
    const id = stateMachine.table.f(row, ID);
    const { priority } = spec;
    const own = Uint8Array.from(body);
    stateMachine.change(row, { dueMs: Math.max(spec.dueMs, nowMs), priority, bodyBytes: own.length }, nowMs);
    events.note(id, "changed", nowMs);
    bodies.hold(id, own);
    const head = {
      queue: queue.name,
      group: stateMachine.group(row),
      key: spec.key,
      priority,
      createdMs: stateMachine.table.f(row, CREATED),
      expiresMs: stateMachine.table.f(row, EXPIRES),
      after: [],
      policy: stateMachine.policy(row),
      traceparent: stateMachine.traces.of(id)?.traceparent ?? spec.traceparent,
    };
    this.#journal.rewritten(row, encodeHead(head), own);
    this.#journal.afterwards(() => bodies.trim(id));
  }

  #checkParents(specs: readonly TaskSpec[]): void {
    const stateMachine = this.#context.stateMachine();
    for (const { after } of specs) for (const id of after) if (stateMachine.find(id) === NONE) throw unknownParent(id);
  }

  #checkBodies(submission: Submission): void {
    const { bodies, spec } = submission;
    if (bodies.length > 1 && spec.policy.unique !== 0 && !hasOwnKeys(submission))
      throw new UsageError(
        "QUEUE_OPTIONS_INVALID",
        "Cannot submit several bodies under one key with 'uniqueWhile', 'throttleMs' or 'debounceMs': give each its own",
      );
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

  #checkRoom(queue: TaskQueue, bytes: number, tasks: number): void {
    const stateMachine = this.#context.stateMachine();
    if (stateMachine.isTooLarge(queue, bytes, tasks)) {
      throw new OperationError("QUEUE_BODY_TOO_LARGE", `Cannot submit ${bytes} bytes: more than the queue's limit`);
    }
    if (stateMachine.isFull(queue, bytes, tasks)) {
      throw new OperationError("QUEUE_FULL", `Cannot submit to queue '${queue.name}': its limit in bytes is reached`);
    }
  }

  #reserve(queue: TaskQueue, submission: Submission, answer: SubmissionAnswer): void {
    const { spec, bodies, watcher } = submission;
    const { commits } = this.#context;
    const { refusal } = commits;
    if (refusal) throw refusal;
    const stateMachine = this.#context.stateMachine();
    const nowMs = this.#context.nowMs();
    const asked = specsOf(submission);
    const rows = this.#reserveRows(queue, asked, { bodies, nowMs });
    // Of the size that it will have: a list that grows from nothing starts with room for 17, and mostly it is one.
    const ids = new Array<number>(bodies.length);
    const group = this.#openGroup();
    for (let index = 0; index < bodies.length; index += 1) {
      const body = bodies[index]!;
      const own = asked[index]!;
      const row = rows[index]!;
      const id = stateMachine.table.f(row, ID);
      ids[index] = id;
      const head = encodeHeadOf(own, queue.name, nowMs);
      group.ops.push({ kind: "add", id, head, state: encodeState(stateMachine.record(row)), body });
      const event = stateMachine.state(row) as StoredEventName;
      group.events.push({ event, id, queue: queue.name, attempt: 0, reason: undefined, error: "" });
      group.bytes += body.length;
      if (watcher) this.#outcomes.add(id, watcher);
    }
    this.#journal.addTime(group.ops);
    if (hasOwnKeys(submission)) for (const row of rows) this.#unwritten.set(row, NOBODY_ELSE);
    else if (spec.key !== "") this.#unwritten.set(rows[0]!, NOBODY_ELSE);
    group.written.push({ submission, answer, rows, ids, nowMs });
  }

  /** A row for each body, or none at all. */
  #reserveRows(
    queue: TaskQueue,
    asked: readonly TaskSpec[],
    { bodies, nowMs }: { readonly bodies: readonly Uint8Array[]; readonly nowMs: number },
  ): readonly number[] {
    const stateMachine = this.#context.stateMachine();
    const rows = new Array<number>(bodies.length);
    let reserved = 0;
    try {
      for (; reserved < rows.length; reserved += 1)
        rows[reserved] = stateMachine.reserve(queue, asked[reserved]!, bodies[reserved]!.length, nowMs);
    } catch (error) {
      for (const row of rows.slice(0, reserved)) stateMachine.discard(row);
      throw error;
    }
    return rows;
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
    const { bodies } = submission;
    const { events } = this.#context;
    const stateMachine = this.#context.stateMachine();
    const storedMs = this.#context.nowMs();
    for (let index = 0; index < rows.length; index += 1) {
      this.#context.bodies.put(ids[index]!, bodies[index]!);
      stateMachine.admit(rows[index]!, nowMs);
      events.note(ids[index]!, "stored", storedMs);
    }
    const others = this.#othersOf(submission, rows);
    this.#added(answer, ids);
    for (const other of others) this.#added(other, ids);
  }

  #refused({ submission, answer, rows, ids }: Written, error: OperationError): void {
    const { watcher } = submission;
    const stateMachine = this.#context.stateMachine();
    const others = this.#othersOf(submission, rows);
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

  /** Who else asked under its keys meanwhile. */
  #othersOf(submission: Submission, rows: readonly number[]): readonly SubmissionAnswer[] {
    if (hasOwnKeys(submission)) return rows.flatMap((row) => this.#othersOfRow(row));
    return submission.spec.key === "" ? NOBODY_ELSE : this.#othersOfRow(rows[0]!);
  }

  #othersOfRow(row: number): readonly SubmissionAnswer[] {
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
      this.#watch(ids, watcher);
    };
    const unwritten = this.#unwritten.get(row);
    if (unwritten) this.#unwritten.set(row, [...unwritten, { owner, added, refused: (error) => answer.refused(error) }]);
    // One after the other: they were given their numbers in one turn.
    else added(bodies.map((_, index) => first + index));
  }

  #watch(ids: readonly number[], watcher: OutcomeWatcher | undefined): void {
    if (!watcher) return;
    for (const id of ids)
      if (!this.#outcomes.watch(id, watcher)) this.#outcomes.tell(watcher, { id, state: "unknown", bytes: EMPTY });
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

/** Whether each of its bodies has a key of its own: all have one, or none. */
function hasOwnKeys({ specs }: Submission): boolean {
  return specs !== undefined && specs.length > 0 && specs[0]!.key !== "";
}

/** What is asked for with each body. */
function specsOf(submission: Submission): readonly TaskSpec[] {
  const { spec, specs, bodies } = submission;
  if (!specs && bodies.length === 1) return [spec];
  if (specs && hasOwnKeys(submission)) return specs;
  const others = spec.key === "" ? spec : keyedMember(spec);
  return bodies.map((_, index) => {
    const common = index === 0 ? spec : others;
    return specs ? { ...specs[index]!, ...keyOf(common) } : common;
  });
}

function sumOf(bodies: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const body of bodies) bytes += body.length;
  return bytes;
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

function notReplaceable(key: string): OperationError {
  return new OperationError(
    "QUEUE_KEY_CONFLICT",
    `Cannot replace the task under key '${key}': it has begun, or is of a flow, or waits for others`,
  );
}

function unknownParent(id: number): OperationError {
  return new OperationError("QUEUE_TASK_UNKNOWN", `Cannot submit after task ${id}: it is unknown, or no longer kept`);
}

function closing(): OperationError {
  return new OperationError("CLOSED", "The broker is closing");
}
