/**
 * ● The transport of session mode on a socket that speaks WebSocket: what the connection writes goes out as binary frames, and their
 * payload comes in. Pings are answered and are no life: whether the peer is there is the session's own heartbeat's to say, for a proxy on the
 * way may answer for it.
 */
import { ProtocolError } from "../../core/errors.ts";
import { ControlBudget } from "../control-budget.ts";
import { endOf } from "../end.ts";
import type { ByteLink } from "../bytes/byte-link.ts";
import { CLOSE, closeFrame, dataFrames, pongFrame, WebSocketDecoder } from "../web-socket/web-socket-frame.ts";
import { SocketTransport } from "./socket-transport.ts";
import type { TransportHost } from "./socket-transport.ts";

export class WebSocketTransport extends SocketTransport {
  readonly isFramed = true;
  readonly #decoder: WebSocketDecoder;
  readonly #pings: ControlBudget;
  /** Draws masking keys, where this side is the client. */
  readonly #key: (() => Uint8Array) | undefined;
  readonly #peer: string | undefined;
  /** A Close frame has been written: nothing may follow it. */
  #hasClosed = false;

  /** @param peer the client's address, where a proxy on the way tells it */
  constructor(host: TransportHost, { key, peer }: { key?: () => Uint8Array; peer?: string | undefined } = {}) {
    super(host);
    this.#decoder = new WebSocketDecoder({ masked: key === undefined });
    this.#pings = new ControlBudget(host.clock.now());
    this.#key = key;
    this.#peer = peer;
  }

  override get peer(): string {
    return this.#peer ?? super.peer;
  }

  override write(parts: readonly Uint8Array[]): void {
    if (this.#hasClosed) return;
    this.link!.tellBytes("out", parts);
    super.write(dataFrames(parts, this.#key));
  }

  override end(): void {
    this.#close(CLOSE.normal);
    super.end();
  }

  override destroy(): void {
    this.#close(CLOSE.normal);
    super.destroy();
  }

  override bytes(link: ByteLink, bytes: Buffer): void {
    try {
      this.#decoder.push(bytes);
      for (let event = this.#decoder.next(); event; event = this.#decoder.next()) {
        if (event.kind === "data") {
          link.tellBytes("in", [event.bytes]);
          super.bytes(link, event.bytes);
        } else if (event.kind === "ping") {
          this.#pings.spend(this.clock.now());
          if (!this.#hasClosed) super.write(pongFrame(event.bytes, this.#key?.()));
        } else {
          // Unlike a FIN, a Close ends both directions (section 5.5.1).
          this.#close(CLOSE.normal);
          return link.close("fin");
        }
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#close(CLOSE.protocolError);
      this.connection!.fail(endOf("protocol", error));
    }
  }

  #close(code: number): void {
    if (this.#hasClosed) return;
    super.write(closeFrame(code, this.#key?.()));
    this.#hasClosed = true;
  }
}
