/**
 * ● What has options: sockets and contexts. Options are accessors on the prototypes of the types that have them, over one object of
 * values; a name that no option has cannot be set, since the objects are sealed. Invariant: a value that its rule refuses is never kept.
 */
import { wrongType, zmqError } from "../errors.ts";
import type { OptionRules } from "../socket-core/option-rules.ts";

/** A settings object, seen by option name. */
type Values = Record<string, unknown>;

export abstract class OptionHolder {
  /** @internal The values as they are now. */
  readonly settings: object;
  readonly #rules: OptionRules;

  /** @internal */
  protected constructor(settings: object, rules: OptionRules) {
    this.settings = settings;
    this.#rules = rules;
  }

  /** @internal Checks and keeps a value. @throws TypeError, UsageError EINVAL */
  setOption(name: string, value: unknown): void {
    const rule = this.#rules[name]!;
    (this.settings as Values)[name] = rule.check(name, value);
    this.optionChanged(rule.atOnce === true);
  }

  /** @internal A value was set. */
  protected optionChanged(_atOnce: boolean): void {}

  /** @internal Seals a new object, then sets what its constructor was given; undefined: leaves it as it is. */
  protected setOptions(options: object): void {
    Object.preventExtensions(this);
    for (const [name, value] of Object.entries(options)) {
      if (name !== "context" && value !== undefined) (this as Values)[name] = value;
    }
  }

  /** @internal As in `zeromq`, for programs that know libzmq's numbers. @throws EINVAL for a number that is no option here */
  protected getBoolOption(id: number): boolean {
    return Boolean(this.#get(id));
  }

  /** @internal */
  protected setBoolOption(id: number, value: boolean): void {
    this.#set(id, value);
  }

  /** @internal */
  protected getInt32Option(id: number): number {
    return Number(this.#get(id));
  }

  /** @internal */
  protected setInt32Option(id: number, value: number): void {
    this.#set(id, value);
  }

  /** @internal */
  protected getUint32Option(id: number): number {
    return Number(this.#get(id));
  }

  /** @internal */
  protected setUint32Option(id: number, value: number): void {
    this.#set(id, value);
  }

  /** @internal */
  protected getInt64Option(id: number): number {
    return Number(this.#get(id));
  }

  /** @internal */
  protected setInt64Option(id: number, value: number): void {
    this.#set(id, value);
  }

  /** @internal */
  protected getUint64Option(id: number): number {
    return Number(this.#get(id));
  }

  /** @internal */
  protected setUint64Option(id: number, value: number): void {
    this.#set(id, value);
  }

  /** @internal */
  protected getStringOption(id: number): string | null {
    const value = this.#get(id) as string | Uint8Array | null;
    return value === null ? null : value.toString();
  }

  /** @internal */
  protected setStringOption(id: number, value: string | Uint8Array | null): void {
    this.#set(id, value);
  }

  #get(id: number): unknown {
    return (this as unknown as Values)[this.#nameOf(id)];
  }

  #set(id: number, value: unknown): void {
    (this as unknown as Values)[this.#nameOf(id)] = value;
  }

  #nameOf(id: number): string {
    if (typeof id !== "number") throw wrongType("Identifier must be a number");
    const name = Object.keys(this.#rules).find((name) => this.#rules[name]!.id === id && name in this);
    if (name === undefined) throw zmqError("EINVAL", `Cannot use option number ${id}: there is none here`);
    return name;
  }
}

/** Gives a class's instances options, as accessors. */
export function defineOptions(prototype: OptionHolder, names: readonly string[]): void {
  for (const name of names) {
    Object.defineProperty(prototype, name, {
      configurable: true,
      enumerable: true,
      get(this: OptionHolder) {
        return (this.settings as Values)[name];
      },
      set(this: OptionHolder, value: unknown) {
        this.setOption(name, value);
      },
    });
  }
}
