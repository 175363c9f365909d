/**
 * ○ What happens to tasks, for listeners: each batch of commits is one entry of a ring in the store, and its events have numbers. A listener
 * asks for what came after the last that it was told, so it may be away, or slow, and costs nothing meanwhile; when that has left the ring it
 * is told of a gap. Those who wait are answered together, in rounds: the more there are, the further apart. Invariants: nothing is told before
 * it is on disk; a position of another epoch (another life of the store, whatever its numbers) is never taken for one of this.
 */
import type { Cancel, Clock } from "../../core/clock.ts";
import { OperationError, readable } from "../../core/errors.ts";
import type { StoredEvents, StoreOp, StoreOpening } from "../../store/store.ts";
import type { DeadReason } from "../tasks/life-cycle.ts";
import { type CommittedEvent, decodeEntry, encodeEntry, LIVE_EVENTS, type QueueEventName } from "./event-entry.ts";
import type { BatchRecord } from "../../store/group-commit.ts";

/** A place between two events. */
export interface EventPosition {
  readonly epoch: number;
  /** The last event that is stored before it. */
  readonly number: number;
  /** How many live ones came after that one and before it. */
  readonly live: number;
}

/** An event and where it is. */
export interface RingEvent extends EventPosition {
  readonly event: QueueEventName;
  readonly id: number;
  readonly queue: string;
  readonly atMs: number;
  readonly attempt: number;
  readonly reason: DeadReason | undefined;
  readonly error: string;
  /** active: who has it. */
  readonly worker?: string | undefined;
  /** progress: what was said. */
  readonly said?: Uint8Array | undefined;
}

/** What is told at once. Listeners that asked for the same are told with the same object. */
export interface EventPage {
  readonly events: readonly RingEvent[];
  /** Where it goes on. */
  readonly position: EventPosition;
  /** What came before these has left the ring, or is not known. */
  readonly isGap: boolean;
}

export interface EventQuestion {
  /** undefined: of all queues. */
  readonly queue: string | undefined;
  /** Only of these queues; undefined: of all. */
  readonly sees?: ((queue: string) => boolean) | undefined;
  readonly events: ReadonlySet<QueueEventName>;
  /** undefined: only where the ring ends is told. */
  readonly after: EventPosition | "oldest" | undefined;
  readonly limit: number;
  /** How long it is waited for something to tell. */
  readonly waitMs: number;
  /** Who asks. */
  readonly owner: unknown;
}

export interface EventRingOptions {
  readonly clock: Clock;
  nowMs(): number;
  readonly store: { events(from: number, bytesMax: number): Promise<readonly StoredEvents[]> };
  readonly keepMs: number;
  readonly bytesMax: number;
}

/** 16,384 events, a second of a busy broker, about 4 MB: who is further behind reads from the store. Kept only while somebody listens. */
const TAIL_EVENTS_MAX = 16_384;
/** 256 KiB of entries are read at once, 1 ms of the store's time: the next portion is for the listener to ask for. */
const PORTION_BYTES = 256 * 1024;
/** 5 ms for each who listens between two rounds: telling one costs 50 to 100 us, most of it in the kernel, so that listeners, however many, take 2 % of a core. */
const ROUND_MS_EACH = 5;
/** 0.5 s at most: that is what an event may be late. */
const ROUND_MS_MAX = 500;
/** 1 min after the last who asked nobody listens. */
const LISTENED_MS = 60_000;
/** 64 pages: listeners ask for few things, and all for the same of each. */
const PAGES_MAX = 64;
/** 10,000 who wait: 4 MB. */
const WAITING_MAX = 10_000;

interface Waiting {
  readonly question: EventQuestion;
  position: EventPosition;
  readonly deadlineMs: number;
  answer(page: EventPage): void;
}

export class EventRing {
  readonly #options: EventRingOptions;
  #epoch = 0;
  /** The newest event that is told. */
  #last: EventPosition = { epoch: 0, number: 0, live: 0 };
  /** The newest events while somebody listens, and the position before the first of them. */
  #tail: RingEvent[] | undefined;
  #tailFrom: EventPosition = this.#last;
  #askedMs = -Infinity;
  /** Until when somebody may listen to events that are noted live: by name and queue. */
  readonly #wanted = new Map<string, number>();
  #waiting: Waiting[] = [];
  /** Who has asked lately, and until when they were to wait: as many are told in a round. */
  readonly #listeners = new Map<unknown, number>();
  /** Not before this time, in the clock's ms. */
  #nextRoundMs = -Infinity;
  /** What was told last, by what was asked. */
  readonly #pages = new Map<string, EventPage>();
  #round: Cancel | undefined;
  #expiry: { readonly atMs: number; readonly cancel: Cancel } | undefined;
  #isClosed = false;

  constructor(options: EventRingOptions) {
    this.#options = options;
  }

  /** The store was opened. @param epoch greater than that of any opening before */
  open({ lastEvent }: Pick<StoreOpening, "lastEvent">, epoch: number): void {
    this.#epoch = epoch;
    this.#last = { epoch: lastEvent?.epoch ?? epoch, number: lastEvent?.number ?? 0, live: 0 };
    this.#tailFrom = this.#last;
  }

  /** Nobody is answered any more. */
  close(): void {
    this.#isClosed = true;
    this.#waiting = [];
    this.#round?.();
    this.#expiry?.cancel();
  }

  // ---- what happens

  /** The record of a batch, which is told once that is written. */
  record(events: readonly CommittedEvent[]): BatchRecord {
    const { keepMs, bytesMax } = this.#options;
    const atMs = this.#options.nowMs();
    const epoch = this.#epoch;
    const before = this.#last.number;
    const last = before + events.length;
    const op = (): StoreOp => ({ kind: "events", epoch, last, atMs, entry: encodeEntry(events, atMs), keepMs, bytesMax });
    return {
      op: bytesMax > 0 ? op() : undefined,
      written: () => {
        this.#last = { epoch, number: last, live: 0 };
        if (!this.#isListened()) return;
        events.forEach((event, index) => this.#tail!.push({ ...event, atMs, epoch, number: before + index + 1, live: 0 }));
        this.#told();
      },
    };
  }

  /** Whether somebody listens to such live events: only then they are told with `live`. */
  isWanted(event: QueueEventName, queue: string): boolean {
    if (this.#wanted.size === 0) return false;
    const nowMs = this.#options.clock.now();
    return (this.#wanted.get(wantedKey(event, queue)) ?? -1) >= nowMs || (this.#wanted.get(wantedKey(event)) ?? -1) >= nowMs;
  }

  /** A live event that is wanted. */
  live(event: Pick<RingEvent, "event" | "id" | "queue" | "attempt" | "worker" | "said">): void {
    if (!this.#isListened()) return;
    const { epoch, number, live } = this.#last;
    this.#last = { epoch, number, live: live + 1 };
    this.#tail!.push({ ...event, reason: undefined, error: "", atMs: this.#options.nowMs(), ...this.#last });
    this.#told();
  }

  // ---- who listens

  /** @throws OperationError QUEUE_TOO_MANY, QUEUE_STORE_UNAVAILABLE */
  async read(question: EventQuestion): Promise<EventPage> {
    this.#asked(question);
    const { after } = question;
    if (after === undefined) return { events: [], position: this.#last, isGap: false };
    const isKnown = after !== "oldest" && this.#isInTail(after);
    let page = isKnown ? this.#pageOf(question, after) : await this.#fromStore(question, after);
    if (!isKnown && page.events.length === 0 && !page.isGap && this.#isInTail(page.position))
      page = this.#pageOf(question, page.position);
    if (page.isGap || page.events.length === question.limit || question.waitMs === 0 || this.#isClosed) return page;
    if (isBefore(page.position, this.#last)) return page;
    if (page.events.length > 0 && !isKnown) return page;
    // What is there already is told with the next round, to all who listen.
    return this.#wait(question, isKnown ? after : page.position);
  }

  /** One who waited has left. */
  leave(owner: unknown): void {
    this.#listeners.delete(owner);
    if (this.#waiting.length > 0) this.#waiting = this.#waiting.filter(({ question }) => question.owner !== owner);
  }

  #asked({ events, queue, waitMs, owner }: EventQuestion): void {
    const nowMs = this.#options.clock.now();
    if (waitMs > 0 && owner !== undefined) this.#listeners.set(owner, nowMs + waitMs);
    this.#askedMs = nowMs;
    this.#listen();
    for (const event of TOLD_LIVE) {
      if (!events.has(event)) continue;
      const key = wantedKey(event, queue);
      this.#wanted.set(key, Math.max(this.#wanted.get(key) ?? 0, nowMs + waitMs + LISTENED_MS));
    }
  }

  /** From now on the newest events are at hand. */
  #listen(): void {
    if (this.#tail) return;
    this.#tail = [];
    this.#tailFrom = this.#last;
  }

  #isListened(): boolean {
    if (!this.#tail) return false;
    const nowMs = this.#options.clock.now();
    if (this.#waiting.length > 0 || nowMs - this.#askedMs < LISTENED_MS) return true;
    this.#tail = undefined;
    this.#pages.clear();
    for (const [key, untilMs] of this.#wanted) if (untilMs < nowMs) this.#wanted.delete(key);
    return false;
  }

  #wait(question: EventQuestion, position: EventPosition): Promise<EventPage> {
    if (this.#waiting.length >= WAITING_MAX)
      throw new OperationError("QUEUE_TOO_MANY", `Cannot wait for events: ${WAITING_MAX} listeners do`);
    return new Promise((answer) => {
      const deadlineMs = this.#options.clock.now() + question.waitMs;
      this.#waiting.push({ question, position, deadlineMs, answer });
      this.#expireAt(deadlineMs);
      if (isBefore(position, this.#last)) this.#schedule();
    });
  }

  // ---- rounds

  #told(): void {
    const tail = this.#tail!;
    if (tail.length > TAIL_EVENTS_MAX) {
      // A quarter at once, so that a push costs nothing.
      const gone = tail.splice(0, TAIL_EVENTS_MAX / 4);
      this.#tailFrom = gone.at(-1)!;
    }
    this.#schedule();
  }

  #schedule(): void {
    if (this.#round || this.#waiting.length === 0) return;
    const { clock } = this.#options;
    this.#round = clock.at(Math.max(clock.now(), this.#nextRoundMs), () => this.#answerAll());
  }

  #answerAll(): void {
    this.#round = undefined;
    const nowMs = this.#options.clock.now();
    for (const [owner, askedMs] of this.#listeners) if (nowMs - askedMs > LISTENED_MS) this.#listeners.delete(owner);
    const pauseMs = Math.min(Math.max(this.#waiting.length, this.#listeners.size) * ROUND_MS_EACH, ROUND_MS_MAX);
    this.#nextRoundMs = nowMs + pauseMs;
    const waiting = this.#waiting;
    this.#waiting = waiting.filter((each) => {
      const { question, position } = each;
      // The tail has gone over it: it asks again, and reads from the store.
      const isOver = !this.#isInTail(position);
      const page = isOver ? { events: [], position, isGap: false } : this.#pageOf(question, position);
      each.position = page.position;
      if (!isOver && page.events.length === 0) return true;
      each.answer(page);
      return false;
    });
  }

  /** One page for all that ask for the same, as long as there is nothing newer that belongs to it. */
  #pageOf(question: EventQuestion, position: EventPosition): EventPage {
    const { queue = "", events, limit, sees } = question;
    // What somebody may see is nobody else's page.
    if (sees) return this.#fromTail(question, position);
    const key = [position.epoch, position.number, position.live, limit, [...events].join(), queue].join(" ");
    const made = this.#pages.get(key);
    if (made && (made.events.length === limit || !isBefore(made.position, this.#last))) return made;
    const page = this.#fromTail(question, position);
    this.#pages.set(key, page);
    if (this.#pages.size > PAGES_MAX) this.#pages.delete(this.#pages.keys().next().value!);
    return page;
  }

  #expireAt(atMs: number): void {
    if (this.#expiry && this.#expiry.atMs <= atMs) return;
    this.#expiry?.cancel();
    this.#expiry = { atMs, cancel: this.#options.clock.at(atMs, () => this.#expire()) };
  }

  /** Who has waited for long enough is told that there is nothing. */
  #expire(): void {
    this.#expiry = undefined;
    const nowMs = this.#options.clock.now();
    let nextMs = Infinity;
    this.#waiting = this.#waiting.filter(({ deadlineMs, position, answer }) => {
      if (deadlineMs <= nowMs) answer({ events: [], position, isGap: false });
      else nextMs = Math.min(nextMs, deadlineMs);
      return deadlineMs > nowMs;
    });
    if (nextMs < Infinity) this.#expireAt(nextMs);
  }

  // ---- reading

  /** What comes after it is in the tail, all of it. */
  #isInTail(position: EventPosition): boolean {
    if (!this.#tail || isBefore(position, this.#tailFrom) || isBefore(this.#last, position)) return false;
    // Up to where the tail began all is of the epoch in which that was written, what came since of this one.
    return position.epoch === (position.number === this.#tailFrom.number ? this.#tailFrom.epoch : this.#epoch);
  }

  #fromTail({ queue, sees, events, limit }: EventQuestion, after: EventPosition): EventPage {
    const tail = this.#tail!;
    let low = 0;
    for (let high = tail.length; low < high;) {
      const middle = (low + high) >>> 1;
      if (isBefore(after, tail[middle]!)) high = middle;
      else low = middle + 1;
    }
    const found: RingEvent[] = [];
    for (let at = low; at < tail.length; at += 1) {
      const event = tail[at]!;
      if (!events.has(event.event) || (queue !== undefined && event.queue !== queue)) continue;
      if (sees && !sees(event.queue)) continue;
      // Numbers of one page are of one epoch.
      if (found.length > 0 && event.epoch !== found[0]!.epoch)
        return { events: found, position: positionOf(found.at(-1)!), isGap: false };
      found.push(event);
      if (found.length === limit) return { events: found, position: positionOf(event), isGap: false };
    }
    return { events: found, position: this.#last, isGap: false };
  }

  async #fromStore(question: EventQuestion, after: EventPosition | "oldest"): Promise<EventPage> {
    const { store } = this.#options;
    if (after !== "oldest") {
      const rows = await store.events(Math.max(1, after.number), PORTION_BYTES);
      if (this.#isFollowed(after, rows)) return this.#found(question, rows, { ...after, live: 0 });
    }
    const rows = await store.events(1, PORTION_BYTES);
    // Where the ring is empty it begins with what comes.
    const first = rows[0] ? { epoch: rows[0].epoch, number: rows[0].last - countOf(rows[0]), live: 0 } : this.#last;
    const page = this.#found(question, rows, first);
    return after === "oldest" ? page : { ...page, isGap: true };
  }

  #found(question: EventQuestion, rows: readonly StoredEvents[], after: EventPosition): EventPage {
    const page = foundIn(rows, question, after, this.#last);
    // Live events of before the tail are told to nobody.
    return page.position.number === this.#tailFrom.number ? { ...page, position: this.#tailFrom } : page;
  }

  /** Whether these rows begin with the event that the position is behind, so that nothing is missing between them. */
  #isFollowed({ epoch, number }: EventPosition, [row]: readonly StoredEvents[]): boolean {
    if (!row) return number === 0 && this.#last.number === 0 && (epoch === this.#epoch || this.#options.bytesMax > 0);
    const first = row.last - countOf(row) + 1;
    // Before the first of all there was nothing that could be missed.
    return number === 0 ? first === 1 && epoch <= row.epoch : first <= number && row.last >= number && row.epoch === epoch;
  }
}

/** Told live: nothing is written when the time of a delayed or retrying task has come. */
const TOLD_LIVE = ["waiting", ...LIVE_EVENTS] as const;

function wantedKey(event: QueueEventName, queue?: string): string {
  return queue === undefined ? event : `${event} ${queue}`;
}

function isBefore(a: EventPosition, b: EventPosition): boolean {
  return a.number === b.number ? a.live < b.live : a.number < b.number;
}

function positionOf({ epoch, number, live }: EventPosition): EventPosition {
  return { epoch, number, live };
}

function countOf(row: StoredEvents): number {
  return eventsIn(row)?.events.length ?? 0;
}

/** undefined: it is damaged. */
function eventsIn({ entry }: StoredEvents): ReturnType<typeof decodeEntry> | undefined {
  return entry && readable(() => decodeEntry(entry));
}

/** What was asked for in entries of the store that go on from a position, up to the end. */
function foundIn(
  rows: readonly StoredEvents[],
  { queue, sees, events, limit }: EventQuestion,
  after: EventPosition,
  end: EventPosition,
): EventPage {
  const told: RingEvent[] = [];
  let position = after;
  let isGap = false;
  for (const row of rows) {
    if (told.length > 0 && row.epoch !== told[0]!.epoch) break;
    const entry = eventsIn(row);
    if (!entry) isGap = true;
    let number = row.last - (entry?.events.length ?? 0);
    for (const event of entry?.events ?? []) {
      number += 1;
      // What is written and not told yet comes later.
      if (number <= position.number || number > end.number) continue;
      position = { epoch: row.epoch, number, live: 0 };
      if (!events.has(event.event) || (queue !== undefined && event.queue !== queue)) continue;
      if (sees && !sees(event.queue)) continue;
      told.push({ ...event, atMs: entry!.atMs, ...position });
      if (told.length === limit) return { events: told, position, isGap };
    }
    if (!entry && row.last <= end.number) position = { epoch: row.epoch, number: row.last, live: 0 };
  }
  return { events: told, position, isGap };
}
