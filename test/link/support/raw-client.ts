/** A client of session mode written by hand, which may say what it likes. */
import { createHmac } from "node:crypto";
import { connect as connectSocket } from "node:net";
import type { Socket } from "node:net";
import { challengeBody, helloBody } from "../../../src/link/session/body.ts";
import type { Hello } from "../../../src/link/session/body.ts";
import { encodeFrame, SessionFrameDecoder } from "../../../src/link/session/session-frame.ts";
import type { SessionFrame } from "../../../src/link/session/session-frame.ts";

/** A raw connection that reads frames. */
export class RawClient {
  readonly socket: Socket;
  readonly #decoder = new SessionFrameDecoder({ messageBytesMax: 1_000_000 });
  readonly #frames: SessionFrame[] = [];
  #wake = (): void => {};
  readonly closed: Promise<void>;

  constructor(port: number) {
    this.socket = connectSocket(port, "127.0.0.1");
    this.socket.on("error", () => {});
    this.closed = new Promise((resolve) => this.socket.on("close", () => resolve()));
    this.socket.on("data", (chunk: Buffer) => {
      this.#decoder.push(chunk);
      for (let frame = this.#decoder.next(); frame; frame = this.#decoder.next()) this.#frames.push(frame);
      this.#wake();
    });
  }

  async next(): Promise<SessionFrame> {
    while (this.#frames.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    return this.#frames.shift()!;
  }

  /** Introduces itself; returns the answer. */
  async hello(hello: Partial<Hello> = {}, token?: string): Promise<SessionFrame> {
    const { nonce } = challengeBody.decode((await this.next()).body);
    const open = helloBody.encode({ ...HELLO, ...hello });
    const proof =
      token === undefined
        ? []
        : createHmac("sha256", token).update("client").update(nonce).update(helloBody.proven(open, 0)).digest();
    this.socket.write(encodeFrame("HELLO", helloBody.encode({ ...HELLO, proof: Uint8Array.from(proof), ...hello })));
    return this.next();
  }
}

const NONE = { done: 0, rejects: new Map<number, string>() };
export const HELLO: Hello = {
  version: 1,
  nonce: new Uint8Array(16),
  sessionId: Uint8Array.from({ length: 16 }, (_, index) => index),
  resume: false,
  terms: { arrived: 0, receipt: NONE, messageBytesMax: 1000, window: 100, windowBytes: 100_000 },
  heartbeatMs: 0,
  name: "stranger",
  will: undefined,
  proof: new Uint8Array(0),
};
