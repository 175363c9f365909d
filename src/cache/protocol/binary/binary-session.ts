/**
 * ○ The binary protocol of one connection: reads whole headers with their extras and keys, executes them, receives values straight
 * into their items. Invariant: at most one item is held (`#writer.item`), and only while its value is arriving. A request whose
 * lengths contradict each other ends the connection after its error reply, since no later byte could be trusted.
 */
import { Buffer } from "node:buffer";
import { BINARY_HEADER_BYTES, BinaryRequest, OPCODE, readU32BigEndian, STATUS } from "../../../memcached/binary.ts";
import type { ReplyBuffer } from "../../../memcached/reply-buffer.ts";
import { BinaryReplies } from "./binary-replies.ts";
import { ValueWriter } from "../../store/chunks.ts";
import { BY_CLASS, COUNT } from "../../store/counters.ts";
import type { UserList } from "../user-list.ts";
import * as Item from "../../store/item.ts";
import { KEY_BYTES_MAX } from "../../store/limits.ts";
import { BODY_BYTES_MAX, OUTPUT_BYTES_MAX, RARE_COMMAND_WORK } from "../limits.ts";
import { SaslLogin } from "./sasl-login.ts";
import type { CloseReason, SessionContext, CacheSession } from "../cache-session.ts";
import { TUNE } from "../../store/settings.ts";
import { CR_LF, DELTA, MODE, RESULT, type ItemStore } from "../../store/item-store.ts";
import { statLines } from "../stats.ts";
import { TurnBudget } from "../turn-budget.ts";

/** Delta, initial value, expiry. */
const ARITHMETIC_EXTRA_BYTES = 20;

/** The expiry with which `incr` and `decr` do not create a missing item. */
const DO_NOT_CREATE = 0xffffffff;

/** Client flags, expiry. */
const UPDATE_EXTRA_BYTES = 8;

/** What the next bytes of a connection are. */
type State = "header" | "value" | "login" | "swallow";

const STATE_WORDS: Readonly<Record<State, string>> = {
  header: "conn_read",
  value: "conn_nread",
  login: "conn_nread",
  swallow: "conn_swallow",
};

const MODES: Readonly<Record<number, number>> = {
  [OPCODE.set]: MODE.set,
  [OPCODE.add]: MODE.add,
  [OPCODE.replace]: MODE.replace,
  [OPCODE.append]: MODE.append,
  [OPCODE.prepend]: MODE.prepend,
};

export class BinarySession implements CacheSession {
  readonly #context: SessionContext;
  readonly #store: ItemStore;
  readonly #out: ReplyBuffer;
  readonly #writer: ValueWriter;
  readonly #request = new BinaryRequest();
  readonly #replies: BinaryReplies;
  readonly #sasl: SaslLogin;
  readonly #turn: TurnBudget;
  #state: State = "header";
  /** How the value that is arriving is to be stored. */
  #mode = 0;
  #swallow = 0;
  ending: CloseReason | undefined;
  blocked = false;

  /** @param credentials with which clients must authenticate (SASL PLAIN) before anything else; undefined for none */
  constructor(context: SessionContext, credentials?: UserList) {
    this.#context = context;
    this.#store = context.store;
    this.#out = context.out;
    this.#writer = new ValueWriter(context.store.items);
    this.#replies = new BinaryReplies(context.out, context.store.items, this.#request);
    this.#sasl = new SaslLogin({
      credentials,
      counters: context.store.counters,
      replies: this.#replies,
      request: this.#request,
    });
    this.#turn = new TurnBudget(context.commandsPerTurn);
  }

  get state(): string {
    return STATE_WORDS[this.#state];
  }

  /** Who has logged in. */
  get user(): string | undefined {
    return this.#sasl.user;
  }

  /** Bytes of a value that is arriving, or is skipped, that are still to come. */
  get valueBytesLeft(): number {
    if (this.#state === "value") return this.#writer.remaining - CR_LF.length;
    return this.#state === "login" ? this.#request.valueBytes : this.#state === "swallow" ? this.#swallow : 0;
  }

  release(): void {
    if (this.#writer.item !== 0) this.#store.items.release(this.#writer.item);
    this.#writer.item = 0;
  }

  consume(input: Buffer, start: number, end: number, goesOn = false): number {
    let at = start;
    this.blocked = false;
    if (!goesOn) this.#turn.begin();
    while (at < end && this.ending === undefined && !this.blocked) {
      const next = this.#step(input, at, end);
      if (next === at) return at;
      at = next;
      if (this.#out.length > OUTPUT_BYTES_MAX) this.blocked = true;
    }
    return at;
  }

  /** Takes what the state wants from `at` on; returns where the rest starts, `at` when more must arrive first. */
  #step(input: Buffer, at: number, end: number): number {
    switch (this.#state) {
      case "header":
        return this.#execute(input, at, end);
      case "value":
        return this.#receive(input, at, end);
      case "login":
        return end - at < this.#request.valueBytes ? at : this.#login(input, at);
      default: {
        const part = Math.min(this.#swallow, end - at);
        this.#skip(this.#swallow - part);
        return at + part;
      }
    }
  }

  #execute(input: Buffer, at: number, end: number): number {
    const request = this.#request;
    if (end - at < BINARY_HEADER_BYTES) return at;
    if (!request.read(input, at)) {
      this.ending = "error";
      return end;
    }
    const extras = at + BINARY_HEADER_BYTES;
    const key = extras + request.extraBytes;
    const next = key + request.keyBytes;
    if (next > end) return at;
    if (!this.#turn.command()) {
      this.#store.counters.add(COUNT.connYields);
      this.blocked = true;
      return at;
    }
    const refusal = this.#refusal(request);
    if (refusal === undefined && this.#dispatch(input, extras, key)) return next;
    this.#replies.error(refusal ?? STATUS.invalid);
    this.ending = "error";
    return next;
  }

  /** Why a request cannot be executed whatever it asks. */
  #refusal({ valueBytes, bodyBytes, command, keyBytes }: BinaryRequest): number | undefined {
    if (valueBytes < 0) return STATUS.unknownCommand;
    if (bodyBytes > BODY_BYTES_MAX) return STATUS.invalid;
    if (!this.#sasl.allows(command)) return STATUS.authError;
    return keyBytes > KEY_BYTES_MAX ? STATUS.invalid : undefined;
  }

  /** Executes the request; false when its parts are not those of its command. */
  #dispatch(input: Buffer, extras: number, key: number): boolean {
    const { command, extraBytes, keyBytes, valueBytes } = this.#request;
    const keyed = keyBytes > 0;
    const bare = extraBytes === 0 && !keyed && valueBytes === 0;
    switch (command) {
      case OPCODE.get:
      case OPCODE.getk:
        return extraBytes === 0 && keyed && valueBytes === 0 && this.#get(input, key);
      case OPCODE.touch:
      case OPCODE.gat:
      case OPCODE.gatk:
        return extraBytes === 4 && keyed && this.#touch(input, key, readU32BigEndian(input, extras));
      case OPCODE.set:
      case OPCODE.add:
      case OPCODE.replace:
        return extraBytes === UPDATE_EXTRA_BYTES && keyed && this.#update(input, extras, key);
      case OPCODE.append:
      case OPCODE.prepend:
        return extraBytes === 0 && keyed && this.#allocate(input, key, { clientFlags: 0, expiry: 0 });
      case OPCODE.delete:
        return extraBytes === 0 && keyed && valueBytes === 0 && this.#delete(input, key);
      case OPCODE.increment:
      case OPCODE.decrement:
        return extraBytes === ARITHMETIC_EXTRA_BYTES && keyed && valueBytes === 0 && this.#arithmetic(input, extras, key);
      case OPCODE.noop:
      case OPCODE.quit:
        return bare && this.#bare(command);
      case OPCODE.version:
        if (bare) this.#replies.text(STATUS.ok, this.#context.server.version);
        return bare;
      case OPCODE.flush:
        if (keyed || valueBytes > 0 || (extraBytes !== 0 && extraBytes !== 4)) return false;
        return this.#flush(extraBytes === 4 ? readU32BigEndian(input, extras) : 0);
      case OPCODE.stat:
        return extraBytes === 0 && this.#stat(input.toString("latin1", key, key + keyBytes));
      case OPCODE.saslListMechanisms:
        return bare && this.#listMechanisms();
      case OPCODE.saslAuth:
      case OPCODE.saslStep:
        return extraBytes === 0 && keyed && this.#startLogin(input, key);
      default:
        this.#replies.error(STATUS.unknownCommand);
        this.#skip(valueBytes);
        return true;
    }
  }

  #bare(command: number): true {
    this.#replies.done();
    if (command === OPCODE.quit) this.ending = "normal";
    return true;
  }

  #get(input: Buffer, key: number): true {
    const store = this.#store;
    const { keyBytes } = this.#request;
    return this.#found(store.get(input, key, keyBytes, store.hash(input, key, keyBytes)), input, key);
  }

  #touch(input: Buffer, key: number, exptime: number): true {
    const store = this.#store;
    const { keyBytes } = this.#request;
    const hash = store.hash(input, key, keyBytes);
    const item = store.touch(input, key, keyBytes, { hash, expiry: store.expiry(exptime) });
    if (store.memory.tune[TUNE.detail] !== 0) store.prefixes.get(input, key, keyBytes, item !== 0);
    this.#skip(this.#request.valueBytes);
    return this.#found(item, input, key);
  }

  #found(item: number, input: Buffer, key: number): true {
    const { command, quiet } = this.#request;
    const withKey = command === OPCODE.getk || command === OPCODE.gatk;
    if (item !== 0) this.#replies.item(item, { key: withKey, value: command !== OPCODE.touch });
    else if (!quiet && withKey) this.#replies.missWithKey(input, key);
    else if (!quiet) this.#replies.error(STATUS.notFound);
    return true;
  }

  #update(input: Buffer, extras: number, key: number): true {
    const store = this.#store;
    const clientFlags = readU32BigEndian(input, extras);
    const expiry = store.expiry(readU32BigEndian(input, extras + 4));
    this.#allocate(input, key, { clientFlags, expiry });
    return true;
  }

  /** Makes the item and goes on to receive the value, or refuses and swallows it. */
  #allocate(input: Buffer, key: number, { clientFlags, expiry }: { clientFlags: number; expiry: number }): true {
    const store = this.#store;
    const { command, keyBytes, valueBytes, cas } = this.#request;
    if (store.memory.tune[TUNE.detail] !== 0) store.prefixes.set(input, key, keyBytes);
    const length = valueBytes + CR_LF.length;
    const item = store.items.allocate(input, key, keyBytes, { clientFlags, expiry, length });
    this.#mode = MODES[command]!;
    if (item === 0) {
      const fits = store.items.fits(keyBytes, clientFlags, length);
      if (fits) this.#replies.text(STATUS.outOfMemory, "Out of memory allocating item");
      else this.#replies.error(STATUS.tooLarge);
      store.logRefusal(input, key, keyBytes, this.#mode, fits ? "no_memory" : "too_large");
      if (this.#mode === MODE.set) store.drop(input, key, keyBytes); // the old value must not be read any more
      this.#skip(valueBytes);
      return true;
    }
    store.setCas(item, cas.high, cas.low);
    if ((cas.high !== 0 || cas.low !== 0) && this.#mode !== MODE.append && this.#mode !== MODE.prepend) this.#mode = MODE.cas;
    this.#writer.start(item);
    this.#state = "value";
    if (valueBytes === 0) this.#finishValue();
    return true;
  }

  #receive(input: Buffer, at: number, end: number): number {
    const writer = this.#writer;
    const wanted = writer.remaining - CR_LF.length;
    const part = Math.min(wanted, end - at);
    if (writer.write(input, at, part)) {
      if (writer.remaining === CR_LF.length) this.#finishValue();
      return at + part;
    }
    const rest = writer.remaining - CR_LF.length;
    this.#outOfMemoryReading();
    this.#skip(rest);
    return at + wanted - rest;
  }

  /** The value is whole. Items keep a CR LF behind it, which this protocol does not send. */
  #finishValue(): void {
    const store = this.#store;
    const writer = this.#writer;
    const { item } = writer;
    const { words } = store.items;
    this.#state = "header";
    if (!writer.write(CR_LF, 0, CR_LF.length)) {
      this.#outOfMemoryReading();
      return;
    }
    writer.item = 0;
    store.counters.addOfClass(BY_CLASS.setCommands, store.classOf(item));
    const hash = store.hash(store.items.bytes, Item.keyStart(item), Item.keyBytes(words, item));
    const result = store.store(item, this.#mode, hash);
    this.#turn.spend(store.joinedUnits());
    if (result === RESULT.stored) this.#replies.done(store.stored);
    else this.#replies.error(this.#failure(result));
    store.items.release(item);
  }

  #failure(result: number): number {
    if (result === RESULT.exists) return STATUS.exists;
    if (result === RESULT.notFound) return STATUS.notFound;
    if (this.#mode === MODE.add) return STATUS.exists;
    return this.#mode === MODE.replace ? STATUS.notFound : STATUS.notStored;
  }

  #outOfMemoryReading(): void {
    this.release();
    this.#replies.text(STATUS.outOfMemory, "Out of memory during read");
  }

  #delete(input: Buffer, key: number): true {
    const store = this.#store;
    const { keyBytes, cas } = this.#request;
    if (cas.high === 0 && cas.low === 0) {
      if (store.delete(input, key, keyBytes)) this.#replies.done();
      else this.#replies.error(STATUS.notFound);
      return true;
    }
    const { words } = store.items;
    const item = store.find(input, key, keyBytes, store.hash(input, key, keyBytes));
    if (item !== 0 && !Item.hasCas(words, item, cas)) {
      this.#replies.error(STATUS.exists);
    } else if (store.delete(input, key, keyBytes)) this.#replies.done();
    else this.#replies.error(STATUS.notFound);
    return true;
  }

  #arithmetic(input: Buffer, extras: number, key: number): true {
    const store = this.#store;
    const { command, keyBytes, cas } = this.#request;
    const increment = command === OPCODE.increment;
    const by = { high: readU32BigEndian(input, extras), low: readU32BigEndian(input, extras + 4) };
    const hash = store.hash(input, key, keyBytes);
    switch (store.delta(input, key, keyBytes, { increment, by, cas, hash })) {
      case DELTA.done:
        this.#replies.number(store.number.high, store.number.low, store.stored);
        break;
      case DELTA.notFound:
        this.#create(input, extras + 8, key);
        break;
      case DELTA.nonNumeric:
        this.#replies.error(STATUS.nonNumeric);
        break;
      case DELTA.casMismatch:
        this.#replies.error(STATUS.exists);
        break;
      default:
        this.#replies.text(STATUS.outOfMemory, "Out of memory incrementing value");
    }
    return true;
  }

  /** `incr` and `decr` of what is missing: stores the initial value, unless the expiry forbids it. */
  #create(input: Buffer, initial: number, key: number): void {
    const store = this.#store;
    const { command, keyBytes } = this.#request;
    const exptime = readU32BigEndian(input, initial + 8);
    if (exptime === DO_NOT_CREATE) {
      store.counters.add(command === OPCODE.increment ? COUNT.incrMisses : COUNT.decrMisses);
      this.#replies.error(STATUS.notFound);
      return;
    }
    store.number.high = readU32BigEndian(input, initial);
    store.number.low = readU32BigEndian(input, initial + 4);
    const digits = Buffer.from(`${store.digits()}\r\n`, "latin1");
    const item = store.items.allocate(input, key, keyBytes, {
      clientFlags: 0,
      expiry: store.expiry(exptime),
      length: digits.length,
    });
    if (item === 0) {
      this.#replies.text(STATUS.outOfMemory, "Out of memory allocating new item");
      return;
    }
    store.items.bytes.set(digits, Item.valueStart(store.items.words, item));
    if (store.store(item, MODE.add, store.hash(input, key, keyBytes)) === RESULT.stored) {
      this.#replies.number(store.number.high, store.number.low, store.stored);
    } else {
      this.#replies.error(STATUS.notStored);
    }
    store.items.release(item);
  }

  #flush(exptime: number): true {
    if (!this.#context.server.features.flush) {
      this.#replies.error(STATUS.authError);
      return true;
    }
    this.#turn.spend(RARE_COMMAND_WORK);
    this.#store.counters.add(COUNT.flushCommands);
    this.#store.flushAll(exptime);
    this.#replies.done();
    return true;
  }

  #stat(name: string): true {
    this.#turn.spend(RARE_COMMAND_WORK);
    const lines = statLines(this.#context, name);
    const { server } = this.#context;
    if (lines && name.startsWith("conns")) {
      this.blocked = server.askOthers("connections", (parts) => this.#replies.stats([...lines, ...parts.flat()]));
    } else if (lines && name.startsWith("detail dump")) {
      this.blocked = server.askOthers("prefixes", (parts) => {
        this.#replies.stats([["detailed", this.#store.prefixes.dump(parts)]]);
      });
    }
    if (this.blocked) return true;
    if (lines) this.#replies.stats(lines);
    else this.#replies.error(STATUS.notFound);
    this.#skip(this.#request.valueBytes);
    return true;
  }

  #listMechanisms(): true {
    this.#sasl.listMechanisms();
    return true;
  }

  /** Goes on to receive the client's message to the mechanism, or swallows it. */
  #startLogin(input: Buffer, key: number): true {
    const { valueBytes } = this.#request;
    if (!this.#sasl.begin(input, key)) this.#skip(valueBytes);
    else if (valueBytes > 0) this.#state = "login";
    else this.#login(input, 0);
    return true;
  }

  #login(input: Buffer, at: number): number {
    const end = at + this.#request.valueBytes;
    this.#state = "header";
    this.#sasl.finish(input.subarray(at, end));
    return end;
  }

  #skip(bytes: number): void {
    this.#swallow = bytes;
    this.#state = bytes > 0 ? "swallow" : "header";
  }
}
