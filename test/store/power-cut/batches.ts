/** ○ The batches that writer-child.ts writes, and what a store holds after so many of them. */
import type { StoreOp } from "../../../src/store/store.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Tasks a batch. */
const TASKS = 40;
/** Bodies fill a log of 16 MB after some hundred batches, so that it is folded into the file and begun anew. */
const BODY = "x".repeat(1500);

/** Forty new tasks; of those of the batch before every second ends and every fifth goes. */
export function batchOf(batch: number): readonly StoreOp[] {
  const ops: StoreOp[] = [];
  for (let index = 0; index < TASKS; index += 1) {
    const before = (batch - 2) * TASKS + index + 1;
    if (batch > 1 && index % 5 === 0) ops.push({ kind: "remove", id: before });
    else if (batch > 1 && index % 2 === 0) {
      ops.push({ kind: "end", id: before, state: bytes("ended"), result: bytes(`result ${before}`) });
    }
  }
  for (let index = 0; index < TASKS; index += 1) {
    const id = (batch - 1) * TASKS + index + 1;
    ops.push({ kind: "add", id, head: bytes(`head ${id}`), state: bytes("waiting"), body: bytes(`${BODY} ${id}`) });
  }
  return ops;
}

/** What is kept of each task after so many batches: its state and its body, as text. */
export function keptAfter(batches: number): Map<number, string> {
  const kept = new Map<number, string>();
  const text = (part: Uint8Array): string => new TextDecoder().decode(part);
  for (let batch = 1; batch <= batches; batch += 1) {
    for (const op of batchOf(batch)) {
      if (op.kind === "add") kept.set(op.id, `${text(op.state)} ${text(op.body)}`);
      else if (op.kind === "end") kept.set(op.id, `${text(op.state)} ${text(op.result)}`);
      else if (op.kind === "remove") kept.delete(op.id);
    }
  }
  return kept;
}
