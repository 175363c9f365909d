/**
 * ○ A part's settings as a table, and the names that follow from it. `bytesMax` of the part "queue" is `queue.maxBytes` in a file,
 * `HOLDFAST_QUEUE_MAX_BYTES` in the environment, `--queue-max-bytes` where several parts run together and `--max-bytes` where the part
 * runs alone; the table may name a flag that was there before.
 */
import type { Kind } from "./kinds.ts";

/** One setting. */
export interface Setting<T = unknown> {
  readonly kind: Kind<T>;
  /** What it is, in the words of --help. */
  readonly text: string;
  /** What holds when nobody says anything, as one would write it. */
  readonly default?: string;
  /** Its flag where several parts run together, without dashes. */
  readonly together?: string;
  /** Its flag where the part runs alone. */
  readonly alone?: string;
  /** Its environment variable, where one was there before. */
  readonly variable?: string;
  /** A secret that no flag may hold: other users read the list of processes. It has a `…-file` flag only. */
  readonly onlyInFile?: true;
}

/** The settings of a part, by their names in code. */
export type Settings = Readonly<Record<string, Setting>>;

/** A part with its settings. */
export interface Table<S extends Settings = Settings, P extends string = string> {
  readonly part: P;
  readonly settings: S;
}

type ValueOf<S> = S extends { readonly kind: Kind<infer T> } ? T : never;
type WithDefault<S extends Settings> = {
  [K in keyof S]: S[K] extends { readonly default: string } ? K : never;
}[keyof S];

/** What a table's settings come to; those without a default may be absent. */
export type Values<S extends Settings> = { readonly [K in WithDefault<S>]: ValueOf<S[K]> } & {
  readonly [K in Exclude<keyof S, WithDefault<S>>]?: ValueOf<S[K]>;
};

/** A setting with all its names. */
export interface NamedSetting {
  readonly setting: Setting;
  readonly part: string;
  readonly key: string;
  /** `queue.maxBytes` */
  readonly name: string;
  /** `HOLDFAST_QUEUE_MAX_BYTES` */
  readonly variable: string;
  /** `queue-max-bytes` or `max-bytes` */
  readonly flag: string;
}

/** @param alone whether the part runs alone: its flags then need not say whose they are */
export function namedSettings({ part, settings }: Table, alone: boolean): NamedSetting[] {
  return Object.entries(settings).map(([key, setting]) => {
    const words = key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    return {
      setting,
      part,
      key,
      name: `${part}.${key}`,
      variable: setting.variable ?? `HOLDFAST_${part}_${words}`.replaceAll("-", "_").toUpperCase(),
      flag: alone ? (setting.alone ?? words) : (setting.together ?? `${part}-${words}`),
    };
  });
}
