/**
 * A bad line in front of a server: bytes wait half a round trip on their way, no more than so many pass in a second, and connections are
 * cut: with a reset, or in silence, which neither side hears of for a while.
 */
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

export interface Line {
  readonly rttMs: number;
  /** In each direction; Infinity for as fast as it goes. */
  readonly bytesPerSecond: number;
}

/** How long a cut in silence lasts, until the line resets what it carried. */
const SILENT_MS = 1500;

export class Relay {
  readonly #server: Server;
  readonly #line: Line;
  readonly #pairs = new Set<{ near: Socket; far: Socket; isSilent: boolean }>();

  constructor(port: number, line: Line) {
    this.#line = line;
    this.#server = createServer((near) => {
      const far = connect(port, "127.0.0.1");
      const pair = { near, far, isSilent: false };
      this.#pairs.add(pair);
      for (const socket of [near, far]) {
        socket.setNoDelay(true);
        socket.on("error", () => {});
        socket.on("close", () => {
          this.#pairs.delete(pair);
          near.destroy();
          far.destroy();
        });
      }
      this.#carry(near, far, pair);
      this.#carry(far, near, pair);
    });
  }

  async start(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  cut(how: "reset" | "silent"): void {
    for (const pair of this.#pairs) {
      pair.isSilent = true;
      if (how === "reset") this.#reset(pair);
      else setTimeout(() => this.#reset(pair), SILENT_MS);
    }
  }

  stop(): void {
    for (const { near, far } of this.#pairs) {
      near.destroy();
      far.destroy();
    }
    this.#server.close();
  }

  #reset({ near, far }: { near: Socket; far: Socket }): void {
    near.resetAndDestroy();
    far.resetAndDestroy();
  }

  #carry(from: Socket, to: Socket, pair: { readonly isSilent: boolean }): void {
    const { rttMs, bytesPerSecond } = this.#line;
    let freeAtMs = 0;
    // One after the other: timers of nearly the same moment do not fire in the order in which they were set.
    const waiting: { readonly bytes: Buffer | undefined; readonly atMs: number }[] = [];
    const deliver = (): void => {
      for (let next = waiting[0]; next && next.atMs <= performance.now(); next = waiting[0]) {
        waiting.shift();
        if (pair.isSilent || !to.writable) continue;
        if (next.bytes) to.write(next.bytes);
        else to.end();
      }
      if (waiting.length > 0) setTimeout(deliver, Math.max(0, waiting[0]!.atMs - performance.now()));
      else from.resume();
    };
    const put = (bytes: Buffer | undefined): void => {
      waiting.push({ bytes, atMs: freeAtMs + rttMs / 2 });
      if (waiting.length === 1) setTimeout(deliver, rttMs / 2);
    };
    from.on("data", (bytes: Buffer) => {
      const nowMs = performance.now();
      freeAtMs = Math.max(freeAtMs, nowMs) + (bytes.length / bytesPerSecond) * 1000;
      // What is ahead of a slow line fills the sender's own buffers, as on a real one.
      if (freeAtMs - nowMs > 200) from.pause();
      put(bytes);
    });
    from.on("end", () => {
      freeAtMs = Math.max(freeAtMs, performance.now());
      put(undefined);
    });
  }
}
