/**
 * ● The connection to the NATS servers. Their client library is an optional peer dependency and is loaded here, when it is needed.
 * Once made it is kept: a server that went away is looked for until one is found, whatever the reason was.
 */
import { readFile } from "node:fs/promises";
import type * as jetstreamModule from "@nats-io/jetstream";
import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream";
import type * as core from "@nats-io/transport-node";
import type { NatsConnection, Status } from "@nats-io/transport-node";
import { messageOf, OperationError, UsageError } from "../../core/errors.ts";
import { requireInstalled } from "../../core/package-file.ts";
import { natsError } from "./nats-errors.ts";
import type { NatsUrl } from "./nats-url.ts";
import { retryWhileLeaderless } from "./retry-while-leaderless.ts";

/** The first version with all the JetStream requests that are used here. */
const SERVER_VERSION_MIN = [2, 9];
/** 5 s for one try: a server that does not take the connection by then is passed over for the next. */
const CONNECT_MS = 5000;
/** 100 ms between tries: the next broker has to find the next server well within the 2 s in which work goes on. */
const RECONNECT_MS = 100;
/** A server that stopped answering without closing is given up after two of these. */
const PING_MS = 2000;
/** 4 s for an answer of JetStream's: a cluster that elects a leader answers later, and is asked again. */
const ANSWER_MS = 4000;

export type NatsConnectionEvent =
  | { readonly kind: "up" | "down"; readonly server: string }
  /** What the server said without being asked: mostly that something is forbidden. */
  | { readonly kind: "error"; readonly error: unknown };

export class ClusterConnection {
  readonly nats: NatsConnection;
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly #listeners = new Set<(event: NatsConnectionEvent) => void>();
  #up = true;

  private constructor(nats: NatsConnection, jetstream: JetStreamClient, manager: JetStreamManager) {
    this.nats = nats;
    this.jetstream = jetstream;
    this.manager = manager;
    void this.#watch();
  }

  /** @throws OperationError QUEUE_STORE_UNAVAILABLE, QUEUE_STORE_DENIED; UsageError QUEUE_OPTIONS_INVALID */
  static async open(url: NatsUrl, name: string): Promise<ClusterConnection> {
    const doing = `Cannot use the NATS servers ${url.servers.join(",")}`;
    const [transport, js] = load();
    const credentials = url.credentials === undefined ? undefined : await readCredentials(url.credentials);
    let nats: NatsConnection;
    try {
      nats = await transport.connect({
        servers: [...url.servers],
        name,
        timeout: CONNECT_MS,
        maxReconnectAttempts: -1,
        reconnectTimeWait: RECONNECT_MS,
        reconnectJitter: RECONNECT_MS,
        pingInterval: PING_MS,
        ignoreAuthErrorAbort: true,
        ...(url.tls ? { tls: {} } : {}),
        ...(url.user === undefined ? {} : { user: url.user, pass: url.password ?? "" }),
        ...(url.token === undefined ? {} : { token: url.token }),
        ...(credentials === undefined ? {} : { authenticator: transport.credsAuthenticator(credentials) }),
      });
    } catch (error) {
      throw natsError(doing, error);
    }
    try {
      checkVersion(nats.info?.version ?? "", doing);
      const manager = await retryWhileLeaderless(() => js.jetstreamManager(nats, { timeout: ANSWER_MS }));
      return new ClusterConnection(nats, js.jetstream(nats, { timeout: ANSWER_MS }), manager);
    } catch (error) {
      await nats.close();
      throw error instanceof OperationError ? error : natsError(doing, error);
    }
  }

  /** Whether a server is connected at present. */
  get isUp(): boolean {
    return this.#up && !this.nats.isClosed();
  }

  get serverVersion(): string {
    return this.nats.info?.version ?? "unknown";
  }

  get messageBytesMax(): number {
    return this.nats.info?.max_payload ?? 1024 ** 2;
  }

  /** @returns a function that ends the listening */
  listen(listener: (event: NatsConnectionEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    await this.nats.close();
  }

  async #watch(): Promise<void> {
    for await (const status of this.nats.status()) this.#heard(status);
  }

  #heard(status: Status): void {
    if (status.type === "disconnect" || status.type === "reconnect") {
      this.#up = status.type === "reconnect";
      this.#tell({ kind: this.#up ? "up" : "down", server: status.server });
    } else if (status.type === "error") this.#tell({ kind: "error", error: status.error });
  }

  #tell(event: NatsConnectionEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

function load(): [typeof core, typeof jetstreamModule] {
  try {
    return [
      requireInstalled("@nats-io/transport-node") as typeof core,
      requireInstalled("@nats-io/jetstream") as typeof jetstreamModule,
    ];
  } catch (error) {
    const install = "npm install @nats-io/transport-node @nats-io/jetstream";
    throw new UsageError("QUEUE_OPTIONS_INVALID", `Cannot use NATS without its client library; ${install}`, { cause: error });
  }
}

async function readCredentials(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new UsageError("QUEUE_OPTIONS_INVALID", `Cannot read the credentials in ${file}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function checkVersion(version: string, doing: string): void {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [majorMin = 0, minorMin = 0] = SERVER_VERSION_MIN;
  if (major > majorMin || (major === majorMin && minor >= minorMin)) return;
  throw new OperationError("QUEUE_STORE_UNAVAILABLE", `${doing}: nats-server ${version} is too old, 2.9 is needed`);
}
