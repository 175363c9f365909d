/** ○ Some keys of a `get` line, cut out of it together so that what they need can be fetched from memory side by side. */
import { SPACE } from "../../../core/ascii.ts";
import { KEY_BYTES_MAX } from "../../store/limits.ts";

/** 16: more than the machine fetches at a time; and a miss costs no more than a few words of bookkeeping. */
const KEYS_MAX = 16;
/** What 16 keys and the blanks between them take at most; a line of blanks alone ends a batch, too. */
const BATCH_BYTES_MAX = KEYS_MAX * (KEY_BYTES_MAX + 1);

export class KeyBatch {
  readonly starts = new Int32Array(KEYS_MAX);
  readonly lengths = new Int32Array(KEYS_MAX);
  readonly hashes = new Int32Array(KEYS_MAX);
  count = 0;
  /** One of them exceeds the longest key. */
  tooLong = false;

  /** Cuts keys from `at` on; returns where the next one starts, or the line's end. */
  cut(bytes: Uint8Array, start: number, lineEnd: number): number {
    const { starts, lengths } = this;
    let count = 0;
    let at = start;
    this.tooLong = false;
    const end = Math.min(lineEnd, start + BATCH_BYTES_MAX);
    while (at < end && count < KEYS_MAX) {
      let keyEnd = at;
      const farthest = Math.min(lineEnd, at + KEY_BYTES_MAX + 1);
      while (keyEnd < farthest && bytes[keyEnd] !== SPACE) keyEnd += 1;
      starts[count] = at;
      lengths[count] = keyEnd - at;
      if (keyEnd - at > KEY_BYTES_MAX) {
        this.tooLong = true;
        break;
      }
      if (keyEnd > at) count += 1;
      at = keyEnd + 1;
    }
    this.count = count;
    return Math.min(at, lineEnd);
  }
}
