/**
 * A peer over any module of the `zeromq` package's shape: that package itself, run as a program
 * (`node node-peer.ts OCTETS_FILE` speaks the lines of peer.py), or Holdfast in the test's own process.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { codeOf, messageOf } from "../../../src/core/errors.ts";
import type { AuthRequest } from "../../../src/zmq/index.ts";
import { type Frame, type Options, type Peer, type Shown, type SocketType, type Step, WAIT_MS } from "./peer.ts";

/** A socket of any type: each lacks what its type cannot do. */
interface AnySocket {
  readonly events: { on(type: string, listener: (event: { error?: { status?: number } }) => void): unknown };
  readonly lastEndpoint: string | null;
  receiveTimeout: number;
  bind(endpoint: string): Promise<void>;
  unbind(endpoint: string): Promise<void>;
  connect(endpoint: string): void;
  close(): void;
  send(frames: Buffer[]): Promise<void>;
  receive(): Promise<Buffer[]>;
  subscribe(prefix: string): void;
  unsubscribe(prefix: string): void;
}

/** What is used of `zeromq` and of `holdfast/zmq`. */
export type ZmqModule = Readonly<Record<SocketType, new (options: object) => AnySocket>>;

const EVENTS = [
  "accept",
  "accept:error",
  "bind",
  "bind:error",
  "connect",
  "connect:delay",
  "connect:retry",
  "close",
  "close:error",
  "disconnect",
  "handshake",
  "handshake:error:protocol",
  "handshake:error:auth",
  "handshake:error:other",
];

interface Opened {
  readonly socket: AnySocket;
  readonly events: string[];
  /** How many events `wait` has read. */
  seen: number;
  wake: () => void;
  bound?: string;
}

export class NodePeer implements Peer {
  readonly #zmq: ZmqModule;
  readonly #octets: Buffer;
  readonly #asks: "authenticate" | "ZAP";
  readonly #opened = new Map<string, Opened>();
  #authenticator: AnySocket | ((request: AuthRequest) => boolean) | undefined;

  /** @param asks how a server's question about a client comes: through Holdfast's option, or over ZAP's inproc socket */
  constructor(zmq: ZmqModule, octets: Buffer, asks: "authenticate" | "ZAP") {
    this.#zmq = zmq;
    this.#octets = octets;
    this.#asks = asks;
  }

  async authenticate(passwords: Readonly<Record<string, string>>, keys: readonly string[]): Promise<void> {
    if (this.#asks === "authenticate") {
      this.#authenticator = ({ username = "", password = "", publicKey = "" }) =>
        keys.includes(publicKey) || passwords[username] === password;
      return;
    }
    const authenticator = new this.#zmq.Router({ linger: 0 });
    await authenticator.bind("inproc://zeromq.zap.01");
    this.#authenticator = authenticator;
    void answerZap(authenticator, passwords, keys);
  }

  async open(name: string, type: SocketType, options: Options): Promise<void> {
    const socket = new this.#zmq[type]({
      ...timeouts(type),
      ...options,
      ...(typeof this.#authenticator === "function" &&
        (options["plainServer"] || options["curveServer"]) && { authenticate: this.#authenticator }),
    });
    const opened: Opened = { socket, events: [], seen: 0, wake: () => {} };
    for (const type of EVENTS) {
      socket.events.on(type, ({ error }) => {
        opened.events.push(type.startsWith("handshake:") ? `${type} ${messageOf(error)}` : type);
        opened.wake();
      });
    }
    this.#opened.set(name, opened);
  }

  async bind(name: string, endpoint: string): Promise<string> {
    const opened = this.#of(name);
    await opened.socket.bind(endpoint);
    opened.bound = opened.socket.lastEndpoint!;
    return opened.bound;
  }

  async connect(name: string, endpoint: string): Promise<void> {
    this.#of(name).socket.connect(endpoint);
  }

  async run(name: string, steps: readonly Step[]): Promise<Shown[]> {
    const { socket } = this.#of(name);
    const received: Shown[] = [];
    let last: Buffer[] = [];
    for (const step of steps) {
      switch (step[0]) {
        case "send":
          await socket.send(step[1].map((frame) => this.#octetsOf(frame)));
          break;
        case "sendOnceRouted":
          await this.#sendOnceRouted(socket, step[1]);
          break;
        case "receive":
          last = await receive(socket, step[1]);
          received.push(last.map((frame) => show(frame)));
          break;
        case "reply":
          await socket.send([...last.slice(0, step[1]), ...step[2].map((frame) => this.#octetsOf(frame))]);
          break;
        case "drain":
          await drain(socket);
          break;
        case "subscribe":
        case "unsubscribe":
          socket[step[0]](step[1]);
          break;
      }
    }
    return received;
  }

  async wait(name: string, event: string): Promise<void> {
    const opened = this.#of(name);
    const late = AbortSignal.timeout(WAIT_MS);
    while (opened.events[opened.seen] !== event) {
      if (opened.seen < opened.events.length) opened.seen += 1;
      else if (late.aborted) throw new Error(`no ${event} among ${opened.events.join(", ")}`);
      else
        await Promise.race([
          new Promise<void>((resolve) => (opened.wake = resolve)),
          sleep(WAIT_MS, undefined, { ref: false }),
        ]);
    }
    opened.seen += 1;
  }

  async close(name: string): Promise<string[]> {
    const { socket, events, bound } = this.#of(name);
    this.#opened.delete(name);
    if (bound) await socket.unbind(bound); // waits until the endpoint is free; libzmq's `close` does not
    socket.close();
    return events;
  }

  async end(): Promise<void> {
    if (typeof this.#authenticator === "object") this.#authenticator.close();
    for (const { socket } of this.#opened.values()) socket.close();
  }

  async #sendOnceRouted(socket: AnySocket, frames: readonly Frame[]): Promise<void> {
    const giveUpAt = Date.now() + WAIT_MS;
    for (;;) {
      try {
        return await socket.send(frames.map((frame) => this.#octetsOf(frame)));
      } catch (error) {
        if (codeOf(error) !== "EHOSTUNREACH" || Date.now() > giveUpAt) throw error;
        await sleep(2);
      }
    }
  }

  #octetsOf(frame: Frame): Buffer {
    return typeof frame === "string" ? Buffer.from(frame, "latin1") : this.#octets.subarray(frame[0], frame[0] + frame[1]);
  }

  #of(name: string): Opened {
    const opened = this.#opened.get(name);
    if (!opened) throw new Error(`no socket ${name}`);
    return opened;
  }
}

/** The timeouts that a type has: those that only send have no other, nor those that only receive. */
function timeouts(type: SocketType): Options {
  const sends = type !== "Pull" && type !== "Subscriber";
  const receives = type !== "Push" && type !== "Publisher";
  return { ...(sends && { sendTimeout: WAIT_MS }), ...(receives && { receiveTimeout: WAIT_MS }) };
}

async function receive(socket: AnySocket, skipped: string | undefined): Promise<Buffer[]> {
  for (;;) {
    const frames = await socket.receive();
    if (frames.length !== 1 || frames[0]!.toString("latin1") !== skipped) return frames;
  }
}

async function drain(socket: AnySocket): Promise<void> {
  const { receiveTimeout } = socket;
  socket.receiveTimeout = 0;
  try {
    for (;;) await socket.receive();
  } catch (error) {
    if (codeOf(error) !== "EAGAIN") throw error;
  } finally {
    socket.receiveTimeout = receiveTimeout;
  }
}

export function show(frame: Uint8Array): string {
  return `${frame.length}:${createHash("sha1").update(frame).digest("hex").slice(0, 12)}`;
}

/** ZAP (RFC 27): answers each question with 200 or 400 until the socket is closed. */
async function answerZap(
  authenticator: AnySocket,
  passwords: Readonly<Record<string, string>>,
  keys: readonly string[],
): Promise<void> {
  const { decodeZ85 } = await import("../../../src/zmtp/curve/z85.ts");
  const known = keys.map((key) => Buffer.from(decodeZ85(key)));
  for (;;) {
    let question: Buffer[];
    try {
      question = await authenticator.receive();
    } catch (error) {
      if (codeOf(error) === "EAGAIN") return; // closed while waiting
      throw error;
    }
    const delimiter = question.findIndex((frame) => frame.length === 0);
    const [version, id, , , , mechanism, ...credentials] = question.slice(delimiter + 1);
    const welcome =
      mechanism!.toString() === "CURVE"
        ? known.some((key) => key.equals(credentials[0]!))
        : passwords[credentials[0]!.toString()] === credentials[1]!.toString();
    const answer = [welcome ? "200" : "400", welcome ? "OK" : "no", "", ""].map((text) => Buffer.from(text));
    await authenticator.send([...question.slice(0, delimiter + 1), version!, id!, ...answer]);
  }
}

/** Answers the lines of a test on stdin until they end. */
async function serve(octetsFile: string): Promise<void> {
  const zmq = (await import("zeromq")) as unknown as ZmqModule;
  const peer = new NodePeer(zmq, readFileSync(octetsFile), "ZAP");
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    try {
      const value = await perform(peer, request);
      console.log(JSON.stringify({ value: value ?? null }));
    } catch (error) {
      console.log(JSON.stringify({ error: messageOf(error) }));
    }
  }
  await peer.end();
}

/** One operation as process-peer.ts writes it: its name, and its arguments by name. */
// eslint-disable-next-line typescript/no-explicit-any
async function perform(peer: Peer, request: Record<string, any>): Promise<unknown> {
  const { name } = request as { name: string };
  switch (request["do"]) {
    case "authenticate":
      return peer.authenticate(request["passwords"], request["keys"]);
    case "open":
      return peer.open(name, request["type"], request["options"]);
    case "bind":
      return peer.bind(name, request["endpoint"]);
    case "connect":
      return peer.connect(name, request["endpoint"]);
    case "run":
      return peer.run(name, request["steps"]);
    case "wait":
      return peer.wait(name, request["event"]);
    case "close":
      return peer.close(name);
    default:
      throw new Error(`no operation ${request["do"]}`);
  }
}

if (import.meta.main) await serve(process.argv[2]!);
