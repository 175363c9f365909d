/**
 * ○ The names of workers that rows speak of, each once: a row has its number, the store its bytes. Invariant: a name is kept while a row or a
 * worker that is here holds it.
 */
import { Buffer } from "node:buffer";
import { sameBytes } from "../../core/bytes.ts";
import { NAME_BYTES_MAX } from "../limits.ts";

interface WorkerName {
  readonly name: string;
  readonly bytes: Uint8Array;
  holders: number;
}

/** The number of no name. */
export const NOBODY = 0;

const NO_NAME: WorkerName = { name: "", bytes: new Uint8Array(0), holders: 1 };

export class WorkerNames {
  readonly #byName = new Map<string, number>();
  readonly #all: (WorkerName | undefined)[] = [NO_NAME];
  readonly #free: number[] = [];
  /** Of the last name that was read: most tasks of a store are of few workers. */
  #read = NOBODY;

  /** The number of a name, for one more holder. */
  hold(name: string): number {
    if (name === "") return NOBODY;
    const known = this.#byName.get(name);
    if (known !== undefined) return this.holdAgain(known);
    const number = this.#free.pop() ?? this.#all.length;
    const bytes = Buffer.from(name).subarray(0, NAME_BYTES_MAX);
    this.#all[number] = { name, bytes, holders: 1 };
    this.#byName.set(name, number);
    return number;
  }

  /** The same of a name as the store has it. */
  holdRead(bytes: Uint8Array): number {
    const last = this.#all[this.#read];
    if (last && sameBytes(last.bytes, bytes)) return this.holdAgain(this.#read);
    this.#read = this.hold(Buffer.from(bytes).toString());
    return this.#read;
  }

  holdAgain(number: number): number {
    this.#all[number]!.holders += 1;
    return number;
  }

  /** One holder fewer. */
  release(number: number): void {
    if (number === NOBODY) return;
    const name = this.#all[number]!;
    name.holders -= 1;
    if (name.holders > 0) return;
    this.#byName.delete(name.name);
    this.#all[number] = undefined;
    this.#free.push(number);
  }

  name(number: number): string {
    return this.#all[number]!.name;
  }

  bytes(number: number): Uint8Array {
    return this.#all[number]!.bytes;
  }
}
