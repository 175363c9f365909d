/**
 * ○ A socket's endpoints: those bound, those connected, and how much of them is still open. Invariant: `whenGone` resolves once,
 * after `closeAll`, when the last of what was opened has been closed.
 */
import { zmqError } from "../errors.ts";

/** A bound endpoint. */
export interface BoundEndpoint {
  /** As the caller wrote it; it is found under the one that came of it too. */
  readonly address: string;
  readonly close: (lingerMs: number) => Promise<void> | void;
}

/** A connected endpoint. */
export interface ConnectedEndpoint {
  readonly close: (lingerMs: number) => void;
}

export class OpenEndpoints {
  readonly #bound = new Map<string, BoundEndpoint>();
  readonly #connected = new Map<string, ConnectedEndpoint[]>();
  readonly #onGone: () => void;
  #openCount = 0;
  #closing = false;

  /** @param onGone after `closeAll`: the last is closed */
  constructor(onGone: () => void) {
    this.#onGone = onGone;
  }

  /** One endpoint or connection more is open; `closedOne` follows. */
  opened(): void {
    this.#openCount += 1;
  }

  closedOne(): void {
    this.#openCount -= 1;
    if (this.#closing && this.#openCount === 0) this.#onGone();
  }

  /** @param shown the address with the port that was taken */
  bound(shown: string, endpoint: BoundEndpoint): void {
    this.#bound.set(shown, endpoint);
  }

  /** Takes a bound endpoint out. @throws ENOENT when there is none */
  unbound(address: string): BoundEndpoint {
    for (const [shown, endpoint] of this.#bound) {
      if (shown !== address && endpoint.address !== address) continue;
      this.#bound.delete(shown);
      return endpoint;
    }
    throw zmqError("ENOENT", `Cannot unbind ${address}: it is not bound`);
  }

  connected(address: string, endpoint: ConnectedEndpoint): void {
    const list = this.#connected.get(address);
    if (list) list.push(endpoint);
    else this.#connected.set(address, [endpoint]);
  }

  /** Takes all endpoints connected to an address out. @throws ENOENT when there are none */
  disconnected(address: string): readonly ConnectedEndpoint[] {
    const list = this.#connected.get(address);
    if (list === undefined) throw zmqError("ENOENT", `Cannot disconnect ${address}: it is not connected`);
    this.#connected.delete(address);
    return list;
  }

  /** Closes them all; what was opened tells its end by `closedOne`. */
  closeAll(lingerMs: number): void {
    this.#closing = true;
    this.opened(); // so that the end is told once, after the loops
    for (const { close } of this.#bound.values()) void close(lingerMs);
    for (const list of this.#connected.values()) for (const { close } of list) close(lingerMs);
    this.#bound.clear();
    this.#connected.clear();
    this.closedOne();
  }
}
