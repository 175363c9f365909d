/**
 * ● The access table of running servers: read from its file, and again by `reload`. Who asks gets rights that follow the file. What is
 * refused is counted by parts and told in the log, which bounds how often.
 */
import { codeOf, messageOf, UsageError } from "../core/errors.ts";
import { type Log, type LogFacts, type LogOption, makeLog } from "../core/log.ts";
import { readSecret } from "../core/private-files.ts";
import { ANYBODY, type AccessTable, type AskedRights, readAccess } from "./access-table.ts";
import type { AccessPart } from "./right.ts";

/**
 * Who may what, from a file: docs/how-to/rights.md. One is for all servers of a process.
 */
export class AccessControl {
  readonly #path: string;
  #table: AccessTable;
  readonly #refused: Record<AccessPart, number> = { queue: 0, cache: 0, dashboard: 0 };
  readonly #log: Log;
  #changed: (() => void)[] = [];

  /**
   * Reads the file. Others must not be able to read it: it has secrets.
   *
   * @param log is told what is refused; default: warnings are lines on stderr
   * @throws UsageError ACCESS_FILE_INVALID, FILE_NOT_PRIVATE
   */
  constructor(path: string, log?: LogOption) {
    this.#path = path;
    this.#log = makeLog(log);
    this.#table = readTable(path);
  }

  /** The file. */
  get path(): string {
    return this.#path;
  }

  /** What the file says now. */
  get table(): AccessTable {
    return this.#table;
  }

  /** How often each part has refused something. */
  get refused(): Readonly<Record<AccessPart, number>> {
    return this.#refused;
  }

  /** Reads the file again. After an error all stays as it was. @throws as the constructor */
  reload(): void {
    this.#table = readTable(this.#path);
    for (const changed of this.#changed) changed();
  }

  /** Called after each `reload`. */
  onReload(changed: () => void): void {
    this.#changed.push(changed);
  }

  /** @internal A refusal of another thread, which has told it instead of logging it. */
  tell(part: AccessPart, facts: LogFacts): void {
    this.#refused[part] += 1;
    this.#log("access.refused", facts);
  }

  /**
   * What this user may, now and after each `reload`.
   *
   * @param user undefined: who has no name
   * @param log is told what is refused, instead of the log of all
   */
  rightsOf(user: string | undefined, log: Log = this.#log): AskedRights {
    const told = user ?? ANYBODY;
    const may: AskedRights["may"] = (action, name) => this.#table.rightsOf(user).may(action, name);
    const refused: AskedRights["refused"] = (action, name) => {
      this.#refused[action.slice(0, action.indexOf(":")) as AccessPart] += 1;
      const right = name === undefined ? action : `${action}:${name.slice(0, NAME_CHARS_MAX)}`;
      log("access.refused", { user: told, right });
      return new UsageError("ACCESS_DENIED", `The user '${told}' has not the right ${right}`);
    };
    return {
      user: told,
      may,
      mayAll: (action) => this.#table.rightsOf(user).mayAll(action),
      mayAny: (action) => this.#table.rightsOf(user).mayAny(action),
      refused,
      must(action, name) {
        if (!may(action, name)) throw refused(action, name);
      },
    };
  }
}

/** 100 characters: names may be 255 bytes, and who has no right chooses them. */
const NAME_CHARS_MAX = 100;

function readTable(path: string): AccessTable {
  let text: string;
  try {
    text = readSecret(path).toString();
  } catch (cause) {
    if (codeOf(cause) === "FILE_NOT_PRIVATE") throw cause;
    throw new UsageError("ACCESS_FILE_INVALID", `Cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    // V8 quotes what it could not read, which may be a secret: only the place is told.
    const place = /position (\d+)/.exec(messageOf(cause))?.[1];
    const line = place === undefined ? "" : `:${text.slice(0, Number(place)).split("\n").length}`;
    throw new UsageError("ACCESS_FILE_INVALID", `Cannot read ${path}${line}: it is no JSON`);
  }
  return readAccess(content, path);
}
