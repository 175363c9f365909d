/** Watches how late a server's own clock ticks, as `stats` tells its time: items live as much longer. On a busy machine that is seen here alone. */
import { connect, type Socket } from "node:net";

/** 50 ms: so exact is what is known of a tick. */
const LOOK_MS = 50;

export interface LateTick {
  readonly startMs: number;
  readonly endMs: number;
  readonly lagMs: number;
}

export class ServerClock {
  readonly #at: { host: string; port: number };
  readonly #late: (tick: LateTick) => void;
  readonly #looking: NodeJS.Timeout;
  #socket: Socket | undefined;
  #text = "";
  #second = -Infinity;
  /** When second 0 began, by the earliest tick since the connection was made: ms. */
  #zeroMs = Infinity;

  /** @param late told of each tick with how late it came, by the earliest tick before */
  constructor(address: string, late: (tick: LateTick) => void) {
    const [host, port] = address.split(":") as [string, string];
    this.#at = { host, port: Number(port) };
    this.#late = late;
    this.#looking = setInterval(() => this.#look(), LOOK_MS);
  }

  close(): void {
    clearInterval(this.#looking);
    this.#socket?.destroy();
  }

  #look(): void {
    if (this.#socket?.writable) {
      this.#socket.write("stats\r\n");
      return;
    }
    if (this.#socket?.connecting) return;
    this.#text = "";
    // After a restart it is another clock.
    this.#second = -Infinity;
    this.#zeroMs = Infinity;
    this.#socket = connect(this.#at)
      .setEncoding("latin1")
      .on("data", (text: string) => this.#read(text))
      .on("error", () => {}); // it was killed: the next look connects
  }

  #read(text: string): void {
    this.#text += text;
    const end = this.#text.lastIndexOf("END\r\n");
    if (end === -1) return;
    const times = [...this.#text.slice(0, end).matchAll(/^STAT time (\d+)\r$/gm)];
    this.#text = this.#text.slice(end + "END\r\n".length);
    const second = Number(times.at(-1)?.[1]);
    if (!(second > this.#second)) return;
    const isFirst = this.#second === -Infinity;
    this.#second = second;
    // The first may have begun long before.
    if (isFirst) return;
    const nowMs = performance.now();
    this.#zeroMs = Math.min(this.#zeroMs, nowMs - second * 1000);
    const dueMs = this.#zeroMs + second * 1000;
    this.#late({ startMs: dueMs, endMs: nowMs, lagMs: nowMs - dueMs });
  }
}
