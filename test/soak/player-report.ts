/** ○ What the soak's players tell their conductor: one JSON object a line on stdout, written before the player goes on. */

export type PlayerReport =
  /** A submission was acknowledged. */
  | { readonly kind: "added"; readonly id: string; readonly body: string }
  /** The sender was told that this message has arrived. */
  | { readonly kind: "confirmed"; readonly sender: string; readonly number: number }
  /** The server's application was given this message. */
  | { readonly kind: "received"; readonly sender: string; readonly number: number }
  /** A promise was broken. */
  | { readonly kind: "wrong"; readonly text: string }
  /** Operations since the last such line. */
  | { readonly kind: "count"; readonly what: string; readonly count: number }
  /** From now on it knows what SIGTERM means. */
  | { readonly kind: "ready" }
  /** Where the player listens. */
  | { readonly kind: "listening"; readonly port: number };

/** The players' common world. */
export const KEYS = 20_000;

export function keyOf(number: number): string {
  return `soak:${number}`;
}

/** A value names its key, and its length follows from the key: whoever reads it can tell that it is whole and the right one. */
export function valueOf(number: number): string {
  return `${keyOf(number)}|`.padEnd(40 + ((number * 37) % 1500), "x");
}
