/**
 * ○ The text protocol of one connection: finds command lines in the bytes received, executes them, receives values straight
 * into their items. Invariant: at most one item is held (`#writer.item`), and only while its value is arriving. A command that is
 * not whole leaves no trace but `#searched`, so that no byte is searched twice.
 */
import type { Buffer } from "node:buffer";
import { CR, LF, SPACE } from "../../../core/ascii.ts";
import type { U64 } from "../../../memcached/numbers.ts";
import type { ReplyBuffer } from "../../../memcached/reply-buffer.ts";
import { Tokens } from "../../../memcached/tokens.ts";
import { VERB, verbAt } from "../../../memcached/verbs.ts";

import { TextAdminCommands } from "./text-admin-commands.ts";
import { ValueWriter } from "../../store/chunks.ts";
import { COUNT, BY_CLASS } from "../../store/counters.ts";
import * as Item from "../../store/item.ts";
import { GetCommand } from "./get-command.ts";
import { KEY_BYTES_MAX } from "../../store/limits.ts";
import { GET_LINE_BYTES_MAX, LINE_BYTES_MAX, OUTPUT_BYTES_MAX, RARE_COMMAND_WORK } from "../limits.ts";
import { MetaCommands } from "../meta/meta-commands.ts";
import { R, STORE_REPLIES } from "../text-replies.ts";
import type { CloseReason, SessionContext, CacheSession } from "../cache-session.ts";
import { TUNE } from "../../store/settings.ts";
import { DELTA, MODE, type ItemStore } from "../../store/item-store.ts";
import { TurnBudget } from "../turn-budget.ts";

/** 64: most lines end before; beyond, a call into the runtime is faster than a loop. */
const NEAR_BYTES = 64;

/** What the next bytes of a connection are. */
type State = "command" | "value" | "swallow";

/** Shared by all sessions of a thread: a command line is executed in one go. */
const tokens = new Tokens();
const u64: U64 = { high: 0, low: 0 };

export class TextSession implements CacheSession {
  readonly #store: ItemStore;
  readonly #out: ReplyBuffer;
  readonly #writer: ValueWriter;
  readonly #admin: TextAdminCommands;
  readonly #meta: MetaCommands;
  #state: State = "command";
  /** True while an administration command is executed: `stats conns` shows it. */
  #executing = false;
  /** Bytes of the waiting line known to hold no LF. */
  #searched = 0;
  #swallow = 0;
  /** What the value that is arriving is for. */
  #mode = 0;
  #noreply = false;
  readonly #getCommand: GetCommand;
  readonly #turn: TurnBudget;
  readonly #answersMax: number;
  ending: CloseReason | undefined;
  blocked = false;

  constructor(context: SessionContext) {
    this.#store = context.store;
    this.#out = context.out;
    this.#turn = new TurnBudget(context.commandsPerTurn);
    this.#getCommand = new GetCommand(context, this.#turn);
    this.#answersMax = context.answersMax;
    this.#writer = new ValueWriter(context.store.items);
    this.#admin = new TextAdminCommands(context, this);
    this.#meta = new MetaCommands(context);
  }

  get state(): string {
    if (this.#executing) return "conn_parse_cmd";
    if (this.#getCommand.pending) return "conn_mwrite";
    return this.#state === "value" ? "conn_nread" : this.#state === "swallow" ? "conn_swallow" : "conn_read";
  }

  /** Bytes of a value that is arriving, or is skipped, that are still to come. */
  get valueBytesLeft(): number {
    return this.#state === "value" ? this.#writer.remaining : this.#state === "swallow" ? this.#swallow : 0;
  }

  release(): void {
    this.#meta.forget();
    if (this.#writer.item !== 0) this.#store.items.release(this.#writer.item);
    this.#writer.item = 0;
  }

  consume(input: Buffer, start: number, end: number, goesOn = false): number {
    let at = start;
    this.blocked = false;
    if (!goesOn) this.#turn.begin();
    while (at < end && this.ending === undefined && !this.blocked) {
      if (this.#getCommand.pending) at = this.#getCommand.resume(input, at);
      else if (this.#state === "command") {
        const lf = this.#findLf(input, at, end);
        if (lf < 0) {
          this.#searched = end - at;
          if (end - at > LINE_BYTES_MAX) this.#checkLongLine(input, at, end);
          return at;
        }
        this.#searched = 0;
        if (!this.#mayExecute()) return at;
        at = this.#command(input, at, lf);
      } else if (this.#state === "value") {
        at = this.#receive(input, at, end);
      } else {
        const part = Math.min(this.#swallow, end - at);
        this.#swallow -= part;
        at += part;
        if (this.#swallow === 0) this.#state = "command";
      }
      if (this.#getCommand.pending || this.#out.length > OUTPUT_BYTES_MAX) this.blocked = true;
    }
    return at;
  }

  /** False when it is the turn of others, or when more replies wait than one connection may have. */
  #mayExecute(): boolean {
    if (!this.#turn.command()) {
      this.#store.counters.add(COUNT.connYields);
      this.blocked = true;
      return false;
    }
    if (this.#turn.commands <= this.#answersMax) return true;
    this.#store.counters.add(COUNT.responseOom);
    this.#out.reset();
    this.ending = "error";
    return false;
  }

  #findLf(input: Buffer, at: number, end: number): number {
    if (this.#searched > 0) {
      const found = input.indexOf(LF, at + this.#searched);
      return found < end ? found : -1;
    }
    const near = Math.min(end, at + NEAR_BYTES);
    for (let index = at; index < near; index += 1) if (input[index] === LF) return index;
    if (near === end) return -1;
    const found = input.indexOf(LF, near);
    return found < end ? found : -1;
  }

  /** No LF for long: a `get` of many keys may go on, anything else ends the connection without a reply, as in memcached. */
  #checkLongLine(input: Buffer, at: number, end: number): void {
    let word = at;
    while (input[word] === SPACE && word < end - 6) word += 1;
    const isGet = input[word] === 0x67 && input[word + 1] === 0x65 && input[word + 2] === 0x74;
    const spaced = input[word + 3] === SPACE || (input[word + 3] === 0x73 && input[word + 4] === SPACE);
    if (word - at > 100 || !isGet || !spaced || end - at > GET_LINE_BYTES_MAX) this.ending = "error";
  }

  /** Executes the line `input[at, lf]` and returns where the next bytes start. */
  #command(input: Buffer, at: number, lf: number): number {
    const next = lf + 1;
    if (next - at < 4) {
      this.#out.put(R.badFormat);
      return next;
    }
    if (input[at] === 0x67 && input[at + 1] === 0x65 && input[at + 2] === 0x74 && input[at + 3] === SPACE) {
      return this.#getCommand.get(input, at + 4, lf, false);
    }
    const lineEnd = input[lf - 1] === CR ? lf - 1 : lf;
    let wordEnd = at;
    while (wordEnd < lineEnd && input[wordEnd] !== SPACE) wordEnd += 1;
    const verb = wordEnd - at < 2 ? -1 : verbAt(input, at, wordEnd);
    switch (verb) {
      case VERB.get:
      case VERB.gets:
        return this.#getCommand.get(input, wordEnd, lf, verb === VERB.gets);
      case VERB.gat:
      case VERB.gats:
        return this.#getCommand.touch(input, wordEnd, lf, verb === VERB.gats);
      case VERB.mn:
        this.#out.put(R.mn);
        return next;
    }
    tokens.split(input, at, lineEnd);
    switch (verb) {
      case VERB.set:
        this.#update(MODE.set);
        break;
      case VERB.add:
        this.#update(MODE.add);
        break;
      case VERB.replace:
        this.#update(MODE.replace);
        break;
      case VERB.append:
        this.#update(MODE.append);
        break;
      case VERB.prepend:
        this.#update(MODE.prepend);
        break;
      case VERB.cas:
        this.#update(MODE.cas);
        break;
      case VERB.delete:
        this.#delete();
        break;
      case VERB.incr:
      case VERB.decr:
        this.#arithmetic(verb === VERB.incr);
        break;
      case VERB.touch:
        this.#touch();
        break;
      case VERB.mg:
        this.#meta.get(tokens);
        break;
      case VERB.ms:
        this.#metaSet();
        break;
      case VERB.md:
        this.#meta.delete(tokens);
        break;
      case VERB.ma:
        this.#meta.arithmetic(tokens);
        break;
      case VERB.me:
        this.#meta.debug(tokens);
        break;
      case VERB.quit:
        this.ending = "normal";
        break;
      default:
        this.#executing = true;
        this.#turn.spend(RARE_COMMAND_WORK);
        this.#admin.execute(tokens, verb);
        this.#executing = false;
    }
    return next;
  }

  /** `set`, `add`, `replace`, `append`, `prepend`, `cas`: makes the item and goes on to receive the value, or refuses and swallows it. */
  #update(mode: number): void {
    const store = this.#store;
    const valueBytes = tokens.count < 5 ? Number.NaN : tokens.i32(4);
    if (!(valueBytes >= 0 && valueBytes <= 2 ** 31 - 3)) {
      this.#out.put(R.badFormat);
      return;
    }
    this.#noreply = tokens.is(tokens.count - 1, "noreply");
    this.#mode = mode;
    const keyBytes = tokens.lengthOf(1);
    const clientFlags = tokens.wrappedU32(2);
    const exptime = tokens.wrappedI32(3); // these two alone memcached reads by strtol and strtoul
    u64.low = 0;
    u64.high = 0;
    if (keyBytes > KEY_BYTES_MAX || clientFlags < 0 || Number.isNaN(exptime) || (mode === MODE.cas && !tokens.u64(5, u64))) {
      this.#refuse(R.badFormat, valueBytes + 2);
      return;
    }
    const key = tokens.bytes;
    const keyStart = tokens.starts[1]!;
    if (store.memory.tune[TUNE.detail] !== 0) store.prefixes.set(key, keyStart, keyBytes);
    const item = this.#allocate(keyStart, keyBytes, { clientFlags, expiry: store.expiry(exptime), length: valueBytes + 2 });
    if (item === 0) return;
    store.setCas(item, u64.high, u64.low);
    store.counters.addOfClass(BY_CLASS.setCommands, store.classOf(item));
    this.#writer.start(item);
    this.#state = "value";
  }

  #allocate(keyStart: number, keyBytes: number, wanted: { clientFlags: number; expiry: number; length: number }): number {
    const store = this.#store;
    const item = store.items.allocate(tokens.bytes, keyStart, keyBytes, wanted);
    if (item !== 0) return item;
    const fits = store.items.fits(keyBytes, wanted.clientFlags, wanted.length);
    store.counters.add(fits ? COUNT.storeNoMemory : COUNT.storeTooLarge);
    store.logRefusal(tokens.bytes, keyStart, keyBytes, this.#mode, fits ? "no_memory" : "too_large");
    this.#refuse(fits ? R.noMemoryStoring : R.tooLarge, wanted.length);
    // The old value must not be read any more.
    if (this.#mode === MODE.set) store.drop(tokens.bytes, keyStart, keyBytes);
    return 0;
  }

  #metaSet(): void {
    const swallow = this.#meta.set(tokens, this.#writer);
    if (this.#writer.item !== 0) this.#state = "value";
    else if (swallow > 0) {
      this.#swallow = swallow;
      this.#state = "swallow";
    }
  }

  #refuse(reply: Buffer, bytes: number): void {
    this.#reply(reply);
    this.#swallow = bytes;
    this.#state = "swallow";
  }

  /** Takes what has arrived of a value; stores it when it is whole. */
  #receive(input: Buffer, at: number, end: number): number {
    const writer = this.#writer;
    const wanted = writer.remaining;
    const part = Math.min(wanted, end - at);
    if (!writer.write(input, at, part)) {
      this.#store.items.release(writer.item);
      writer.item = 0;
      this.#meta.forget();
      this.#out.put(R.noMemoryReading);
      this.#swallow = writer.remaining;
      this.#state = "swallow";
      return at + wanted - writer.remaining;
    }
    if (writer.remaining === 0) {
      this.#state = "command";
      this.#finishValue();
    }
    return at + part;
  }

  #finishValue(): void {
    const store = this.#store;
    const writer = this.#writer;
    const { item } = writer;
    writer.item = 0;
    if (!writer.endsInCrLf()) {
      if (this.#meta.forget()) this.#out.put(R.badData);
      else this.#reply(R.badData);
      store.items.release(item);
      return;
    }
    if (this.#meta.pending) {
      this.#meta.finishSet(item);
    } else {
      const key = store.items.bytes;
      const hash = store.hash(key, Item.keyStart(item), Item.keyBytes(store.items.words, item));
      this.#reply(STORE_REPLIES[store.store(item, this.#mode, hash)]!);
    }
    this.#turn.spend(store.joinedUnits());
    store.items.release(item);
  }

  #delete(): void {
    this.#noreply = tokens.is(tokens.count - 1, "noreply");
    if (!this.#keyed(2)) return;
    this.#reply(this.#store.delete(tokens.bytes, tokens.starts[1]!, tokens.lengthOf(1)) ? R.deleted : R.notFound);
  }

  #touch(): void {
    this.#noreply = tokens.is(tokens.count - 1, "noreply");
    if (!this.#keyed(3)) return;
    const exptime = tokens.i32(2);
    if (Number.isNaN(exptime)) {
      this.#reply(R.badExptime);
      return;
    }
    const store = this.#store;
    const start = tokens.starts[1]!;
    const length = tokens.lengthOf(1);
    const hash = store.hash(tokens.bytes, start, length);
    const item = store.touch(tokens.bytes, start, length, { hash, expiry: store.expiry(exptime) });
    this.#reply(item === 0 ? R.notFound : R.touched);
  }

  #arithmetic(increment: boolean): void {
    this.#noreply = tokens.is(tokens.count - 1, "noreply");
    if (!this.#keyed(3)) return;
    if (!tokens.u64(2, u64)) {
      this.#reply(R.badDelta);
      return;
    }
    const store = this.#store;
    const key = tokens.bytes;
    const start = tokens.starts[1]!;
    const length = tokens.lengthOf(1);
    const outcome = store.delta(key, start, length, { increment, by: u64, hash: store.hash(key, start, length) });
    switch (outcome) {
      case DELTA.done:
        if (this.#noreply) return;
        this.#out.u64(store.number.high, store.number.low);
        this.#out.byte(CR);
        this.#out.byte(LF);
        return;
      case DELTA.notFound:
        store.counters.add(increment ? COUNT.incrMisses : COUNT.decrMisses);
        this.#reply(R.notFound);
        return;
      case DELTA.nonNumeric:
        this.#reply(R.nonNumeric);
        return;
      default:
        this.#reply(R.noMemory);
    }
  }

  /** False, with the error as the reply, when words are missing or the key is too long. */
  #keyed(words: number): boolean {
    if (tokens.count < words) {
      this.#out.put(R.badFormat);
      return false;
    }
    if (tokens.lengthOf(1) <= KEY_BYTES_MAX) return true;
    this.#reply(R.badFormat);
    return false;
  }

  #reply(line: Buffer): void {
    if (!this.#noreply) this.#out.put(line);
  }
}
