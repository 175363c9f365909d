/**
 * ○ A portion of tasks as one buffer, which SQLite itself puts together: a row that is fetched costs more than what is in it. For each task
 * id u64, checksums u32 of head and state, their lengths u32, and both; big-endian. The store's thread puts in the place of each sum
 * whether it is wrong.
 */
import type { StoredTask } from "../store.ts";

const HEAD_SUM_AT = 8;
const STATE_SUM_AT = 12;
const HEAD_LENGTH_AT = 16;
const STATE_LENGTH_AT = 20;
const HEAD_AT = 24;

/**
 * The next portion after an id, at most so many tasks. A damaged column may have any type: nothing of it may shift what follows, or leave
 * the row out, as NULL would.
 */
export const NEXT_PORTION = `
  SELECT CAST(group_concat(
    unhex(printf('%016x%08x%08x%08x%08x', id, head_sum & 0xffffffff, state_sum & 0xffffffff, octet_length(head), octet_length(state)))
      || coalesce(head, x'') || coalesce(state, x''), '') AS BLOB)
  FROM (SELECT id, head, state, head_sum, state_sum FROM task WHERE id > ? ORDER BY id LIMIT ?)
`;

/**
 * Checks the sums.
 *
 * @param isWhole whether this sum is a blob's
 * @returns the last id; NaN when one is no number that a task can have
 */
export function checkPortion(bytes: Uint8Array, isWhole: (blob: Uint8Array, sum: number, id: number) => boolean): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let id = 0;
  for (let at = 0; at < bytes.length;) {
    id = idAt(view, at);
    const stateAt = at + HEAD_AT + view.getUint32(at + HEAD_LENGTH_AT);
    const end = stateAt + view.getUint32(at + STATE_LENGTH_AT);
    const headWrong = !isWhole(bytes.subarray(at + HEAD_AT, stateAt), view.getUint32(at + HEAD_SUM_AT), id);
    const stateWrong = !isWhole(bytes.subarray(stateAt, end), view.getUint32(at + STATE_SUM_AT), id);
    view.setUint32(at + HEAD_SUM_AT, Number(headWrong));
    view.setUint32(at + STATE_SUM_AT, Number(stateWrong));
    if (!Number.isSafeInteger(id)) return NaN;
    at = end;
  }
  return id;
}

/** The tasks of a portion that was checked; heads and states are views into it. */
export function decodePortion(bytes: Uint8Array): StoredTask[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const tasks: StoredTask[] = [];
  for (let at = 0; at < bytes.length;) {
    const stateAt = at + HEAD_AT + view.getUint32(at + HEAD_LENGTH_AT);
    const end = stateAt + view.getUint32(at + STATE_LENGTH_AT);
    const id = idAt(view, at);
    const head = bytes.subarray(at + HEAD_AT, stateAt);
    const state = bytes.subarray(stateAt, end);
    const damaged = { head: view.getUint32(at + HEAD_SUM_AT) === 1, state: view.getUint32(at + STATE_SUM_AT) === 1 };
    tasks.push(damaged.head || damaged.state ? { id, head, state, damaged } : { id, head, state });
    at = end;
  }
  return tasks;
}

function idAt(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
}
