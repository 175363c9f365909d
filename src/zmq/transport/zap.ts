/**
 * ● ZAP (RFC 27): asks the authenticator that a program bound at inproc://zeromq.zap.01 as a Reply or Router. For programs written for
 * libzmq; the `authenticate` option does the same with less code.
 */
import { Buffer } from "node:buffer";
import { EMPTY_BUFFER } from "../../core/buffers.ts";
import type { Clock } from "../../core/clock.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { Verdict } from "../../zmtp/mechanism.ts";
import type { Message } from "../../zmtp/message-parts.ts";
import { decodeZ85 } from "../../zmtp/curve/z85.ts";
import { SocketCore } from "../socket-core/socket-core.ts";
import { INPROC_BUDGET } from "../patterns/pipe.ts";
import type { InprocNames, JoinedConnection } from "./inproc.ts";
import { DealerPattern } from "../patterns/pattern.ts";
import type { AuthRequest } from "../socket-core/settings.ts";

export const ZAP_NAME = "zeromq.zap.01";
const VERSION = "1.0";
/** Delimiter, version, request id, status code, status text, user id, metadata. */
const REPLY_PARTS = 7;
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
  readonly #waiting = new Map<string, PromiseWithResolvers<Verdict>>();
  #core: SocketCore | undefined;
  #lastId = 0;

  constructor(names: InprocNames, clock: Clock) {
    this.#names = names;
    this.#clock = clock;
  }

  /** The handler's verdict; 500 when it goes away. Rejects with a ProtocolError when its reply cannot be read. */
  ask(request: AuthRequest): Promise<Verdict> {
    this.#lastId += 1;
    const id = String(this.#lastId);
    const verdict = Promise.withResolvers<Verdict>();
    this.#waiting.set(id, verdict);
    this.#connect().trySend(requestParts(id, request));
    return verdict.promise;
  }

  #connect(): SocketCore {
    if (this.#core) return this.#core;
    const pattern = new DealerPattern();
    const core = new SocketCore({
      pattern,
      settings: SETTINGS,
      clock: this.#clock,
      budget: INPROC_BUDGET,
      tell: () => {},
      onClosed: () => {},
      keepsProcess: false,
    });
    this.#core = core;
    const pipe = core.attach(undefined, "");
    this.#names.connect(ZAP_NAME, (join): JoinedConnection =>
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

  /** A reply without an id that is known is taken for one to the oldest request: somebody waits for it. */
  #answer(reply: Message): void {
    const known = String(reply[2] ?? "");
    const [id, verdict] = this.#waiting.has(known) ? [known, this.#waiting.get(known)!] : ([...this.#waiting].at(0) ?? []);
    if (id === undefined) return;
    this.#waiting.delete(id);
    try {
      verdict!.resolve(readReply(reply, id));
    } catch (error) {
      verdict!.reject(error);
    }
  }

  #ended(core: SocketCore): void {
    core.close(() => {});
    this.#core = undefined;
    for (const { resolve } of this.#waiting.values()) resolve({ status: 500 });
    this.#waiting.clear();
  }
}

function requestParts(id: string, request: AuthRequest): Message {
  const { domain, address, routingId, mechanism, username, password, publicKey } = request;
  const credentials = mechanism === "PLAIN" ? [username!, password!] : mechanism === "CURVE" ? [decodeZ85(publicKey!)] : [];
  return ["", VERSION, id, domain, address, routingId, mechanism, ...credentials].map((part) => Buffer.from(part as string));
}

/** @throws ProtocolError ERR_ZAP_MALFORMED_REPLY, ERR_ZAP_BAD_VERSION, ERR_ZAP_BAD_REQUEST_ID, ERR_ZAP_INVALID_STATUS_CODE */
function readReply(reply: Message, expected: string): Verdict {
  const [delimiter, version, id, code, , userId] = reply;
  if (delimiter?.length !== 0 || reply.length !== REPLY_PARTS) {
    throw new ProtocolError(
      "ERR_ZAP_MALFORMED_REPLY",
      `Cannot read ZAP reply: it has ${reply.length} parts, not ${REPLY_PARTS}`,
    );
  }
  if (String(version) !== VERSION) {
    throw new ProtocolError("ERR_ZAP_BAD_VERSION", `Cannot read ZAP reply: its version is ${String(version)}, not ${VERSION}`);
  }
  if (String(id) !== expected) {
    throw new ProtocolError(
      "ERR_ZAP_BAD_REQUEST_ID",
      `Cannot read ZAP reply: it answers request ${String(id)}, not ${expected}`,
    );
  }
  const status = STATUSES.find((known) => String(known) === String(code));
  if (status === undefined) {
    throw new ProtocolError("ERR_ZAP_INVALID_STATUS_CODE", `Cannot read ZAP reply: its status is ${String(code)}`);
  }
  return { status, userId: String(userId) };
}
