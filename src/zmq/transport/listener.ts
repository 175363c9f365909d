/** ● What a bound tcp or ipc endpoint is: a server, and the connections that peers made to it. */
import { once } from "node:events";
import { unlink } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type ListenOptions, type Server, type Socket as Stream } from "node:net";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeOf } from "../../core/errors.ts";
import { interfaceAddress } from "./interface-address.ts";
import { socketPath, tcpEndpoint, type Endpoint } from "./endpoint.ts";
import { fromSystem, zmqError } from "../errors.ts";
import { acceptOnRead } from "./onread-stream.ts";
import type { Pipe } from "../patterns/pipe.ts";
import { ZmqConnection, type ConnectionOwner, type EndpointContext } from "./zmq-connection.ts";

export class Listener implements ConnectionOwner {
  readonly #server: Server;
  readonly #context: EndpointContext;
  readonly #connections = new Set<ZmqConnection>();
  /** The endpoint as really bound: with the port that was taken for `*`. */
  readonly address: string;

  private constructor(context: EndpointContext, server: Server, address: string) {
    this.#context = context;
    this.#server = server;
    this.address = address;
    context.core.opened();
    server.unref();
    server.on("connection", (stream) => this.#accept(stream));
    server.on("error", (error) => context.core.tell({ type: "accept:error", address, error }));
  }

  /** @throws EADDRINUSE, EADDRNOTAVAIL, EACCES, EINVAL */
  static async listen(endpoint: Exclude<Endpoint, { transport: "inproc" }>, context: EndpointContext): Promise<Listener> {
    const isTcp = endpoint.transport === "tcp";
    const server = createServer({ noDelay: isTcp, pauseOnConnect: true });
    const address = isTcp
      ? await listenTcp(server, endpoint, context.settings)
      : await listenIpc(server, endpoint.path, context.settings);
    return new Listener(context, server, address);
  }

  /** Accepts no more and ends the connections; resolves when the address is free again. */
  async close(lingerMs: number): Promise<void> {
    const { core } = this.#context;
    for (const connection of this.#connections) {
      if (connection.pipe) core.retire(connection.pipe);
      connection.finish(lingerMs);
    }
    await new Promise<void>((resolve) => {
      this.#server.once("listening", () => resolve());
      this.#server.unref();
      this.#server.close(() => resolve());
      // close() calls back only when all connections are gone too; the address itself is free at once
      setImmediate(resolve);
    });
    core.tell({ type: "close", address: this.address });
    core.gone();
  }

  ready(connection: ZmqConnection): Pipe | undefined {
    const { core } = this.#context;
    const pipe = core.attach(undefined, connection.host);
    if (core.connected(pipe, connection.info)) return pipe;
    core.detach(pipe, undefined);
    return undefined;
  }

  ended(reason: Error | undefined, connection: ZmqConnection): void {
    const { core } = this.#context;
    if (connection.pipe) core.detach(connection.pipe, reason);
    this.#connections.delete(connection);
    core.gone();
  }

  #accept(stream: Stream): void {
    const { core } = this.#context;
    const { address } = this;
    const isTcp = address.startsWith("tcp:");
    const host = isTcp ? plainAddress(stream.remoteAddress ?? "?") : address;
    const remoteAddress = isTcp ? tcpEndpoint(host, stream.remotePort ?? 0) : address;
    if (core.closed) {
      stream.destroy();
    } else if (!core.budget.admits(host)) {
      stream.destroy();
      const error = zmqError(
        "EAGAIN",
        `Turned a peer away: peers make the context keep ${core.budget.bytes} bytes, or it has too many in their handshake`,
      );
      core.tell({ type: "accept:error", address, remoteAddress, error });
    } else {
      core.opened();
      // Beyond what `zeromq` tells, and not seen where its events are compared as they are there
      core.tell(Object.defineProperty({ type: "accept", address }, "remoteAddress", { value: remoteAddress }));
      const options = { context: this.#context, owner: this, address, remoteAddress, host };
      this.#connections.add(new ZmqConnection(acceptOnRead(stream), options));
    }
  }
}

async function listenTcp(
  server: Server,
  { host, port }: { host: string; port: number },
  { backlog, ipv6 }: { backlog: number; ipv6: boolean },
): Promise<string> {
  const address = host === "*" ? (ipv6 ? "::" : "0.0.0.0") : interfaceAddress(host, ipv6);
  await listening(server, { host: address, port, backlog, ipv6Only: false, exclusive: true }, `tcp://${host}:${port}`);
  const bound = server.address() as AddressInfo;
  return tcpEndpoint(address === "::" ? "::" : bound.address, bound.port);
}

async function listenIpc(server: Server, path: string, { backlog }: { backlog: number }): Promise<string> {
  const named = path === "*" ? join(mkdtempSync(join(tmpdir(), "holdfast-")), "socket") : path;
  const options = { path: socketPath(named), backlog };
  try {
    await listening(server, options, `ipc://${named}`);
  } catch (error) {
    if (codeOf(error) !== "EADDRINUSE" || named.startsWith("@") || !(await isStale(named))) throw error;
    await unlink(named);
    await listening(server, options, `ipc://${named}`);
  }
  return `ipc://${named}`;
}

async function listening(server: Server, options: ListenOptions, name: string): Promise<void> {
  server.listen(options);
  try {
    await once(server, "listening");
  } catch (error) {
    throw fromSystem(error, `Cannot bind ${name}`, name);
  }
}

/** A socket file that nobody listens on: what a killed process leaves. libzmq deletes the file in any case, a live one too. */
function isStale(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(false);
    });
    probe.once("error", (error) => resolve(codeOf(error) === "ECONNREFUSED"));
  });
}

/** IPv4 mapped into IPv6 is shown as what it is. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
