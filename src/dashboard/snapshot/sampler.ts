/**
 * ● Samples the parts once a second and derives rates, history and problems. The links are sampled less often on a machine with many
 * connections, where a sample is expensive, so that monitoring takes about a fiftieth of the CPU time.
 */
import type { Cancel, Clock } from "../../core/clock.ts";
import { History } from "./history.ts";
import { LINK_SAMPLE_MS_MAX, SAMPLE_MS, SAMPLE_SHARE } from "../limits.ts";
import { connectionPage } from "./connection-rows.ts";
import { LinkEvents } from "./link-events.ts";
import type { ListPage, ListRequest } from "./list-page.ts";
import type { ConnectionNumbers, LinkNumbers, MonitoredParts, Sample } from "./monitored-parts.ts";
import { ProblemList } from "./problem-list.ts";
import { queuePage, type QueueRow, queueRows } from "./queue-rows.ts";
import { snapshotOf, type Addresses, type Snapshot, type WholeSnapshot } from "./snapshot.ts";
import { workerPage, type WorkerRow } from "./worker-rows.ts";

/** Of a part that is not running. */
const EMPTY_PAGE = { total: 0, matched: 0, offset: 0, rows: [] };

export class Sampler {
  readonly history = new History();
  readonly linkEvents = new LinkEvents();
  readonly #parts: MonitoredParts;
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #problems = new ProblemList();
  readonly #onSnapshot: (snapshot: Snapshot) => void;
  #lastTwo: { readonly sample?: Sample; readonly before?: Sample | undefined } = {};
  #latest: Snapshot;
  #cancel: Cancel | undefined;
  /** The links' latest statistics, and when they are read again: reading costs a scan of the kernel's connection table. */
  #link: { readonly numbers: LinkNumbers; readonly atMs: number; readonly nextMs: number } | undefined;
  #linkBefore: { readonly numbers: LinkNumbers; readonly atMs: number } | undefined;

  constructor({ parts, clock, onSnapshot }: { parts: MonitoredParts; clock: Clock; onSnapshot: (snapshot: Snapshot) => void }) {
    this.#parts = parts;
    this.#clock = clock;
    this.#startedMs = clock.now();
    this.#onSnapshot = onSnapshot;
    this.#latest = this.#takeSnapshot();
  }

  /** What the newest snapshot was made of. */
  get sample(): Sample | undefined {
    return this.#lastTwo.sample;
  }

  get latest(): Snapshot {
    return this.#latest;
  }

  /** The latest snapshot with the beginnings of the lists, for `holdfast stats`: the fullest queues, the newest workers and so on. */
  get whole(): WholeSnapshot {
    const { queue, link, ...rest } = this.#latest;
    const rows = this.workers({}).rows;
    return {
      ...rest,
      queue: queue && {
        ...queue,
        queues: this.queues({}).rows,
        workerRows: rows.filter(({ leftMs }) => leftMs === undefined),
        workersLeft: rows.filter(({ leftMs }) => leftMs !== undefined),
      },
      link: link && { ...link, connections: this.connections({}).rows },
    };
  }

  /** The queues of the last sample, those that are asked for. */
  queues(request: Parameters<typeof queuePage>[1]): ListPage<QueueRow> {
    const { sample, before } = this.#lastTwo;
    if (!sample?.queue) return EMPTY_PAGE;
    const seconds = before ? Math.max(0.001, (sample.nowMs - before.nowMs) / 1000) : 0;
    return queuePage(queueRows(sample.queue, before?.queue, seconds), request);
  }

  workers(request: ListRequest): ListPage<WorkerRow> {
    const { sample } = this.#lastTwo;
    return sample?.queue ? workerPage(sample.queue, request) : EMPTY_PAGE;
  }

  connections(request: ListRequest): ListPage<ConnectionNumbers> {
    if (!this.#link) return EMPTY_PAGE;
    return connectionPage(this.#link.numbers.connections, this.#clock.now() - this.#link.atMs, request);
  }

  get upMs(): number {
    return this.#clock.now() - this.#startedMs;
  }

  start(): void {
    const startMs = this.#clock.now();
    this.#latest = this.#takeSnapshot();
    this.history.add(this.#latest);
    this.#onSnapshot(this.#latest);
    this.#cancel = this.#clock.at(startMs + SAMPLE_MS, () => this.start());
  }

  stop(): void {
    this.#cancel?.();
  }

  #takeSnapshot(): Snapshot {
    const sample = this.#sample();
    const before = this.#lastTwo.sample;
    const problems = this.#problems.update(sample, before);
    const addresses = addressesOf(this.#parts);
    const link = this.#link && { ...this.#link, before: this.#linkBefore };
    this.#lastTwo = { sample, before };
    return snapshotOf(sample, before, { addresses, startedMs: this.#startedMs, problems, link });
  }

  /** Reads the links' statistics when they are due: the more a read costs, the less often. */
  #sampleLink(): void {
    const now = this.#clock.now();
    if (!this.#parts.link || (this.#link && now < this.#link.nextMs)) return;
    const beforeMs = cpuMs();
    const numbers = this.#parts.link.stats();
    this.linkEvents.look(numbers, this.#clock.wallMs());
    const costMs = cpuMs() - beforeMs;
    this.#linkBefore = this.#link;
    this.#link = {
      numbers,
      atMs: now,
      nextMs: now + Math.max(SAMPLE_MS * 0.9, Math.min(costMs / SAMPLE_SHARE, LINK_SAMPLE_MS_MAX)),
    };
  }

  #sample(): Sample {
    const { cache, queue, workers } = this.#parts;
    this.#sampleLink();
    const { rss, heapUsed } = process.memoryUsage();
    return {
      nowMs: this.#clock.now(),
      wallMs: this.#clock.wallMs(),
      cache: cache?.stats(),
      queue: queue?.stats(),
      link: this.#link?.numbers,
      workers: workers?.map((worker) => worker.stats()),
      memory: { residentBytes: rss, heapBytes: heapUsed },
      cpuMs: cpuMs(),
    };
  }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function addressesOf({ cache, queue, link }: MonitoredParts): Addresses {
  return { cache: cache?.address, queue: queue?.address, link: link?.address };
}
