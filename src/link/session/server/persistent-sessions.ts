/**
 * ○ A server's sessions in a store (store/store.ts), beyond its process: who has one, which of the client's messages came and are done,
 * what waits for the client. Changes of one session that come while a batch is written are one commit. Invariant: what is written to a
 * connection, and what a handler is given, says nothing that is not in the store (`after`); so a process after this one, with whatever
 * was kept, is where every client has heard that this one was, or further.
 */
import type { Clock } from "../../../core/clock.ts";
import type { OperationError } from "../../../core/errors.ts";
import { GroupCommit } from "../../../store/group-commit.ts";
import type { Store, StoredTask, StoreOp } from "../../../store/store.ts";
import type { OutgoingMessage } from "../outgoing-message.ts";
import { messageHead, messageState, sessionBody, sessionHead, sessionReceipt } from "./session-record.ts";
import type { MessageHead, SessionBody, SessionHead, SessionReceipt } from "./session-record.ts";

/** A session as its records say. */
export interface StoredSession {
  readonly record: number;
  readonly head: SessionHead;
  readonly numbers: SessionReceipt;
  readonly body: SessionBody;
  /** In the order in which they were given. */
  readonly messages: readonly StoredMessage[];
  /** Messages that are damaged: the client is told that they will not come. */
  readonly damaged: number;
}

export interface StoredMessage extends MessageHead {
  readonly record: number;
  readonly number: number;
  readonly bytes: Uint8Array;
}

/** What is kept of a session: its records' contents, asked when they are written. */
export interface SessionRecord {
  head(): SessionHead;
  numbers(): SessionReceipt;
  body(): SessionBody;
}

export interface PersistentSessionsOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** It cannot be written, or (undefined) can again. */
  troubled(trouble: OperationError | undefined): void;
}

/** How a session stands in the store. */
export class SessionRecords {
  /** The number of its own record. */
  readonly record: number;
  readonly of: SessionRecord;
  /** Gathers changes. */
  open: Changes | undefined;
  /** The last one handed in that is not written. */
  last: Changes | undefined;

  constructor(record: number, of: SessionRecord) {
    this.record = record;
    this.of = of;
  }
}

/** One commit of one session. */
interface Changes {
  /** Handed out already, when its turn came. */
  isTaken: boolean;
  own: "add" | "rewrite" | "numbers" | "remove" | undefined;
  added: Set<OutgoingMessage> | undefined;
  numbered: Set<OutgoingMessage> | undefined;
  removed: number[] | undefined;
  readonly ops: StoreOp[];
  /** Called when it is written. */
  readonly waiting: (() => void)[];
}

/** 1000 bodies are read at once: with 16 KiB each, 16 MB. */
const BODIES_AT_ONCE = 1000;

export class PersistentSessions {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #commits: GroupCommit;
  #lastRecord = 0;
  #closed = false;

  constructor({ store, clock, troubled }: PersistentSessionsOptions) {
    this.#store = store;
    this.#clock = clock;
    this.#commits = new GroupCommit({
      write: (ops) => store.write(ops),
      clock,
      guard: { run: (act) => act() },
      what: "the sessions' store",
      settled() {},
      troubled,
      full: () => store.full,
    });
  }

  /** Why sessions cannot be kept at present; then no session begins and no message to a client is taken. */
  get refusal(): OperationError | undefined {
    return this.#commits.refusal;
  }

  /**
   * Opens the store, and reads what the process before left.
   *
   * @returns the sessions, and how many records belong to none because of damage
   * @throws what `Store.open` throws
   */
  async open(): Promise<{ readonly sessions: readonly StoredSession[]; readonly lost: number }> {
    const { lastId } = await this.#store.open();
    this.#lastRecord = lastId;
    const rows: StoredTask[] = [];
    for await (const portion of this.#store.tasks()) rows.push(...portion);
    const bodies = new Map<number, Uint8Array | undefined>();
    for (let at = 0; at < rows.length; at += BODIES_AT_ONCE) {
      const ids = rows.slice(at, at + BODIES_AT_ONCE).map(({ id }) => id);
      const read = await this.#store.read(ids);
      for (const [index, id] of ids.entries()) bodies.set(id, read[index]);
    }
    const { sessions, unusable } = sortOut(rows, bodies);
    if (unusable.length > 0) await this.#store.write(unusable.map(({ id }) => ({ kind: "remove", id })));
    return { sessions, lost: unusable.filter(({ isTold }) => !isTold).length };
  }

  /** A session begins, or goes on under the record that it has. */
  keep(of: SessionRecord, record?: number): SessionRecords {
    if (record !== undefined) return new SessionRecords(record, of);
    this.#lastRecord += 1;
    const records = new SessionRecords(this.#lastRecord, of);
    this.#changes(records).own = "add";
    return records;
  }

  /** Who has it, its will, or what it subscribed to is another. */
  changed(records: SessionRecords | undefined): void {
    if (!records || this.#closed) return;
    const changes = this.#changes(records);
    if (changes.own !== "add" && changes.own !== "remove") changes.own = "rewrite";
  }

  /** A message of the client came, or is done; or the client is to hear of one that is missing. */
  counted(records: SessionRecords | undefined): void {
    if (records && !this.#closed) this.#changes(records).own ??= "numbers";
  }

  /** A message waits for the client. */
  pushed(records: SessionRecords | undefined, message: OutgoingMessage): void {
    if (!records || message.stream || this.#closed) return;
    this.#lastRecord += 1;
    message.record = this.#lastRecord;
    (this.#changes(records).added ??= new Set()).add(message);
  }

  /** Its number is another. */
  numbered(records: SessionRecords, message: OutgoingMessage): void {
    if (message.record === 0 || this.#closed) return;
    const changes = this.#changes(records);
    if (!changes.added?.has(message)) (changes.numbered ??= new Set()).add(message);
  }

  /** The client has it, or never will. */
  settled(records: SessionRecords | undefined, message: OutgoingMessage): void {
    if (!records || message.record === 0 || this.#closed) return;
    const changes = this.#changes(records);
    if (changes.added?.delete(message)) return;
    changes.numbered?.delete(message);
    (changes.removed ??= []).push(message.record);
  }

  /** The session is no more. */
  ended(records: SessionRecords | undefined): void {
    if (records && !this.#closed) this.#changes(records).own = "remove";
  }

  /**
   * Calls `then` when all that was told of this session is in the store.
   *
   * @returns false when it is already
   */
  after(records: SessionRecords | undefined, then: () => void): boolean {
    const changes = records?.open ?? records?.last;
    if (!changes) return false;
    changes.waiting.push(then);
    return true;
  }

  /** From now on nothing is taken: what is there is the next process's. */
  leave(): void {
    this.#closed = true;
  }

  /** Waits for what was taken, at most so long. */
  async close(withinMs: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    const cancel = this.#clock.at(this.#clock.now() + withinMs, () => late.resolve());
    await Promise.race([this.#commits.drained(), late.promise]);
    cancel();
    await this.#store.close();
  }

  #changes(records: SessionRecords): Changes {
    if (records.open) return records.open;
    const changes: Changes = {
      isTaken: false,
      own: undefined,
      added: undefined,
      numbered: undefined,
      removed: undefined,
      ops: [],
      waiting: [],
    };
    records.open = changes;
    records.last = changes;
    this.#commits.submit({
      ops: changes.ops,
      refusable: false,
      taken: () => this.#taken(records, changes),
      done: () => {
        if (records.last === changes) records.last = undefined;
        for (const call of changes.waiting) call();
      },
    });
    return changes;
  }

  /** What it comes to is settled now: later changes go into the next commit. */
  #taken(records: SessionRecords, changes: Changes): void {
    if (changes.isTaken) return; // the store could not write it before
    changes.isTaken = true;
    if (records.open === changes) records.open = undefined;
    const { ops } = changes;
    for (const id of changes.removed ?? []) ops.push({ kind: "remove", id });
    if (changes.own) ops.push(ownOp(records, changes.own));
    for (const message of changes.added ?? []) ops.push(this.#addOp(records.record, message));
    for (const { record: id, number } of changes.numbered ?? [])
      ops.push({ kind: "state", id, state: messageState.encode({ session: records.record, number }) });
  }

  #addOp(session: number, message: OutgoingMessage): StoreOp {
    const { record: id, isTopic, urgent, expires, deadlineMs, number, bytes } = message;
    const keepUntilMs = this.#clock.wallMs() + deadlineMs - this.#clock.now();
    const head = messageHead.encode({ session, isTopic, urgent, expires, keepUntilMs });
    return { kind: "add", id, head, state: messageState.encode({ session, number }), body: bytes };
  }
}

function ownOp({ record: id, of }: SessionRecords, kind: NonNullable<Changes["own"]>): StoreOp {
  if (kind === "remove") return { kind, id };
  const state = sessionReceipt.encode(of.numbers());
  if (kind === "numbers") return { kind: "state", id, state };
  return { kind, id, head: sessionHead.encode(of.head()), state, body: sessionBody.encode(of.body()) };
}

/** A record that no session goes on with. */
interface Unusable {
  readonly id: number;
  /** The client of its session will hear of it. */
  readonly isTold: boolean;
}

/** Records as sessions with their messages. What is damaged is told to whom it concerns: a client whose session is gone hears so itself. */
function sortOut(
  rows: readonly StoredTask[],
  bodies: ReadonlyMap<number, Uint8Array | undefined>,
): { sessions: StoredSession[]; unusable: Unusable[] } {
  const sessions = new Map<number, StoredSession & { messages: StoredMessage[]; damaged: number }>();
  const unusable: Unusable[] = [];
  const messages: StoredTask[] = [];
  for (const row of rows) {
    const head = row.damaged?.head ? undefined : sessionHead.decode(row.head);
    const body = bodies.get(row.id);
    if (head && body && !row.damaged?.state)
      sessions.set(row.id, {
        record: row.id,
        head,
        numbers: sessionReceipt.decode(row.state),
        body: sessionBody.decode(body),
        messages: [],
        damaged: 0,
      });
    else if (head) unusable.push({ id: row.id, isTold: true });
    else messages.push(row);
  }
  for (const row of messages) {
    const head = row.damaged?.head ? undefined : messageHead.decode(row.head);
    const state = row.damaged?.state ? undefined : messageState.decode(row.state);
    const session = sessions.get(head?.session ?? state?.session ?? 0);
    const bytes = bodies.get(row.id);
    if (session && head && state && bytes) {
      session.messages.push({ ...head, record: row.id, number: state.number, bytes });
      continue;
    }
    if (session) session.damaged += 1;
    const isSessions = !row.damaged?.state && state === undefined;
    unusable.push({ id: row.id, isTold: session !== undefined || isSessions });
  }
  return { sessions: [...sessions.values()], unusable };
}
