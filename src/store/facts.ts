/** ○ Which facts of a task are kept (store.ts): what any store does with one more. */
import type { Fact } from "./store.ts";

/** The errors of a task's last 20 attempts are kept: what follows them says the same again. */
export const ERRORS_MAX = 20;

/** With one more: an error after the others, of which the oldest go; anything else where the one of its name was. */
export function withFact(facts: readonly Fact[], { kind, name, payload }: Fact): readonly Fact[] {
  const fact = { kind, name, payload: payload.slice() };
  if (kind !== "error") {
    const at = facts.findIndex((each) => each.kind === kind && each.name === name);
    return at === -1 ? [...facts, fact] : facts.with(at, fact);
  }
  const surplus = facts.filter((each) => each.kind === "error").length + 1 - ERRORS_MAX;
  const oldest = surplus > 0 ? facts.find((each) => each.kind === "error") : undefined;
  return [...facts.filter((each) => each !== oldest), fact];
}

export function factBytes(facts: readonly Fact[]): number {
  let bytes = 0;
  for (const { name, payload } of facts) bytes += 9 + name.length + payload.length;
  return bytes;
}

/** The errors among them, as text. */
export function errorTexts(facts: readonly Fact[] = []): string[] {
  return facts.filter(({ kind }) => kind === "error").map(({ payload }) => decoder.decode(payload));
}

const decoder = new TextDecoder();
