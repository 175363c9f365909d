/** ● The dashboard: a board (running-board.ts) behind an HTTP server of its own, on loopback or with a token. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { AccessControl } from "../../access/access-control.ts";
import { isLoopback, parseAddress, showAddress } from "../../core/address.ts";
import type { Clock } from "../../core/clock.ts";
import { OperationError, UsageError, codeOf, messageOf } from "../../core/errors.ts";
import { CLOSE_MS_MAX, LISTEN_DEFAULT, SWEEP_MS } from "../limits.ts";
import type { ApiToken } from "../api/api-tokens.ts";
import type { MonitoredParts } from "../snapshot/monitored-parts.ts";
import { loopbackAccess, tokenAccess, userAccess } from "../access/access.ts";
import { nodeListener, RunningBoard } from "./running-board.ts";

export interface DashboardOptions extends MonitoredParts {
  /** "HOST:PORT"; port 0 takes any free one. Default 127.0.0.1:8280. */
  readonly listen?: string;
  /** Access token for the page; required on a non-loopback address. */
  readonly token?: string | undefined;
  /** Tokens of the HTTP API, beside `token`: each with a name and scopes; or JSON of them. */
  readonly apiTokens?: readonly ApiToken[] | string | undefined;
  /** Who may what (docs/how-to/rights.md): users come with their tokens; who has `token` may everything. */
  readonly access?: AccessControl | undefined;
  /** Dashboards of other processes, shown on the same page: "HOST:PORT" each. They have the same token, or none. */
  readonly peers?: readonly string[] | undefined;
  /** The file in which a day and a month of the charts are kept over a restart. Default: none. */
  readonly history?: string | undefined;
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
  readonly #board: RunningBoard;
  readonly #server: Server;
  #address = "";
  #closing: Promise<void> | undefined;

  /**
   * Reads the options; does not listen yet.
   *
   * @throws UsageError DASHBOARD_TOKEN_REQUIRED on another address than loopback without a token of at least 16 characters
   */
  constructor({
    listen = LISTEN_DEFAULT,
    token,
    apiTokens,
    access: control,
    peers,
    history,
    clock,
    ...parts
  }: DashboardOptions = {}) {
    this.#listen = parseAddress(listen, "the dashboard's address");
    checkToken(this.#listen.host, token);
    const own = token === undefined ? loopbackAccess(() => this.#address) : tokenAccess(token);
    const access = control ? userAccess(control, own, { isOwnOpen: token === undefined }) : own;
    this.#board = new RunningBoard({ parts, root: "", access, control, apiTokens, peers, peersToken: token, history, clock });
    const listener = nodeListener((request) => this.#board.fetch(request));
    this.#server = createServer((request, response) => void listener(request, response));
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
    this.#board.start();
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
    await this.#board.close();
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
