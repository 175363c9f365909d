/**
 * ○ How many bytes of parts may be under way, found from how long they take: on a thin line little enough that an urgent message soon
 * passes, on a wide one as much as the peer's window. Delays near the shortest seen make room for more, delays far above it for less
 * (as LEDBAT, RFC 6817, finds its rate).
 */
import { PART_DELAY_LONG_MS, PART_DELAY_SHORT_MS, PART_WINDOW_FIRST, PART_WINDOW_LEAST } from "../limits.ts";

export class PartWindow {
  #window = PART_WINDOW_FIRST;
  #writtenBytes = 0;
  #toldBytes = 0;
  #leastMs = Infinity;
  #shrunkAtBytes = 0;
  /** When so many bytes had been written, for those that the peer has not told of. */
  #marks: { readonly bytes: number; readonly atMs: number }[] = [];
  #most = PART_WINDOW_FIRST;

  /** True while as much is under way as should be. */
  get full(): boolean {
    return this.#writtenBytes - this.#toldBytes >= this.#window;
  }

  /** @param windowBytes the most that may be under way */
  wrote(bytes: number, { nowMs, windowBytes }: { nowMs: number; windowBytes: number }): void {
    this.#most = windowBytes;
    this.#writtenBytes += bytes;
    this.#marks.push({ bytes: this.#writtenBytes, atMs: nowMs });
  }

  /** The peer has so many bytes more. @param nowMs Infinity when the time says nothing */
  told(bytes: number, nowMs: number): void {
    this.#toldBytes += bytes;
    let sentMs: number | undefined;
    while (this.#marks.length > 0 && this.#marks[0]!.bytes <= this.#toldBytes) sentMs = this.#marks.shift()!.atMs;
    if (sentMs === undefined || nowMs === Infinity) return;
    const delayMs = nowMs - sentMs;
    this.#leastMs = Math.min(this.#leastMs, delayMs);
    if (delayMs <= this.#leastMs + PART_DELAY_SHORT_MS) this.#window = Math.min(this.#most, this.#window + bytes);
    else if (delayMs > this.#leastMs + PART_DELAY_LONG_MS && this.#toldBytes >= this.#shrunkAtBytes) {
      this.#window = Math.max(PART_WINDOW_LEAST, this.#window / 2);
      this.#shrunkAtBytes = this.#writtenBytes; // what is under way was written before this
    }
  }
}
