/**
 * ● The keep-alive demonstration: a link server with the chosen keep-alive settings, and a peer process (demo-peer.ts) that can be
 * suspended, cut off from the network, reconnected and killed. Nothing is simulated.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseAddress } from "../../core/address.ts";
import { OperationError, messageOf } from "../../core/errors.ts";
import { listen, type ByteLink, type LinkServer } from "../../link/index.ts";
import type { KeepAliveTimes } from "../../wire/index.ts";
import type { DemoPeerAction, DemoPeerState } from "./lab-state.ts";

const PEER = join(import.meta.dirname, import.meta.filename.endsWith(".ts") ? "demo-peer.ts" : "demo-peer.js");

export class Demonstration {
  readonly server: LinkServer;
  readonly #onNote: (text: string) => void;
  #peer: ChildProcess | undefined;
  #link: ByteLink | undefined;
  #frozen = false;
  #cut = false;
  /** Why the network cannot be cut on this machine. */
  cannotCut: string | undefined;

  private constructor(server: LinkServer, onNote: (text: string) => void) {
    this.server = server;
    this.#onNote = onNote;
  }

  /** Starts the server; `connectPeer` comes next, so that a capture can begin in between. */
  static async start({ idleMs, intervalMs, count }: KeepAliveTimes, onNote: (text: string) => void): Promise<Demonstration> {
    const server = await listen({ port: 0, idle: idleMs, interval: intervalMs, count });
    return new Demonstration(server, onNote);
  }

  /** @throws OperationError DASHBOARD_DEMONSTRATION_FAILED */
  async connectPeer(): Promise<void> {
    const { host, port } = parseAddress(this.server.address, "address");
    const args = ["--disable-warning=ExperimentalWarning", PEER, host, String(port)];
    this.#peer = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "ignore"] });
    const opened = once(this.server, "open") as Promise<[ByteLink, unknown]>;
    const failed = once(this.#peer, "exit").then(() => Promise.reject(new Error("its process has ended")));
    try {
      [this.#link] = await Promise.race([opened, failed]);
    } catch (error) {
      throw new OperationError("DASHBOARD_DEMONSTRATION_FAILED", `Cannot start the peer: ${messageOf(error)}`, {
        cause: error,
      });
    }
    failed.catch(() => this.#onNote("the peer process has ended"));
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
      this.#onNote(this.#frozen ? "the peer process is suspended; its kernel still answers" : "the peer process was resumed");
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

  #heard(line: string): void {
    if (line === "cut" || line === "healed") {
      this.#cut = line === "cut";
      this.#onNote(this.#cut ? "the network is cut: no packet reaches the peer" : "the network is restored");
    } else if (line.startsWith("cannot cut: ")) {
      this.cannotCut = line.slice("cannot cut: ".length);
      this.#onNote(`the network cannot be cut on this machine: ${this.cannotCut}`);
    }
  }
}
