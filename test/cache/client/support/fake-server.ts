/** A server that says what a test tells it to, on a port of its own: for what a real memcached does only when it breaks. */
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import type { TestContext } from "node:test";

export interface FakeServer {
  readonly address: string;
  readonly port: number;
  /** Connections open now. */
  readonly sockets: ReadonlySet<Socket>;
  /** Connections ever accepted. */
  readonly accepted: number;
  /** Command lines received so far, `version` left out. */
  readonly lines: readonly string[];
  /** Resolves once this many command lines (`version` left out) came, over all connections. */
  received(count: number): Promise<void>;
  /** Stops listening and cuts all connections. */
  stop(): Promise<void>;
}

/** What the server answers to a line; undefined: nothing. A storing verb's data block is swallowed before. */
export type Answer = (line: string, socket: Socket) => string | undefined;

export async function fakeServer(
  t: TestContext,
  answer: Answer,
  { greets = true, port = 0, host = "127.0.0.1" }: { greets?: boolean; port?: number; host?: string } = {},
): Promise<FakeServer> {
  const sockets = new Set<Socket>();
  const lines: string[] = [];
  const waiters: { count: number; resolve: () => void }[] = [];
  let accepted = 0;
  const server = createServer((socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      for (;;) {
        const end = text.indexOf("\r\n");
        if (end < 0) return;
        const line = text.slice(0, end);
        const size =
          /^(?:set|add|replace|append|prepend|cas) \S+ \d+ -?\d+ (\d+)/.exec(line)?.[1] ?? /^ms \S+ (\d+)/.exec(line)?.[1];
        const total = size === undefined ? end + 2 : end + 2 + Number(size) + 2;
        if (text.length < total) return;
        text = text.slice(total);
        if (line === "version" && greets) {
          socket.write("VERSION 1.6.45\r\n");
          continue;
        }
        lines.push(line);
        const reply = answer(line, socket);
        if (reply !== undefined && !socket.destroyed) socket.write(reply, "latin1");
        for (const { count, resolve } of waiters) if (lines.length >= count) resolve();
      }
    });
  });
  server.listen(port, host);
  await once(server, "listening");
  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, "close");
  };
  t.after(stop);
  const at = server.address() as AddressInfo;
  return {
    address: `${host}:${at.port}`,
    port: at.port,
    sockets,
    get accepted() {
      return accepted;
    },
    lines,
    received: (count) =>
      new Promise((resolve) => {
        if (lines.length >= count) resolve();
        else waiters.push({ count, resolve });
      }),
    stop,
  };
}
