/**
 * ● The keep-alive demonstration: a link server with the chosen keep-alive settings, and a peer process (demo-peer.ts) that can be
 * suspended, cut off from the network, reconnected and killed. Nothing is simulated.
 */
import { packageCode } from "../../core/package-file.ts";
import { spawn, type ChildProcess } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import { parseAddress } from "../../core/address.ts";
import { OperationError, messageOf } from "../../core/errors.ts";
import { listen, type ByteLink, type LinkServer } from "../../link/index.ts";
import type { KeepAliveTimes } from "../../wire/index.ts";
import type { DemoPeerAction, DemoPeerState } from "./lab-state.ts";
import { setDeaf } from "./socket-filter.ts";

/** Node tells of accepted sockets here: the link keeps its own to itself. */
const ACCEPTED = "net.server.socket";

export interface DemonstrationListener {
  note(text: string): void;
  /** The network was cut at this time, or (`cut` false) mended. */
  cut(cut: boolean, wallMs: number): void;
}

export class Demonstration {
  readonly server: LinkServer;
  readonly #listener: DemonstrationListener;
  #peer: ChildProcess | undefined;
  #link: ByteLink | undefined;
  /** The server's end. */
  #socket: Socket | undefined;
  #frozen = false;
  #cut = false;
  /** Why the network cannot be cut on this machine. */
  cannotCut: string | undefined;

  private constructor(server: LinkServer, listener: DemonstrationListener) {
    this.server = server;
    this.#listener = listener;
  }

  /** Starts the server; `connectPeer` comes next, so that a capture can begin in between. */
  static async start(times: KeepAliveTimes, listener: DemonstrationListener): Promise<Demonstration> {
    const server = await listen({ port: 0, idle: times.idleMs, interval: times.intervalMs, count: times.count });
    return new Demonstration(server, listener);
  }

  /** @throws OperationError DASHBOARD_DEMONSTRATION_FAILED */
  async connectPeer(): Promise<void> {
    const { host, port } = parseAddress(this.server.address, "address");
    const args = ["--disable-warning=ExperimentalWarning", packageCode("dashboard/link-lab/demo-peer"), host, String(port)];
    this.#peer = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "ignore"] });
    const opened = once(this.server, "open") as Promise<[ByteLink, unknown]>;
    const failed = once(this.#peer, "exit").then(() => Promise.reject(new Error("its process has ended")));
    const accepted = (message: unknown): void => {
      const { socket } = message as { socket: Socket };
      if (socket.localPort === port) this.#socket ??= socket;
    };
    subscribe(ACCEPTED, accepted);
    try {
      [this.#link] = await Promise.race([opened, failed]);
    } catch (error) {
      throw new OperationError("DASHBOARD_DEMONSTRATION_FAILED", `Cannot start the peer: ${messageOf(error)}`, {
        cause: error,
      });
    } finally {
      unsubscribe(ACCEPTED, accepted);
    }
    failed.catch(() => this.#listener.note("the peer process has ended"));
    createInterface({ input: this.#peer.stdout! }).on("line", (line) => this.#heard(line));
  }

  get peerState(): DemoPeerState {
    if (!this.#peer || this.#peer.exitCode !== null || this.#peer.signalCode !== null) return "gone";
    if (this.#cut) return "cut";
    return this.#frozen ? "frozen" : "awake";
  }

  act(action: DemoPeerAction): void {
    const peer = this.#peer!;
    if (action === "kill") peer.kill("SIGKILL");
    else if (action === "freeze" || action === "thaw") {
      this.#frozen = action === "freeze";
      peer.kill(this.#frozen ? "SIGSTOP" : "SIGCONT");
      this.#listener.note(
        this.#frozen ? "the peer process is suspended; its kernel still answers" : "the peer process was resumed",
      );
    } else peer.stdin!.write(`${action}\n`);
  }

  /** Sends one line of text from either side. */
  async send(from: "server" | "client", text: string): Promise<void> {
    const line = text.replaceAll(/[\r\n]+/g, " ");
    if (from === "server") await this.#link!.send(Buffer.from(line));
    else this.#peer!.stdin!.write(`send ${line}\n`);
  }

  async close(): Promise<void> {
    this.#peer?.kill("SIGKILL");
    await this.server.close();
  }

  /** The peer hears nothing any more, or again; the server neither from then on, as with a cable that is cut. */
  #heard(line: string): void {
    const [verb, wallMs] = line.split(" ");
    if (verb === "cut" || verb === "healed") {
      try {
        setDeaf(this.#socket!, verb === "cut");
        this.#cut = verb === "cut";
        this.#listener.cut(this.#cut, Number(wallMs));
      } catch (error) {
        if (verb === "cut") this.#peer!.stdin!.write("heal\n");
        this.#cannot(messageOf(error));
      }
    } else if (line.startsWith("cannot cut: ")) this.#cannot(line.slice("cannot cut: ".length));
  }

  #cannot(why: string): void {
    this.cannotCut = why;
    this.#listener.note(`the network cannot be cut on this machine: ${why}`);
  }
}
