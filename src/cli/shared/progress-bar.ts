/** ● A progress bar on stderr, where that is a terminal; elsewhere nothing is drawn. */

const BAR_CHARS = 30;
/** 100 ms between two drawings: what moves faster cannot be read. */
const REDRAW_MS = 100;

export class ProgressBar {
  readonly #isShown = process.stderr.isTTY;
  #drawnMs = -Infinity;

  get isShown(): boolean {
    return this.#isShown;
  }

  /** @param share how much is done, 0 to 1 @param text what stands beside it */
  draw(share: number, text: string, nowMs: number): void {
    if (!this.#isShown || nowMs - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = nowMs;
    const done = Math.round(Math.min(1, Math.max(0, share)) * BAR_CHARS);
    process.stderr.write(`\r${"█".repeat(done).padEnd(BAR_CHARS, "░")} ${text}\u001B[K`);
  }

  /** Takes it away, so that the result stands in its place. */
  clear(): void {
    if (this.#drawnMs > -Infinity) process.stderr.write("\r\u001B[K");
    this.#drawnMs = -Infinity;
  }
}
