/** ● Files of users (`-Y`, and SASL's): read at the start and again by `reload()`. */
import { codeOf, UsageError, messageOf } from "../../core/errors.ts";
import { readSecret } from "../../core/private-files.ts";
import { UserList } from "../protocol/user-list.ts";

export class AuthFile {
  readonly users: UserList;
  readonly #path: string;

  /** @throws UsageError CACHE_AUTH_FILE_UNREADABLE, FILE_NOT_PRIVATE, CACHE_AUTH_FILE_MALFORMED */
  constructor(path: string, users = new UserList()) {
    this.#path = path;
    this.users = users;
    this.load();
  }

  /** Reads the file again; on an error the users stay as they were. @throws as the constructor */
  load(): void {
    let file: Uint8Array;
    try {
      file = readSecret(this.#path);
    } catch (error) {
      if (codeOf(error) === "FILE_NOT_PRIVATE") throw error;
      const message = `Could not open authfile [${this.#path}] for reading: ${messageOf(error)}`;
      throw new UsageError("CACHE_AUTH_FILE_UNREADABLE", message, { cause: error });
    }
    this.users.load(file);
  }
}
