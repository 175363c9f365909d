/**
 * ○ How much one connection may do before the others get their turn, in units of work: a command or a key looked up is one. Counts
 * instead of measuring time, so that a turn's bound is the same on every machine and no command reads a clock.
 */
import { TURN_WORK_MAX } from "./limits.ts";

export class TurnBudget {
  readonly #commandsMax: number;
  #commands = 0;
  #work = 0;

  /** @param commandsMax `-R`: commands a turn; infinite when not asked for */
  constructor(commandsMax: number) {
    this.#commandsMax = commandsMax;
  }

  begin(): void {
    this.#commands = 0;
    this.#work = 0;
  }

  /** Counts a command; false when it has to wait for the next turn. */
  command(): boolean {
    if (this.#commands >= this.#commandsMax || this.#work >= TURN_WORK_MAX) return false;
    this.#commands += 1;
    this.#work += 1;
    return true;
  }

  /** Commands of this turn. */
  get commands(): number {
    return this.#commands;
  }

  spend(units: number): void {
    this.#work += units;
  }

  get over(): boolean {
    return this.#work >= TURN_WORK_MAX;
  }
}
