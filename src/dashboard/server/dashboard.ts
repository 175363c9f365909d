/** ● The dashboard: an HTTP server that reads the statistics of the parts in its process. */
import { randomBytes } from "node:crypto";
import { createAdaptorServer } from "@hono/node-server";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { isLoopback, parseAddress, portOf, showAddress } from "../../core/address.ts";
import { systemClock, type Clock } from "../../core/clock.ts";
import { OperationError, UsageError, codeOf, messageOf } from "../../core/errors.ts";
import type { Inspectors } from "./api-routes.ts";
import { CacheInspector } from "../inspectors/cache-inspector.ts";
import { CLOSE_MS_MAX, LISTEN_DEFAULT, SWEEP_MS, TOKEN_BYTES } from "../limits.ts";
import { LinkLab } from "../link-lab/link-lab.ts";
import { metricsOf } from "./metrics.ts";
import type { BrokerNumbers, MonitoredParts } from "../snapshot/monitored-parts.ts";
import { QueueInspector } from "../inspectors/queue-inspector.ts";
import { routesOf } from "./routes.ts";
import { Sampler } from "../snapshot/sampler.ts";
import { EventStreams } from "./event-streams.ts";

export interface DashboardOptions extends MonitoredParts {
  /** "HOST:PORT"; port 0 takes any free one. Default 127.0.0.1:8280. */
  readonly listen?: string;
  /** Access token for the page; required on a non-loopback address. */
  readonly token?: string;
  /** The clock; set by tests. */
  readonly clock?: Clock;
}

/** 16 characters: too long to guess. */
const TOKEN_CHARS_MIN = 16;

/**
 * The dashboard of the parts given to it.
 *
 * @example
 * const dashboard = new Dashboard({ listen: "127.0.0.1:8280", cache });
 * await dashboard.listen();
 * console.log(`http://${dashboard.address}`);
 * await dashboard.close();
 */
export class Dashboard {
  readonly #listen: { readonly host: string; readonly port: number };
  readonly #sampler: Sampler;
  readonly #streams = new EventStreams();
  readonly #inspectors: Inspectors;
  readonly #server: Server;
  #address = "";
  #closing: Promise<void> | undefined;

  /**
   * Reads the options; does not listen yet.
   *
   * @throws UsageError DASHBOARD_TOKEN_REQUIRED on another address than loopback without a token of at least 16 characters
   */
  constructor({ listen = LISTEN_DEFAULT, token, clock = systemClock, ...parts }: DashboardOptions = {}) {
    this.#listen = parseAddress(listen, "the dashboard's address");
    checkToken(this.#listen.host, token);
    this.#sampler = new Sampler({ parts, clock, onSnapshot: (snapshot) => this.#streams.send("snapshot", snapshot) });
    this.#inspectors = {
      sampler: this.#sampler,
      cache: parts.cache && new CacheInspector(parts.cache),
      queue: parts.queue && new QueueInspector(parts.queue),
      ports: [parts.cache, parts.queue, parts.link].flatMap((part) => (part && portOf(part.address)) ?? []),
      lab: new LinkLab({ link: parts.link, clock, send: (summary) => this.#streams.send("lab", { lab: summary ?? null }) }),
    };
    const app = routesOf({
      inspectors: this.#inspectors,
      address: () => this.#address,
      accessToken: token,
      pageToken: randomBytes(TOKEN_BYTES).toString("base64url"),
      sampler: this.#sampler,
      streams: this.#streams,
      metrics: metricsOf(parts, { upMs: () => this.#sampler.upMs }),
      ready: () => this.#closing === undefined && isReady(parts.queue?.stats()),
    });
    this.#server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server;
  }

  /**
   * Starts listening and sampling.
   *
   * @throws OperationError DASHBOARD_LISTEN_FAILED; the cause has the system's error
   */
  async listen(): Promise<void> {
    const { host, port } = this.#listen;
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host, port }, resolve);
    }).catch((error: unknown) => {
      const why = codeOf(error) === "EADDRINUSE" ? "another program uses the port" : messageOf(error);
      throw new OperationError("DASHBOARD_LISTEN_FAILED", `Cannot listen at ${showAddress(this.#listen)}: ${why}`, {
        cause: error,
      });
    });
    const address = this.#server.address() as AddressInfo;
    this.#address = showAddress({ host: address.address, port: address.port });
    this.#sampler.start();
  }

  /** "127.0.0.1:8280"; empty before `listen`. */
  get address(): string {
    return this.#address;
  }

  /** Ends the pages' streams and stops listening. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#shut();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #shut(): Promise<void> {
    this.#sampler.stop();
    await Promise.all([this.#inspectors.lab.stop(), this.#inspectors.queue?.close()]);
    this.#streams.close();
    if (!this.#server.listening) return;
    const stopped = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    // A browser keeps its connection open after a stream has ended; it becomes idle only later.
    const sweep = setInterval(() => this.#server.closeIdleConnections(), SWEEP_MS);
    const timer = setTimeout(() => this.#server.closeAllConnections(), CLOSE_MS_MAX);
    await stopped;
    clearInterval(sweep);
    clearTimeout(timer);
  }
}

function checkToken(host: string, token: string | undefined): void {
  if (token !== undefined && token.length < TOKEN_CHARS_MIN) {
    throw new UsageError(
      "DASHBOARD_TOKEN_REQUIRED",
      `Cannot use the dashboard's token: it is shorter than ${TOKEN_CHARS_MIN} characters`,
    );
  }
  if (token === undefined && !isLoopback(host)) {
    throw new UsageError("DASHBOARD_TOKEN_REQUIRED", `The dashboard at ${host} needs an access token: give --dashboard-token`);
  }
}

/** The queue, if there is one, has its tasks at hand and takes new ones. */
function isReady(queue: BrokerNumbers | undefined): boolean {
  return queue?.starting === undefined && queue?.storeTrouble === undefined;
}
