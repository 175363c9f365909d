/** ● Requests by datagram (`-U`): each is a session of its own that ends with the datagram. Off unless asked for, since it amplifies. */
import { type RemoteInfo, type Socket, createSocket } from "node:dgram";
import { once } from "node:events";
import { parseAddress, showAddress } from "../../core/address.ts";
import { OperationError, messageOf } from "../../core/errors.ts";
import { COUNT } from "../store/counters.ts";
import { replyDatagrams, requestStart, UDP_REPLY_BYTES_MAX } from "./udp-framing.ts";
import { PORT_DEFAULT } from "./limits.ts";
import { ipv4Ports } from "./listen-address.ts";
import type { CacheSession } from "../protocol/cache-session.ts";
import { consumeTraced } from "./command-trace.ts";
import type { ThreadContext } from "./thread-context.ts";

export interface UdpListenerOptions {
  readonly thread: ThreadContext;
  /** The number under which commands are printed: the listening socket's in `stats conns`. */
  readonly id: number;
  /** Makes the session that the first byte asks for. */
  readonly open: (firstByte: number) => CacheSession;
}

export class UdpListener {
  readonly address: string;
  readonly #socket: Socket;
  readonly #options: UdpListenerOptions;

  private constructor(socket: Socket, options: UdpListenerOptions) {
    this.#socket = socket;
    this.#options = options;
    const { address, port } = socket.address();
    this.address = showAddress({ host: address, port });
    socket.on("message", (request, from) => this.#answer(request, from));
  }

  /**
   * @param shared several threads listen on the address, and the system spreads the clients
   * @throws OperationError CACHE_LISTEN_FAILED
   */
  static async open(text: string, shared: boolean, options: UdpListenerOptions): Promise<UdpListener> {
    const { host, port } = parseAddress(text, "udp", { port: PORT_DEFAULT });
    const type = host.includes(":") ? "udp6" : "udp4";
    const ipv6Only = type === "udp6" && ipv4Ports(options.thread.options.udp).has(port);
    const socket = createSocket({ type, reusePort: shared, ipv6Only });
    try {
      socket.bind(port, host);
      await once(socket, "listening");
    } catch (error) {
      socket.close();
      throw new OperationError("CACHE_LISTEN_FAILED", `Cannot listen on ${text} (UDP): ${messageOf(error)}`, { cause: error });
    }
    return new UdpListener(socket, options);
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }

  #answer(request: Buffer, { address, port }: RemoteInfo): void {
    const { out, store } = this.#options.thread;
    const start = requestStart(request);
    store.counters.addMany(COUNT.bytesRead, request.length);
    if (start === undefined) return;
    this.#execute(request, start);
    const reply = out.bytes.subarray(0, out.length);
    for (const datagram of replyDatagrams(request, reply)) {
      store.counters.addMany(COUNT.bytesWritten, datagram.length);
      this.#socket.send(datagram, port, address);
    }
    out.reset();
  }

  /** Executes what is whole in the datagram; a reply that fits no number of datagrams is not sent. */
  #execute(request: Buffer, start: number): void {
    const { thread, open, id } = this.#options;
    const { out, lock, trace } = thread;
    thread.executingId = 0;
    const session = open(request[start]!);
    let lines = "";
    const consume = (at: number): number => {
      if (!trace.on) return session.consume(request, at, request.length);
      const traced = consumeTraced({ id, session, out }, request, at, request.length);
      lines += traced.lines;
      return traced.rest;
    };
    lock?.acquire();
    try {
      let at = start;
      do at = consume(at);
      while (session.blocked && out.length <= UDP_REPLY_BYTES_MAX);
      session.release();
    } finally {
      lock?.release();
    }
    trace.print(lines);
    if (out.length > UDP_REPLY_BYTES_MAX) out.reset();
  }
}
