/** ○ Which tasks wait for which: counts down as tasks end. Holds entries only for tasks that wait or are waited for. */

export class DependencyGraph {
  /** Task → tasks that wait for it. */
  readonly #dependents = new Map<number, number[]>();
  /** Task → how many it still waits for. */
  readonly #open = new Map<number, number>();

  /** `id` waits for all of these, none of which has ended. */
  wait(id: number, after: readonly number[]): void {
    this.#open.set(id, after.length);
    for (const other of after) {
      const dependents = this.#dependents.get(other);
      if (dependents) dependents.push(id);
      else this.#dependents.set(other, [id]);
    }
  }

  /** `id` is completed: the tasks that now wait for none. */
  done(id: number): readonly number[] {
    const free = this.#take(id).filter((dependent) => {
      const open = this.#open.get(dependent);
      if (open === undefined) return false;
      if (open > 1) this.#open.set(dependent, open - 1);
      else this.#open.delete(dependent);
      return open === 1;
    });
    return free;
  }

  /** `id` will never be completed: the tasks that waited for it, which then never can. */
  failed(id: number): readonly number[] {
    return this.#take(id).filter((dependent) => this.#open.delete(dependent));
  }

  /** `id` waits no more (cancelled, expired). What it waited for finds it gone. */
  forget(id: number): void {
    this.#open.delete(id);
  }

  #take(id: number): readonly number[] {
    const dependents = this.#dependents.get(id) ?? [];
    this.#dependents.delete(id);
    return dependents;
  }
}
