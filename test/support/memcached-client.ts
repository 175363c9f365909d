/** The barest text client: one connection, requests in order, whole replies out. */
import { type Socket, connect } from "node:net";

export class MemcachedClient {
  readonly #socket: Socket;
  #received = "";
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => {
      this.#received += chunk;
      this.#wake();
    });
    socket.on("close", () => this.#wake());
    socket.on("error", () => {});
  }

  /** @param address "HOST:PORT" or "unix:/path" */
  static async connect(address: string): Promise<MemcachedClient> {
    const at = address.lastIndexOf(":");
    const target = address.startsWith("unix:")
      ? { path: address.slice(5) }
      : { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
    const socket = connect(target);
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new MemcachedClient(socket);
  }

  /** Sends a request and returns what comes up to and with `end`; what is there when the server closes. */
  async ask(request: string, end: RegExp = /\r\n$/): Promise<string> {
    this.#socket.write(request, "latin1");
    while (!end.test(this.#received) && !this.#socket.closed) await new Promise<void>((resolve) => (this.#wake = resolve));
    const reply = this.#received;
    this.#received = "";
    return reply;
  }

  close(): void {
    this.#socket.destroy();
  }
}
