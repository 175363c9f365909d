/**
 * ● A board: the page, metrics, health and API of the parts of this process, as one fetch handler. The dashboard (dashboard.ts) is a
 * node server over it; an application mounts it where it likes.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { UsageError } from "../../core/errors.ts";
import type { ApiToken } from "../api/api-tokens.ts";
import type { MonitoredParts } from "../snapshot/monitored-parts.ts";
import { applicationAccess, type Authorize, openAccess } from "../access/access.ts";
import { nodeListener, RunningBoard } from "./running-board.ts";

/** Which parts a board shows, where, and to whom. */
export interface BoardOptions extends MonitoredParts {
  /**
   * Who may look and act, asked of every request but those to /health and /ready: true lets it in; a Response (a redirect to a login page,
   * say) is the answer; false is answered 401. What it throws is answered 500.
   */
  readonly authorize?: Authorize;
  /** Instead of `authorize`: everybody who can reach it may look and act. */
  readonly open?: boolean;
  /** With `open`: names under which it is asked for, beside IP addresses and localhost. */
  readonly hosts?: readonly string[];
  /** Where it is mounted: "/ops". Default "/". */
  readonly path?: string;
  /** Tokens of the HTTP API (/api/v1), beside whom `authorize` lets in: each with a name and scopes. */
  readonly apiTokens?: readonly ApiToken[];
  /** Boards of other processes, shown on the same page: "HOST:PORT", or the URL of a mounted board. */
  readonly peers?: readonly string[];
  /** Sent to the peers as `Authorization: Bearer …`. */
  readonly peersToken?: string;
  /** The file in which a day and a month of the charts are kept over a restart, less than 300 kB. Default: none. */
  readonly history?: string;
}

/** A fetch handler: a request in, its answer out. */
export interface Board {
  (request: Request): Promise<Response>;
  /** The same for servers that speak node's own types: Express, Nest, Fastify, node:http. It is no method: it can be passed on alone. */
  readonly node: NodeListener;
  /** Ends the open pages' streams, and the looking. May be called twice. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Answers a request of a node server. `body`: what the server has read of it already; what is neither text nor bytes was JSON. */
export type NodeListener = (request: IncomingMessage, response: ServerResponse, body?: unknown) => Promise<void>;

/**
 * The board of the parts given to it.
 *
 * @throws UsageError DASHBOARD_AUTHORIZE_REQUIRED without `authorize`, unless `open: true`; DASHBOARD_OPTIONS_INVALID
 * @example
 * const ops = board({ queue: broker, path: "/ops", authorize: (request) => isOperator(request) });
 * app.all("/ops/*", (context) => ops(context.req.raw)); // Hono
 */
export function board({
  authorize,
  open,
  hosts = [],
  path = "/",
  apiTokens,
  peers,
  peersToken,
  history,
  ...parts
}: BoardOptions = {}): Board {
  if (authorize !== undefined && typeof authorize !== "function")
    throw new UsageError("DASHBOARD_OPTIONS_INVALID", "Cannot make the board: authorize is no function");
  if (!authorize && open !== true) {
    throw new UsageError(
      "DASHBOARD_AUTHORIZE_REQUIRED",
      "Cannot make the board: say who may look and act, authorize: (request) => …, or that everybody may, open: true",
    );
  }
  if (!/^\/([\w.~-]+(\/[\w.~-]+)*)?\/?$/.test(path))
    throw new UsageError("DASHBOARD_OPTIONS_INVALID", `Cannot make the board: path '${path}' is not like /ops`);
  const running = new RunningBoard({
    parts,
    root: path.replace(/\/$/, ""),
    access: authorize ? applicationAccess(authorize) : openAccess(hosts),
    apiTokens,
    peers,
    peersToken,
    history,
  });
  running.start();
  const answer = (request: Request): Promise<Response> => running.fetch(request);
  const close = (): Promise<void> => running.close();
  return Object.assign(answer, { node: nodeListener(answer), close, [Symbol.asyncDispose]: close });
}
