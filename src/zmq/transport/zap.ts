/**
 * ● ZAP (RFC 27): asks the authenticator that a program bound at inproc://zeromq.zap.01 as a Reply or Router. For programs written for
 * libzmq; the `authenticate` option does the same with less code.
 */
import { Buffer } from "node:buffer";
import { EMPTY_BUFFER } from "../../core/buffers.ts";
import type { Clock } from "../../core/clock.ts";
import type { Verdict } from "../../zmtp/mechanism.ts";
import type { Message } from "../../zmtp/message-parts.ts";
import { decodeZ85 } from "../../zmtp/curve/z85.ts";
import { SocketCore } from "../socket-core/socket-core.ts";
import { INPROC_LEDGER } from "../patterns/ledger.ts";
import type { InprocConnection, InprocNames } from "./inproc.ts";
import { DealerPattern } from "../patterns/pattern.ts";
import type { AuthRequest } from "../socket-core/settings.ts";

export const ZAP_NAME = "zeromq.zap.01";
const VERSION = "1.0";
const STATUSES = [200, 300, 400, 500] as const;

/** No bounds: when the handler does not answer, the handshake's timeout ends the connections that wait for it. */
const SETTINGS = {
  sendHighWaterMark: 0,
  receiveHighWaterMark: 0,
  sendHighWaterBytes: 0,
  receiveHighWaterBytes: 0,
  conflate: false,
  probeRouter: false,
};

export class ZapClient {
  readonly #names: InprocNames;
  readonly #clock: Clock;
  readonly #waiting = new Map<string, (verdict: Verdict) => void>();
  #core: SocketCore | undefined;
  #lastId = 0;

  constructor(names: InprocNames, clock: Clock) {
    this.#names = names;
    this.#clock = clock;
  }

  /** The handler's verdict; 500 when its reply cannot be read or it goes away. */
  ask(request: AuthRequest): Promise<Verdict> {
    this.#lastId += 1;
    const id = String(this.#lastId);
    const verdict = new Promise<Verdict>((resolve) => this.#waiting.set(id, resolve));
    this.#connect().trySend(requestParts(id, request));
    return verdict;
  }

  #connect(): SocketCore {
    if (this.#core) return this.#core;
    const pattern = new DealerPattern();
    const core = new SocketCore({
      pattern,
      settings: SETTINGS,
      clock: this.#clock,
      ledger: INPROC_LEDGER,
      tell: () => {},
      onClosed: () => {},
      keepsProcess: false,
    });
    this.#core = core;
    const pipe = core.attach();
    this.#names.connect(ZAP_NAME, (join): InprocConnection =>
      join({
        core,
        pipe,
        socketType: "DEALER",
        routingId: EMPTY_BUFFER,
        ended: () => this.#ended(core),
      }),
    );
    void this.#receiveAll(core);
    return core;
  }

  async #receiveAll(core: SocketCore): Promise<void> {
    while (!core.closed) {
      const reply = await core.receive<Message>(0, -1, undefined).catch(() => undefined);
      if (reply !== undefined) this.#answer(reply);
    }
  }

  #answer(reply: Message): void {
    const id = String(reply[2] ?? "");
    const resolve = this.#waiting.get(id);
    this.#waiting.delete(id);
    resolve?.(readReply(reply));
  }

  #ended(core: SocketCore): void {
    core.close(() => {});
    this.#core = undefined;
    for (const resolve of this.#waiting.values()) resolve({ status: 500 });
    this.#waiting.clear();
  }
}

function requestParts(id: string, request: AuthRequest): Message {
  const { domain, address, routingId, mechanism, username, password, publicKey } = request;
  const credentials = mechanism === "PLAIN" ? [username!, password!] : mechanism === "CURVE" ? [decodeZ85(publicKey!)] : [];
  return ["", VERSION, id, domain, address, routingId, mechanism, ...credentials].map((part) => Buffer.from(part as string));
}

function readReply(reply: Message): Verdict {
  const [delimiter, version, , code, , userId] = reply;
  const status = STATUSES.find((known) => String(known) === String(code));
  if (delimiter?.length !== 0 || String(version) !== VERSION || status === undefined || reply.length !== 7)
    return { status: 500 };
  return { status, userId: String(userId) };
}
