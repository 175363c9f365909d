/**
 * ○ Bytes that others make this process keep, and who may make it keep more. A tree: process → part → strangers or known → address →
 * connection. Whoever keeps bytes for a peer tells its account; each budget on the way up counts them. Invariant: a budget's `bytes` is the
 * sum of what was charged to it and below it and not released.
 *
 * A budget may have a bound. Below half of it nothing happens. Past it whoever is over an even share of the next quarter is refused: the
 * share is even among parts, among addresses of a part, among connections of an address, and who is below it at any of these levels goes on. The
 * last quarter is left for the message of which most has arrived, so that one after the other becomes whole and can be taken. At the bound
 * itself nothing is taken from anybody. What is kept already is never dropped here.
 */

/**
 * 256 bytes: what a part of a message takes beyond its octets: a view of them and its place in a list, 130 bytes in V8, and as much again that
 * the collector has not yet taken. With 192 a flood of empty parts on a busy machine took 1.37 times the bound.
 */
export const PART_COST_BYTES = 256;

/** Of a part's bound, what strangers may take: half of it without question, a quarter of it by even shares of their addresses. */
const STRANGERS_SHARE = 1 / 4;

/** Whoever keeps bytes for one peer: its connection, as a rule. */
export interface Holder {
  /** Of a message that has not arrived whole. */
  readonly incompleteBytes: number;
  /** Whether it may hold more was decided anew: `mayHold` tells. */
  budgetChanged(): void;
  /** Its message took too long to become whole, or would go beyond the bound: it is to free what it holds of it, soon. */
  stalled(): void;
}

/** What a process, a part, a kind of peer or an address holds. */
export class Budget {
  readonly #parent: Budget | undefined;
  /** This one, the one above, and so on to the process. */
  readonly #upwards: readonly Budget[];
  readonly #name: string;
  readonly #onFull: () => void;
  /** Those below that have an account. */
  readonly #members = new Set<Budget | Account>();
  readonly #named = new Map<string, Budget>();
  #bytes = 0;
  #reservedBytes = 0;
  #bound = Infinity;
  /** Where `#bytes` begins to be too much, and where it no longer is. */
  #high = Infinity;
  #low = Infinity;
  /** What is shared evenly while it is too much. */
  #fair = Infinity;
  #isFull = false;
  /** While it is full: the account whose message may become whole. */
  #favourite: Account | undefined;
  /** The account that was told `stalled` last. */
  #ending: Account | undefined;

  /** @param onFull called when half of the bound is reached: `endStalled` is to be called some time later */
  constructor(parent?: Budget, { name = "", onFull = () => {} }: { name?: string; onFull?: () => void } = {}) {
    this.#parent = parent;
    this.#upwards = [this, ...(parent === undefined ? [] : parent.#upwards)];
    this.#name = name;
    this.#onFull = onFull;
  }

  /** All that is kept, with what is reserved. */
  get bytes(): number {
    return this.#bytes + this.#reservedBytes;
  }

  /** Whether some are refused. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Whether everybody is refused. */
  get isExhausted(): boolean {
    return this.bytes >= this.#bound || this.#parent?.isExhausted === true;
  }

  /** @param bytes 0: no bound */
  setBound(bytes: number): void {
    this.#bound = bytes === 0 ? Infinity : bytes;
    this.#measure();
  }

  /** The budget of a name below this one. It exists as long as it has accounts. */
  child(name: string): Budget {
    const known = this.#named.get(name);
    if (known !== undefined) return known;
    const made = new Budget(this, { name });
    this.#named.set(name, made);
    return made;
  }

  /** More is kept. */
  charge(bytes: number): void {
    for (const budget of this.#upwards) {
      budget.#bytes += bytes;
      if (budget.#isFull || budget.#bytes >= budget.#high) budget.#weigh();
    }
  }

  /** Less is kept. */
  release(bytes: number): void {
    this.charge(-bytes);
  }

  /** What is kept whatever anybody sends, such as a connection itself: it leaves less to be shared. Negative: it is no longer. */
  reserve(bytes: number): void {
    this.#reservedBytes += bytes;
    this.#measure();
    this.#parent?.reserve(bytes);
  }

  /** Whether what all may share is used up: the rest is for messages that are to become whole. */
  get isCrowded(): boolean {
    return this.#bytes >= this.#high + this.#fair || this.#parent?.isCrowded === true;
  }

  /** Whether a member that is to come is below its even share. */
  hasShareFor(name: string): boolean {
    if (!this.#isFull) return true;
    const member = this.#named.get(name);
    return (member?.bytes ?? 0) < this.#fair / (this.#members.size + (member === undefined ? 1 : 0));
  }

  /**
   * Tells the account that was to complete its message and has not, unless it was chosen after the last call.
   *
   * @returns the one chosen now
   */
  endStalled(chosenBefore: Account | undefined): Account | undefined {
    if (!this.#isFull) return undefined;
    if (this.#favourite !== undefined && this.#favourite === chosenBefore) this.#endMost();
    return this.#favourite;
  }

  /** @internal */
  enter(member: Budget | Account): void {
    if (this.#members.size === 0) this.#parent?.enter(this);
    this.#members.add(member);
  }

  /** @internal */
  leave(member: Budget | Account): void {
    if (!this.#members.delete(member)) return;
    if (member instanceof Budget) this.#named.delete(member.#name);
    if (this.#members.size === 0) this.#parent?.leave(this);
  }

  /** @internal An account below is gone. */
  forget(account: Account): void {
    if (this.#ending === account) this.#ending = undefined;
    if (this.#favourite === account) this.#choose();
    this.#parent?.forget(account);
  }

  /** @internal Whether this or one above is full. */
  get isPressed(): boolean {
    return this.#isFull || this.#parent?.isPressed === true;
  }

  /** @internal Whether an account of this budget may hold so many bytes; `completing`: it, if its message is the one to become whole. */
  allows(bytes: number, completing?: Account): boolean {
    for (const budget of this.#upwards) {
      if (!budget.#isFull || (completing !== undefined && completing === budget.#favourite)) continue;
      if (budget.bytes >= budget.#bound || bytes >= this.#shareBelow(budget)) return false;
    }
    return true;
  }

  /** @internal While it is full: more has come of an account's message, or it has become whole. */
  incompleteChanged(account: Account, completed: boolean): void {
    for (const budget of this.#upwards) {
      if (!budget.#isFull) continue;
      const isFavourite = account === budget.#favourite;
      const isLarge = budget.#favourite === undefined && account.incompleteBytes > this.#shareBelow(budget);
      if (isFavourite ? completed : isLarge) budget.#choose();
    }
  }

  /** What each member may hold of what a full budget above has to share; any number where this one is below its own share. */
  #shareBelow(full: Budget): number {
    if (this === full) return this.#fair / this.#members.size;
    const share = this.#parent!.#shareBelow(full);
    return this.bytes < share ? Infinity : share / this.#members.size;
  }

  /** Tells the account of whose message most has arrived, and no other before its memory is free. */
  #endMost(): void {
    if (this.#ending !== undefined && this.#ending.incompleteBytes > 0) return;
    if (this.#favourite === undefined) this.#choose();
    this.#ending = this.#favourite;
    this.#ending?.holder.stalled();
  }

  #measure(): void {
    const room = Math.max(0, this.#bound - this.#reservedBytes);
    this.#high = room / 2;
    this.#low = room * (3 / 8);
    this.#fair = room / 4;
    this.#weigh();
  }

  /** Whether it has become too much, or no longer is. */
  #weigh(): void {
    if (this.#isFull ? this.#bytes < this.#low : this.#bytes >= this.#high) this.#turn();
    if (this.#isFull && this.bytes >= this.#bound) this.#endMost();
  }

  #turn(): void {
    this.#isFull = !this.#isFull;
    this.#press();
    this.#choose();
    if (this.#isFull) this.#onFull();
    for (const { holder } of this.#accounts()) holder.budgetChanged();
  }

  #press(): void {
    const { isPressed } = this;
    for (const member of this.#members)
      if (member instanceof Budget) member.#press();
      else member.isPressed = isPressed;
  }

  #choose(): void {
    this.#favourite = undefined;
    if (!this.#isFull) return;
    let most = 0;
    for (const account of this.#accounts()) {
      const { incompleteBytes } = account;
      if (incompleteBytes <= most || account === this.#ending) continue;
      if (incompleteBytes <= account.budget.#shareBelow(this)) continue;
      most = incompleteBytes;
      this.#favourite = account;
    }
    this.#favourite?.holder.budgetChanged();
  }

  *#accounts(): Generator<Account> {
    for (const member of this.#members)
      if (member instanceof Budget) yield* member.#accounts();
      else yield member;
  }
}

/** What all parts of this process keep. It has no bound unless it is given one; each part has its own. */
export const PROCESS_BUDGET: Budget = new Budget();

/** What one part keeps: for strangers, who have not shown yet who they are, and for those who are known. */
export class PartBudget extends Budget {
  readonly #strangers = new Budget(this);
  readonly #known = new Budget(this);

  override setBound(bytes: number): void {
    super.setBound(bytes);
    this.#strangers.setBound(bytes * STRANGERS_SHARE);
  }

  /** Whether one stranger more may come in from an address. */
  admits(address: string): boolean {
    return !this.isExhausted && !this.#strangers.isCrowded && this.#strangers.hasShareFor(address);
  }

  /** An account for a peer. */
  open(who: "stranger" | "known", address: string, holder: Holder): Account {
    const group = who === "stranger" ? this.#strangers : this.#known;
    return new Account(group.child(address), holder);
  }
}

/** What is kept for one peer. */
export class Account {
  /** @internal */
  readonly budget: Budget;
  /** @internal */
  readonly holder: Holder;
  /** @internal Whether some budget above is full. */
  isPressed: boolean;
  #bytes = 0;

  constructor(budget: Budget, holder: Holder) {
    this.budget = budget;
    this.holder = holder;
    this.isPressed = budget.isPressed;
    budget.enter(this);
  }

  get incompleteBytes(): number {
    return this.holder.incompleteBytes;
  }

  /** What is kept now: charges what has come, releases what has gone. */
  set(bytes: number): void {
    const more = bytes - this.#bytes;
    if (more === 0) return;
    this.#bytes = bytes;
    this.budget.charge(more);
  }

  /** Whether its peer may make us keep more, where it has so many bytes of this kind. */
  mayHold(bytes: number): boolean {
    return !this.isPressed || this.budget.allows(bytes);
  }

  /** The same of what is read, which a message that is to become whole may be part of. */
  mayRead(bytes: number): boolean {
    return !this.isPressed || this.budget.allows(bytes, this);
  }

  /** More has come of a message that is not whole, or one has become so. */
  incompleteChanged(completed: boolean): void {
    if (this.isPressed) this.budget.incompleteChanged(this, completed);
  }

  /** It has no part in the sharing any more; what is set afterwards still counts. */
  leave(): void {
    this.budget.leave(this);
    this.budget.forget(this);
  }
}
