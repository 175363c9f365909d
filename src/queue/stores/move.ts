/**
 * ○ Moves a whole queue from one store to another: tasks with ids, bodies, results and errors, settings, schedules. It can be cut off at
 * any point and run again; nothing is lost or doubled, because tasks are written in the order of their numbers, whole batches at a time,
 * and marks in both stores keep brokers away until everything is where it belongs:
 *
 *     source leaving → target arriving → tasks, settings → source left → target arrived
 *
 * The source keeps what it had. A target that has ever held tasks of its own is refused. Invariant: of the two stores of a
 * move at most one can be opened by a broker; while the move is under way, neither.
 */
import { EMPTY } from "../../core/bytes.ts";
import { OperationError, ProtocolError } from "../../core/errors.ts";
import { decodeState } from "../tasks/task-record.ts";
import type { Store, StoredTask, StoreOp, StoreOpening } from "../../store/store.ts";
import { FLAG_ERRORS, FLAG_STEPS } from "../tasks/task-columns.ts";

/** The setting that holds the mark. */
export const MOVE_SETTING = "move";

/** The setting that holds how many times the stores were opened in which the queue was before. */
export const EPOCHS_BEFORE_SETTING = "epochs before";

/** How many times the queue was opened, in this store and those before: grows with each, so that leases outlive no move. */
export function epochsOf({ epoch, settings }: Pick<StoreOpening, "epoch" | "settings">): number {
  return epoch + Number(settings.get(EPOCHS_BEFORE_SETTING) ?? 0);
}

/**
 * - `leaving`: the source, from before the first task is copied until all are
 * - `left`: the source, from then on
 * - `arriving`: the target, until all has arrived
 * - `arrived`: the target, from then on; it is a store as any other
 */
type MoveState = "leaving" | "left" | "arriving" | "arrived";

interface MoveMark {
  readonly state: MoveState;
  /** Names the move: the same in both stores. */
  readonly id: string;
  /** The other store, as it may be shown. */
  readonly other: string;
}

function readMoveMark(settings: ReadonlyMap<string, string>): MoveMark | undefined {
  const text = settings.get(MOVE_SETTING);
  return text === undefined ? undefined : (JSON.parse(text) as MoveMark);
}

/**
 * What a broker asks of the settings of the store it opened.
 *
 * @throws OperationError QUEUE_STORE_MOVED when its tasks are, or will be, another store's
 */
export function refuseMoved(settings: ReadonlyMap<string, string>): void {
  const mark = readMoveMark(settings);
  if (!mark || mark.state === "arrived") return;
  const sentences = {
    leaving: `a move to ${mark.other} is not finished: run 'holdfast queue move' again, or abandon it with --give-up`,
    left: `it was moved to ${mark.other}, and this is an old copy`,
    arriving: `a move from ${mark.other} into it is not finished: run 'holdfast queue move' again`,
  };
  throw new OperationError("QUEUE_STORE_MOVED", `Cannot use this store: ${sentences[mark.state]}`);
}

/** One of the two stores of a move. */
export interface MoveEnd {
  /** A store on the data, not opened yet. Called more than once. */
  make(): Store;
  /** As it may be shown, and as it is remembered in the other store. */
  readonly name: string;
}

/** What is moved where. */
export interface MoveOptions {
  /** The store that the queue is in. */
  readonly from: MoveEnd;
  /** One that has never held tasks. */
  readonly to: MoveEnd;
  /** Names this move, should it be a new one; never used before. */
  readonly newId: string;
  /** Told now and then how far it is: tasks in the target, and the last number of how many. */
  progress?(tasks: number, number: number, lastNumber: number): void;
}

/** What a move did. */
export interface Moved {
  /** Tasks that came over, all runs of this move together. */
  readonly tasks: number;
  readonly settings: number;
  /** It had been finished before: nothing was done. */
  readonly already: boolean;
}

/** 1000 changes a batch, and 4 MiB of bodies: what is held in memory, and what is done again after a cut. */
const BATCH_TASKS = 1000;
const BATCH_BYTES = 4 * 1024 ** 2;

/** Settings that a store starts with: a target may have them and still be empty. Those of the source replace them. */
const OWN_SETTINGS: ReadonlySet<string> = new Set(["broker", "time", MOVE_SETTING, EPOCHS_BEFORE_SETTING]);

/**
 * Moves, or goes on with a move that was cut off.
 *
 * @throws OperationError QUEUE_MOVE_REFUSED (the target is not empty, or the source belongs to another move), QUEUE_STORE_LOCKED (one of
 * them is in use), and other errors of the stores
 */
export async function moveQueue(options: MoveOptions): Promise<Moved> {
  const { from, to } = options;
  const target = to.make();
  try {
    const { mark, arrival } = await leave(options, () => target.open());
    if (mark.state === "arrived") return { tasks: 0, settings: 0, already: true };
    if (mark.state === "leaving") await target.write([setMark({ state: "arriving", id: mark.id, other: from.name })]);
    const source = from.make();
    try {
      const departure = await source.open();
      const tasks = await copyTasks(source, target, { departure, arrivedTo: arrival.lastId, progress: options.progress });
      const settings = await copySettings(target, departure.settings);
      await source.write([setMark({ state: "left", id: mark.id, other: to.name })]);
      await target.write([
        { kind: "set", name: EPOCHS_BEFORE_SETTING, value: `${epochsOf(departure)}` },
        setMark({ state: "arrived", id: mark.id, other: from.name }),
      ]);
      return { tasks, settings, already: false };
    } finally {
      await source.close();
    }
  } finally {
    await target.close();
  }
}

/**
 * Lets the source of a move that is not finished be worked with again. What was copied stays where it is, and unusable.
 *
 * @throws OperationError QUEUE_MOVE_REFUSED when there is no such move, or everything has arrived already
 */
export async function giveUpMove(from: MoveEnd): Promise<void> {
  const source = from.make();
  try {
    const mark = readMoveMark((await source.open()).settings);
    if (mark?.state !== "leaving") {
      throw refused(mark?.state === "left" ? `all of it is in ${mark.other} already` : `no move of ${from.name} is under way`);
    }
    await source.write([{ kind: "set", name: MOVE_SETTING, value: undefined }]);
  } finally {
    await source.close();
  }
}

/** Marks the source, if this move may be; what it answers says how far the move was: "leaving", "left" or (all done) "arrived". */
async function leave(
  { from, to, newId }: MoveOptions,
  openTarget: () => Promise<StoreOpening>,
): Promise<{ mark: MoveMark; arrival: StoreOpening }> {
  const source = from.make();
  try {
    const departure = await source.open();
    if (departure.lastId === 0 && departure.settings.size === 0) throw refused(`${from.name} holds no queue`);
    const arrival = await openTarget();
    const there = readMoveMark(arrival.settings);
    const here = readMoveMark(departure.settings);
    const mine = here?.state === "leaving" || here?.state === "left" ? here : undefined;
    if (mine && there?.id === mine.id) return { mark: there.state === "arrived" ? there : mine, arrival };
    if (mine?.state === "left") throw refused(`${from.name} was moved to ${mine.other}`);
    if (mine && mine.other !== to.name) {
      throw refused(`a move of ${from.name} to ${mine.other} is not finished: finish it, or abandon it with --give-up`);
    }
    refuseFull(to, arrival, there);
    const mark: MoveMark = mine ?? { state: "leaving", id: newId, other: to.name };
    if (!mine) await source.write([setMark(mark)]);
    return { mark, arrival };
  } finally {
    await source.close();
  }
}

function refuseFull({ name }: MoveEnd, { lastId, settings }: StoreOpening, mark: MoveMark | undefined): void {
  if (mark?.state === "arriving") {
    throw refused(`${name} holds what came of an unfinished move from ${mark.other}; finish that one, or give an empty store`);
  }
  if (mark && mark.state !== "arrived") throw refused(`${name} is itself the source of a move, to ${mark.other}`);
  if (lastId > 0) throw refused(`${name} holds or has held tasks of its own; give an empty store`);
  const own = [...settings.keys()].find((each) => !OWN_SETTINGS.has(each));
  if (own !== undefined) throw refused(`${name} has settings of its own, such as '${own}'; give an empty store`);
}

/** @returns how many there are in the target then */
async function copyTasks(
  source: Store,
  target: Store,
  {
    departure: { lastId },
    arrivedTo,
    progress,
  }: { departure: StoreOpening; arrivedTo: number; progress: MoveOptions["progress"] },
): Promise<number> {
  let tasks = 0;
  let highest = arrivedTo;
  for await (const portion of source.tasks()) {
    const missing = portion.filter(({ id }) => id > arrivedTo);
    for (const { id, damaged } of missing) if (damaged) throw corrupt(id);
    tasks += portion.length - missing.length;
    for (const batch of batches(missing)) {
      await target.write(await copies(source, batch));
      tasks += batch.length;
      highest = batch.at(-1)!.id;
      progress?.(tasks, highest, lastId);
    }
  }
  // The numbers of tasks that are gone must not be given again.
  if (lastId > highest) {
    const passing: StoreOp = { kind: "add", id: lastId, head: EMPTY, state: EMPTY, body: EMPTY };
    await target.write([passing, { kind: "remove", id: lastId }]);
  }
  return tasks;
}

async function copies(source: Store, tasks: readonly StoredTask[]): Promise<StoreOp[]> {
  const bodies = await source.read(tasks.map(({ id }) => id));
  return Promise.all(
    tasks.map(async ({ id, head, state }, index): Promise<StoreOp> => {
      const body = bodies[index];
      if (!body) throw corrupt(id);
      const kept = decodeState(state).flags & (FLAG_ERRORS | FLAG_STEPS) ? await source.inspect(id) : undefined;
      if (kept?.lacksFacts) throw corrupt(id);
      return { kind: "keep", id, head, state, body, facts: kept?.facts ?? [] };
    }),
  );
}

function* batches(tasks: readonly StoredTask[]): IterableIterator<readonly StoredTask[]> {
  let batch: StoredTask[] = [];
  let bytes = 0;
  for (const task of tasks) {
    const { bodyBytes, resultBytes } = decodeState(task.state);
    if (batch.length > 0 && (batch.length === BATCH_TASKS || bytes + bodyBytes + resultBytes > BATCH_BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(task);
    bytes += bodyBytes + resultBytes;
  }
  if (batch.length > 0) yield batch;
}

/** @returns how many there are, beside those that every store has */
async function copySettings(target: Store, settings: ReadonlyMap<string, string>): Promise<number> {
  let ops: StoreOp[] = [];
  let bytes = 0;
  let count = 0;
  for (const [name, value] of settings) {
    if (name === MOVE_SETTING || name === EPOCHS_BEFORE_SETTING) continue;
    if (!OWN_SETTINGS.has(name)) count += 1;
    if (bytes + value.length > BATCH_BYTES) {
      await target.write(ops);
      ops = [];
      bytes = 0;
    }
    ops.push({ kind: "set", name, value });
    bytes += value.length;
  }
  if (ops.length > 0) await target.write(ops);
  return count;
}

function setMark(mark: MoveMark): StoreOp {
  return { kind: "set", name: MOVE_SETTING, value: JSON.stringify(mark) };
}

function corrupt(id: number): ProtocolError {
  return new ProtocolError("QUEUE_STORE_CORRUPT", `Cannot move: what the store keeps of task ${id} is damaged`);
}

function refused(why: string): OperationError {
  return new OperationError("QUEUE_MOVE_REFUSED", `Cannot move: ${why}`);
}
