/** ○ The soak's books: what was promised, and what became of it. Everything settled is struck off, so that hours fit into memory. */
import type { PlayerReport } from "./player-report.ts";

/** Messages of one sender: numbers from 1, confirmed ones are below the highest received, none comes twice. */
class SenderBook {
  /** All numbers up to this one were received. */
  #received = 0;
  #confirmed = 0;

  /** @returns what is wrong, if anything */
  receive(number: number): string | undefined {
    const expected = this.#received + 1;
    if (number === expected) this.#received = number;
    else return number < expected ? `message ${number} came twice` : `message ${expected} is missing, ${number} came`;
    return undefined;
  }

  confirm(number: number): void {
    this.#confirmed = Math.max(this.#confirmed, number);
  }

  /** Confirmed and never received. */
  get lost(): number {
    return Math.max(0, this.#confirmed - this.#received);
  }
}

export class Ledger {
  readonly wrong: string[] = [];
  readonly counts: Record<string, number> = {};
  /** Acknowledged tasks whose result nobody has looked at yet, by id. */
  readonly open = new Map<string, string>();
  readonly #senders = new Map<string, SenderBook>();

  enter(said: PlayerReport): void {
    if (said.kind === "wrong") this.wrong.push(said.text);
    else if (said.kind === "count") this.#count(said.what, said.count);
    else if (said.kind === "added") this.#added(said.id, said.body);
    else if (said.kind === "received") this.#received(said.sender, said.number);
    else if (said.kind === "confirmed") {
      this.#count("link messages confirmed", 1);
      this.#book(said.sender).confirm(said.number);
    }
  }

  /** The task's result as the broker keeps it. */
  settle(id: string, result: string): void {
    const body = this.open.get(id);
    if (body === undefined) this.wrong.push(`task ${id} was settled twice`);
    else if (result !== body.toUpperCase()) this.wrong.push(`task ${id} '${body}' has the result '${result}'`);
    this.open.delete(id);
    this.#count("results of acknowledged tasks checked", 1);
  }

  /** To be asked when everything has come to rest. */
  close(): void {
    for (const [sender, book] of this.#senders)
      if (book.lost > 0) this.wrong.push(`${sender}: ${book.lost} confirmed and lost`);
    for (const id of this.open.keys()) this.wrong.push(`task ${id} was acknowledged and has no result`);
  }

  #added(id: string, body: string): void {
    this.#count("tasks acknowledged", 1);
    if (this.open.has(id)) this.wrong.push(`id ${id} was given twice`);
    this.open.set(id, body);
  }

  #received(sender: string, number: number): void {
    this.#count("link messages received", 1);
    const trouble = this.#book(sender).receive(number);
    if (trouble !== undefined) this.wrong.push(`${sender}: ${trouble}`);
  }

  #count(what: string, count: number): void {
    this.counts[what] = (this.counts[what] ?? 0) + count;
  }

  #book(sender: string): SenderBook {
    let book = this.#senders.get(sender);
    if (!book) this.#senders.set(sender, (book = new SenderBook()));
    return book;
  }
}
