/**
 * ● What a board consists of, whoever answers for who may look: the looking at the parts, the routes, the open pages, the farm. And the
 * one adapter from a fetch handler to node's servers.
 */
import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { getRequestListener } from "@hono/node-server";
import type { AccessControl } from "../../access/access-control.ts";
import { portOf } from "../../core/address.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import { Farm } from "../farm/farm.ts";
import { memberOf } from "../farm/member.ts";
import { CacheInspector } from "../inspectors/cache-inspector.ts";
import { QueueInspector } from "../inspectors/queue-inspector.ts";
import { MEMBER_NEWS_MS, TOKEN_BYTES } from "../limits.ts";
import { LinkLab } from "../link-lab/link-lab.ts";
import type { BrokerNumbers, MonitoredParts } from "../snapshot/monitored-parts.ts";
import { ArchiveFile } from "../snapshot/archive-file.ts";
import { Sampler } from "../snapshot/sampler.ts";
import { type ApiToken, checkTokens } from "../api/api-tokens.ts";
import type { Access } from "../access/access.ts";
import type { Inspectors } from "./api-routes.ts";
import type { NodeListener } from "./board.ts";
import { EventStreams } from "./event-streams.ts";
import { Metrics } from "./metrics.ts";
import { meterMetrics } from "./open-telemetry.ts";
import { routesOf } from "./routes.ts";

interface RunningBoardOptions {
  readonly parts: MonitoredParts;
  readonly root: string;
  readonly access: Access;
  /** The access file, for what it refuses is counted. */
  readonly control?: AccessControl | undefined;
  readonly apiTokens?: readonly ApiToken[] | string | undefined;
  readonly peers?: readonly string[] | undefined;
  readonly peersToken?: string | undefined;
  /** The file of the history; undefined: it ends with the process. */
  readonly history?: string | undefined;
  readonly clock?: Clock | undefined;
}

export class RunningBoard {
  readonly #sampler: Sampler;
  readonly #streams = new EventStreams();
  readonly #inspectors: Inspectors;
  readonly #app: ReturnType<typeof routesOf>;
  readonly #history: ArchiveFile;
  readonly #unmeter: () => void;
  #closing: Promise<void> | undefined;

  constructor({
    parts,
    root,
    access,
    control,
    apiTokens = [],
    peers = [],
    peersToken: token,
    history,
    clock = systemClock,
  }: RunningBoardOptions) {
    this.#history = new ArchiveFile(history, clock);
    const { archive, queues } = this.#history;
    const id = randomBytes(8).toString("hex");
    let toldMs = -Infinity;
    this.#sampler = new Sampler({
      parts,
      clock,
      onSnapshot: (snapshot) => {
        archive.add(snapshot);
        const numbers = this.#sampler.sample?.queue;
        if (numbers) queues.add(numbers, snapshot.wallMs);
        if (numbers?.cluster && clock.now() - toldMs >= MEMBER_NEWS_MS) {
          toldMs = clock.now();
          parts.queue?.tellGroup?.(memberOf(id, snapshot));
        }
        this.#streams.send("snapshot", snapshot);
      },
    });
    this.#inspectors = {
      sampler: this.#sampler,
      cache: parts.cache && new CacheInspector(parts.cache),
      queue: parts.queue && new QueueInspector(parts.queue),
      // A part may begin to listen after the board was made.
      get ports() {
        return [parts.cache, parts.queue, parts.link].flatMap((part) => (part && portOf(part.address)) ?? []);
      },
      lab: new LinkLab({ link: parts.link, clock, send: (summary) => this.#streams.send("lab", { lab: summary ?? null }) }),
    };
    const metrics = new Metrics(parts, { upMs: () => this.#sampler.upMs, access: control });
    this.#unmeter = meterMetrics(metrics);
    this.#app = routesOf({
      root,
      access,
      tokens: checkTokens(apiTokens),
      id,
      pageToken: randomBytes(TOKEN_BYTES).toString("base64url"),
      sampler: this.#sampler,
      archive,
      queueHistory: queues,
      streams: this.#streams,
      metrics,
      ready: () => this.#closing === undefined && isReady(parts),
      inspectors: this.#inspectors,
      farm: new Farm({ peers, token, clock }),
      hasPeers: peers.length > 0,
    });
  }

  /** Begins to look at the parts. */
  start(): void {
    this.#sampler.start();
    this.#history.start();
  }

  async fetch(request: Request): Promise<Response> {
    return this.#app.fetch(request);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#sampler.stop();
    this.#history.close();
    this.#unmeter();
    await Promise.all([this.#inspectors.lab.stop(), this.#inspectors.queue?.close()]);
    this.#streams.close();
  }
}

/** Express keeps the whole URL beside the rest of it, and a body that it has read; the adapter looks for one in `rawBody`. */
type ReadRequest = IncomingMessage & { originalUrl?: string; body?: unknown; rawBody?: Buffer };

/** A fetch handler for node's servers. */
export function nodeListener(answer: (request: Request) => Promise<Response>): NodeListener {
  const listener = getRequestListener(answer, { overrideGlobalObjects: false });
  return async (request: ReadRequest, response, given) => {
    if (request.originalUrl !== undefined) request.url = request.originalUrl;
    // As Express' next function, the third argument is no body.
    const body = typeof given === "function" || given === undefined ? request.body : given;
    if (body !== undefined && body !== null && request.rawBody === undefined) request.rawBody = bytesOf(body);
    await listener(request, response);
  };
}

function bytesOf(body: unknown): Buffer {
  if (body instanceof Uint8Array) return Buffer.from(body);
  return Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
}

/** The queue has its tasks at hand and takes new ones; each worker is connected to a broker. */
function isReady({ queue, workers }: MonitoredParts): boolean {
  const stats: BrokerNumbers | undefined = queue?.stats();
  const takesTasks = stats?.starting === undefined && stats?.storeTrouble === undefined;
  return takesTasks && (workers ?? []).every((worker) => worker.stats().brokers > 0);
}
