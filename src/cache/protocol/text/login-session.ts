/**
 * ○ A text connection that must authenticate first (`-Y`): `set KEY 0 0 N` with the value `user password`. Until it has, nothing else
 * is executed; after that the text protocol goes on with the next byte, and this file costs one call a read.
 */
import type { Buffer } from "node:buffer";
import { CR, LF, SPACE } from "../../../core/ascii.ts";
import type { ReplyBuffer } from "../../../memcached/reply-buffer.ts";
import { Tokens } from "../../../memcached/tokens.ts";
import { COUNT } from "../../store/counters.ts";
import type { UserList } from "../user-list.ts";
import { LINE_BYTES_MAX, LOGIN_BYTES_MAX } from "../limits.ts";
import { R } from "../text-replies.ts";
import type { CloseReason, SessionContext, CacheSession } from "../cache-session.ts";
import { TextSession } from "./text-session.ts";

/** memcached's MIN_AUTH_REQ_LEN: a shorter line is not read as a login, and ends the connection. */
const LINE_BYTES_MIN = 3;

const tokens = new Tokens();

export class LoginSession implements CacheSession {
  #text: CacheSession;
  readonly #open: (user: string) => CacheSession;
  readonly #out: ReplyBuffer;
  readonly #context: SessionContext;
  readonly #credentials: UserList;
  #authenticated = false;
  /** Bytes of `user password` and its CR LF that are awaited; 0 while a line is. */
  #awaited = 0;
  #ending: CloseReason | undefined;

  /** @param open makes the session of who has logged in */
  constructor(context: SessionContext, credentials: UserList, open = (_user: string): CacheSession => this.#text) {
    this.#context = context;
    this.#out = context.out;
    this.#credentials = credentials;
    this.#open = open;
    this.#text = new TextSession(context);
  }

  get ending(): CloseReason | undefined {
    return this.#ending ?? this.#text.ending;
  }

  get blocked(): boolean {
    return this.#text.blocked;
  }

  get state(): string {
    return this.#awaited > 0 ? "conn_nread" : this.#text.state;
  }

  release(): void {
    this.#text.release();
  }

  consume(input: Buffer, start: number, end: number, goesOn = false): number {
    let at = start;
    while (!this.#authenticated && at < end && this.#ending === undefined) {
      const next = this.#awaited > 0 ? this.#login(input, at, end) : this.#line(input, at, end);
      if (next === at) return at;
      at = next;
    }
    return this.#authenticated && at < end ? this.#text.consume(input, at, end, goesOn) : at;
  }

  #line(input: Buffer, at: number, end: number): number {
    const found = input.subarray(at, end).indexOf(LF);
    if (found < 0 ? end - at > LINE_BYTES_MAX : found < LINE_BYTES_MIN) this.#ending = "error";
    if (found < 0 || this.#ending !== undefined) return at;
    const lf = at + found;
    tokens.split(input, at, input[lf - 1] === CR ? lf - 1 : lf);
    const bytes = tokens.count > 4 ? tokens.u32(4) : -1;
    if (!tokens.begins(0, "set") || bytes < 0) this.#out.put(R.unauthenticated);
    else if (bytes > LOGIN_BYTES_MAX) this.#out.put(R.authTooLong);
    else this.#awaited = bytes + 2;
    return lf + 1;
  }

  #login(input: Buffer, at: number, end: number): number {
    if (end - at < this.#awaited) return at;
    const next = at + this.#awaited;
    this.#awaited = 0;
    const value = input.subarray(at, next - 2);
    const space = value.indexOf(SPACE);
    if (input[next - 2] !== CR || input[next - 1] !== LF) this.#out.put(R.badTermination);
    else if (space < 0) this.#out.put(R.badAuthFormat);
    else this.#check(value.subarray(0, space), value.subarray(space + 1));
    return next;
  }

  #check(user: Uint8Array, password: Uint8Array): void {
    const { counters } = this.#context.store;
    counters.add(COUNT.authCommands);
    this.#authenticated = this.#credentials.check(user, password);
    if (this.#authenticated) this.#text = this.#open(new TextDecoder().decode(user));
    else counters.add(COUNT.authErrors);
    this.#out.put(this.#authenticated ? R.stored : R.authFailure);
  }
}
