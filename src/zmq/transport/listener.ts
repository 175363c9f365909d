/** ● What a bound tcp or ipc endpoint is: a server whose connections are handed on as streams. */
import { once } from "node:events";
import { unlink } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type ListenOptions, type Server } from "node:net";
import { mkdtempSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { codeOf } from "../../core/errors.ts";
import { socketPath, tcpEndpoint, type Endpoint } from "./endpoint.ts";
import { fromSystem } from "../errors.ts";
import { acceptOnRead, type OnReadStream } from "./onread-stream.ts";

export interface ListenerOptions {
  readonly backlog: number;
  readonly ipv6: boolean;
  /** A stream was accepted, from an address such as "tcp://10.0.0.7:51234". */
  readonly accepted: (stream: OnReadStream, remoteAddress: string) => void;
  readonly failed: (error: Error) => void;
}

export class Listener {
  readonly #server: Server;
  /** The endpoint as really bound: with the port that was taken for `*`. */
  readonly endpoint: string;

  private constructor(server: Server, endpoint: string) {
    this.#server = server;
    this.endpoint = endpoint;
  }

  /** @throws EADDRINUSE, EADDRNOTAVAIL, EACCES, EINVAL */
  static async listen(endpoint: Exclude<Endpoint, { transport: "inproc" }>, options: ListenerOptions): Promise<Listener> {
    return endpoint.transport === "tcp" ? listenTcp(endpoint, options) : listenIpc(endpoint.path, options);
  }

  /** @internal */
  static of(server: Server, endpoint: string): Listener {
    return new Listener(server, endpoint);
  }

  /** Accepts no more; resolves when the address is free again. Connections accepted stay. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.once("listening", () => resolve());
      this.#server.unref();
      this.#server.close(() => resolve());
      // close() calls back only when all connections are gone too; the address itself is free at once
      setImmediate(resolve);
    });
  }
}

async function listenTcp(
  { host, port }: Extract<Endpoint, { transport: "tcp" }>,
  { backlog, ipv6, accepted, failed }: ListenerOptions,
): Promise<Listener> {
  const server = createServer({ noDelay: true, pauseOnConnect: true }, (stream) => {
    const remoteAddress = tcpEndpoint(plainAddress(stream.remoteAddress ?? "?"), stream.remotePort ?? 0);
    accepted(acceptOnRead(stream), remoteAddress);
  });
  const address = host === "*" ? (ipv6 ? "::" : "0.0.0.0") : interfaceAddress(host, ipv6);
  const isAny = address === "::";
  await listening(server, { host: address, port, backlog, ipv6Only: false, exclusive: true }, `tcp://${host}:${port}`);
  server.on("error", failed);
  const bound = server.address() as AddressInfo;
  return Listener.of(server, tcpEndpoint(isAny ? "::" : bound.address, bound.port));
}

async function listenIpc(path: string, { backlog, accepted, failed }: ListenerOptions): Promise<Listener> {
  const named = path === "*" ? join(mkdtempSync(join(tmpdir(), "holdfast-")), "socket") : path;
  const server = createServer({ pauseOnConnect: true }, (stream) => accepted(acceptOnRead(stream), `ipc://${named}`));
  const options = { path: socketPath(named), backlog };
  try {
    await listening(server, options, `ipc://${named}`);
  } catch (error) {
    if (codeOf(error) !== "EADDRINUSE" || named.startsWith("@") || !(await isStale(named))) throw error;
    await unlink(named);
    await listening(server, options, `ipc://${named}`);
  }
  server.on("error", failed);
  return Listener.of(server, `ipc://${named}`);
}

async function listening(server: Server, options: ListenOptions, name: string): Promise<void> {
  server.listen(options);
  try {
    await once(server, "listening");
  } catch (error) {
    throw fromSystem(error, `Cannot bind ${name}`);
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

/** "eth0" → its first address; anything else as it is. */
function interfaceAddress(host: string, ipv6: boolean): string {
  const addresses = networkInterfaces()[host];
  const wanted = addresses?.find(({ family }) => (family === "IPv6") === ipv6) ?? addresses?.[0];
  return wanted?.address ?? host;
}

/** IPv4 mapped into IPv6 is shown as what it is. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
