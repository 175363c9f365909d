/** The database of the example: users in a file, each lookup as slow as a real query. Counts its lookups, to show what the cache saves. */
import { appendFile, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

export interface User {
  readonly email: string;
  readonly name: string;
}

/** 40 ms: a query over the network with an index that is not in memory. */
const QUERY_MS = 40;

export class Users {
  lookups = 0;
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** The user with this address, or null. */
  async find(email: string): Promise<User | null> {
    this.lookups += 1;
    await sleep(QUERY_MS);
    const lines = await readFile(this.#file, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "";
      throw error;
    });
    const users = lines
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as User);
    return users.find((user) => user.email === email) ?? null;
  }

  async add(user: User): Promise<void> {
    await appendFile(this.#file, `${JSON.stringify(user)}\n`);
  }
}
