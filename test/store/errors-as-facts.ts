/** What stores keep of an attempt that failed, as they are told it. */
import type { Fact } from "../../src/store/store.ts";

export function errorFact(text: string): Fact {
  return { kind: "error", name: "", payload: new TextEncoder().encode(text) };
}
