/**
 * ○ Users and passwords, for ASCII authentication (`-Y`) and SASL PLAIN (`-S`). Read from memcached's own format: a line
 * `user:password` each. Comparing takes as long for a wrong password as for the right one.
 */
import type { Buffer } from "node:buffer";
import { CR, LF } from "../../core/ascii.ts";
import { sameBytes } from "../../core/bytes.ts";
import { UsageError } from "../../core/errors.ts";

/** 8: memcached's MAX_ENTRIES; a handful of services, not a directory of people. */
const ENTRIES_MAX = 8;

/** 256: memcached's MAX_ENTRY_LEN, the line end included. */
const ENTRY_BYTES_MAX = 256;

const COLON = 0x3a;
const NUL = 0;

interface Entry {
  readonly user: Uint8Array;
  readonly password: Uint8Array;
}

export class UserList {
  #entries: readonly Entry[] = [];
  readonly #also: (user: string, password: string) => boolean;

  /** @param also further users, from elsewhere */
  constructor(also: (user: string, password: string) => boolean = () => false) {
    this.#also = also;
  }

  /**
   * Takes the users of a file in place of those it had; on an error it keeps them.
   *
   * @param file the file's bytes; lines beyond the eighth are ignored, as memcached does
   * @throws UsageError CACHE_AUTH_FILE_MALFORMED when a line has no colon or is longer than 255 bytes
   */
  load(file: Uint8Array): void {
    const entries: Entry[] = [];
    for (let at = 0; at < file.length && entries.length < ENTRIES_MAX;) {
      const lf = file.indexOf(LF, at);
      const end = lf < 0 ? file.length : lf;
      entries.push(readEntry(file.subarray(at, end), entries.length + 1));
      at = end + 1;
    }
    this.#entries = entries;
  }

  /** True when the user is known and the password is the user's. */
  check(user: Uint8Array, password: Uint8Array): boolean {
    let found = false;
    for (const entry of this.#entries) {
      const match = sameBytes(entry.user, user) && sameBytes(entry.password, password);
      found ||= match;
    }
    return found || this.#also(textOf(user), textOf(password));
  }

  /** SASL PLAIN (RFC 4616): `[authorization] NUL user NUL password`. @returns the user, if the password is right */
  checkPlain(message: Buffer): string | undefined {
    const first = message.indexOf(NUL);
    const second = message.indexOf(NUL, first + 1);
    if (first < 0 || second < 0) return undefined;
    const user = message.subarray(first + 1, second);
    return this.check(user, message.subarray(second + 1)) ? textOf(user) : undefined;
  }
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function readEntry(line: Uint8Array, number: number): Entry {
  const cr = line.indexOf(CR);
  const whole = cr < 0 ? line : line.subarray(0, cr);
  const colon = whole.indexOf(COLON);
  if (colon < 0 || line.length >= ENTRY_BYTES_MAX) {
    throw new UsageError(
      "CACHE_AUTH_FILE_MALFORMED",
      `Cannot read users: line ${number} is not 'user:password' of at most ${ENTRY_BYTES_MAX - 1} bytes`,
    );
  }
  return { user: whole.slice(0, colon), password: whole.slice(colon + 1) };
}
