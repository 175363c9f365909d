/**
 * ● /metrics for Prometheus. The names are part of the public interface: never renamed, and listed by a test. Values are read from
 * the parts at each scrape.
 */
import type { AccessControl } from "../../access/access-control.ts";
import { wireCounts } from "../../queue/index.ts";
import { HISTOGRAM_QUEUES_MAX, QUEUE_SERIES_MAX } from "../limits.ts";
import {
  type BrokerNumbers,
  type CacheNumbers,
  type LinkNumbers,
  type MonitoredParts,
  type QueueNumbers,
  type WorkerPartNumbers,
} from "../snapshot/monitored-parts.ts";
import { exposition, type LabelledValue, type Metric } from "./exposition.ts";
import { NamedQueues, QueueLabels } from "./named-queues.ts";

/** Numbers at one moment: each part is asked once a scrape. */
interface Scrape {
  readonly cache?: CacheNumbers | undefined;
  readonly queue?: BrokerNumbers | undefined;
  readonly link?: LinkNumbers | undefined;
  readonly workers?: readonly WorkerPartNumbers[] | undefined;
  /** Each queue, and what goes beyond QUEUE_SERIES_MAX as one. */
  readonly queues?: readonly QueueNumbers[] | undefined;
  /** The same of those with histograms. */
  readonly timed?: readonly QueueNumbers[] | undefined;
}

/** undefined: there is nothing to count. */
type Read<T> = (now: T) => number | undefined;

/** The metrics of these parts and of the process. */
export class Metrics {
  readonly #parts: MonitoredParts;
  readonly #metrics: Metric[] = [];
  #now: Scrape = {};
  readonly #named = new NamedQueues(QUEUE_SERIES_MAX);
  readonly #timed = new NamedQueues(HISTOGRAM_QUEUES_MAX);
  readonly #labels = new QueueLabels();

  constructor(
    parts: MonitoredParts,
    { upMs, access }: { readonly upMs: () => number; readonly access?: AccessControl | undefined },
  ) {
    this.#parts = parts;
    this.#gauge("holdfast_uptime_seconds", "Seconds since the dashboard started", () => upMs() / 1000);
    this.#gauge("holdfast_process_resident_memory_bytes", "Resident memory of the process", () => process.memoryUsage.rss());
    this.#counter("holdfast_process_cpu_seconds_total", "CPU time of the process", () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    });
    if (access) this.#addAccess(access);
    if (parts.cache) this.#addCache();
    if (parts.queue) this.#addQueue();
    if (parts.link) this.#addLink();
    if (parts.workers) this.#addWorkers();
  }

  /** All that there are; their values are those of the last `read`. */
  get all(): readonly Metric[] {
    return this.#metrics;
  }

  /** In Prometheus' text format, as of now. */
  text(): string {
    this.read();
    return exposition(this.#metrics);
  }

  /** Asks each part once. */
  read(): void {
    const { cache, queue, link, workers } = this.#parts;
    const numbers = queue?.stats();
    const queues = numbers && this.#named.of(numbers.queues);
    if (queues) this.#labels.keep(queues);
    this.#now = {
      cache: cache?.stats(),
      queue: numbers,
      link: link?.stats(),
      workers: workers?.map((worker) => worker.stats()),
      queues,
      timed: numbers && this.#timed.of(numbers.queues),
    };
  }

  #addCache(): void {
    const of = (read: Read<CacheNumbers>) => () => read(this.#now.cache!);
    this.#gauge(
      "holdfast_cache_items",
      "Items stored",
      of(({ items }) => items),
    );
    this.#gauge(
      "holdfast_cache_bytes",
      "Memory used by items in bytes",
      of(({ bytes }) => bytes),
    );
    this.#gauge(
      "holdfast_cache_limit_bytes",
      "Memory limit for items in bytes",
      of(({ limitBytes }) => limitBytes),
    );
    this.#gauge(
      "holdfast_cache_connections",
      "Open connections",
      of(({ connections }) => connections),
    );
    this.#counter(
      "holdfast_cache_gets_total",
      "Keys requested",
      of(({ gets }) => gets),
    );
    this.#counter(
      "holdfast_cache_hits_total",
      "Keys requested and found",
      of(({ hits }) => hits),
    );
    this.#counter(
      "holdfast_cache_misses_total",
      "Keys requested and not found",
      of(({ misses }) => misses),
    );
    this.#counter(
      "holdfast_cache_sets_total",
      "Values stored",
      of(({ sets }) => sets),
    );
    this.#counter(
      "holdfast_cache_deletes_total",
      "Keys deleted",
      of(({ deletes }) => deletes),
    );
    this.#counter(
      "holdfast_cache_evictions_total",
      "Items evicted before they expired",
      of(({ evictions }) => evictions),
    );
    this.#counter(
      "holdfast_cache_returned_ghosts_total",
      "Evicted keys that were soon stored again: a larger memory would have kept them",
      of(({ ghostsReturned }) => ghostsReturned),
    );
    this.#counter(
      "holdfast_cache_expired_total",
      "Expired items reclaimed",
      of(({ expired }) => expired),
    );
    this.#counter(
      "holdfast_cache_read_bytes_total",
      "Bytes read from clients",
      of(({ bytesRead }) => bytesRead),
    );
    this.#counter(
      "holdfast_cache_written_bytes_total",
      "Bytes written to clients",
      of(({ bytesWritten }) => bytesWritten),
    );
  }

  #addQueue(): void {
    const of = (read: Read<BrokerNumbers>) => () => read(this.#now.queue!);
    const queues = (): readonly QueueNumbers[] => this.#now.queues!;
    const labels = this.#labels;
    this.#gauge(
      "holdfast_queue_bytes",
      "Bytes of tasks that have not ended",
      of(({ bytes }) => bytes),
    );
    this.#gauge(
      "holdfast_queue_limit_bytes",
      "Limit in bytes of tasks that have not ended",
      of(({ bytesMax }) => bytesMax),
    );
    this.#gauge(
      "holdfast_queue_peers",
      "Connected clients and workers",
      of(({ peers }) => peers),
    );
    this.#gauge(
      "holdfast_queue_store_ok",
      "1 while the store accepts writes, else 0",
      of(({ storeTrouble }) => (storeTrouble === undefined ? 1 : 0)),
    );
    if (this.#parts.queue!.stats().cluster) {
      this.#gauge(
        "holdfast_queue_leading",
        "1 while this broker leads its group, else 0",
        of(({ cluster }) => (cluster?.role === "leading" ? 1 : 0)),
      );
      this.#gauge(
        "holdfast_queue_log_sequence",
        "Last sequence number in this broker's copy of the group's log",
        of(({ cluster }) => cluster?.sequence ?? 0),
      );
      this.#gauge(
        "holdfast_queue_log_lag",
        "Log entries that this broker is behind the leader",
        of(({ cluster }) => cluster?.lag ?? 0),
      );
    }
    this.#metrics.push({
      name: "holdfast_queue_tasks",
      help: "Tasks by queue and state, in the words of version 0.1: see holdfast_queue_tasks_by_state",
      type: "gauge",
      read: () => queues().flatMap(({ name, states }) => labels.byState(name, wireCounts(states))),
    });
    this.#metrics.push({
      name: "holdfast_queue_tasks_by_state",
      help: "Tasks by queue and state",
      type: "gauge",
      read: () => queues().flatMap(({ name, states }) => labels.byState(name, states)),
    });
    this.#metrics.push({
      name: "holdfast_queue_workers",
      help: "Connected workers by queue",
      type: "gauge",
      read: () => queues().map(({ name, consumers }) => [labels.of(name), consumers]),
    });
    for (const [name, help, key] of [
      ["holdfast_queue_added_total", "Tasks added by queue, since the broker started", "added"],
      ["holdfast_queue_finished_total", "Tasks done by queue, since the broker started", "finished"],
      ["holdfast_queue_failures_total", "Failed attempts by queue, since the broker started", "failures"],
    ] as const) {
      const read = (): LabelledValue[] => queues().map((each) => [labels.of(each.name), each[key]]);
      this.#metrics.push({ name, help, type: "counter", read });
    }
    for (const [name, help, key] of [
      ["holdfast_queue_wait_seconds", "How long tasks waited for a worker, by queue", "waits"],
      ["holdfast_queue_run_seconds", "How long attempts ran that completed or failed, by queue", "runs"],
    ] as const) {
      const read = (): LabelledValue[] =>
        this.#now.timed!.flatMap((each) => (each[key] ? labels.byBound(each.name, each[key]) : []));
      this.#metrics.push({ name, help, type: "histogram", read });
    }
  }

  #addLink(): void {
    const of = (read: Read<LinkNumbers>) => () => read(this.#now.link!);
    this.#gauge(
      "holdfast_link_connections",
      "Open connections",
      of(({ open }) => open),
    );
    this.#counter(
      "holdfast_link_accepted_total",
      "Connections accepted",
      of(({ accepted }) => accepted),
    );
    this.#counter(
      "holdfast_link_read_bytes_total",
      "Bytes read from peers",
      of(({ bytesIn }) => bytesIn),
    );
    this.#counter(
      "holdfast_link_written_bytes_total",
      "Bytes written to peers",
      of(({ bytesOut }) => bytesOut),
    );
    this.#metrics.push({
      name: "holdfast_link_ended_total",
      help: "Connections that ended, by reason",
      type: "counter",
      read: () => Object.entries(this.#now.link!.ended).map(([reason, count]) => [{ reason }, count ?? 0]),
    });
    this.#gauge(
      "holdfast_link_silent_connections",
      "Connections with unanswered keep-alive probes",
      of(({ connections }) => connections.filter(({ probesUnanswered }) => (probesUnanswered ?? 0) > 0).length),
    );
    this.#addSessions();
  }

  /** Numbers of session mode; without values where a server has none. */
  #addSessions(): void {
    const presences = ["online", "away"] as const;
    const add = (name: string, help: string, type: "gauge" | "counter", read: (link: LinkNumbers) => LabelledValue[]): void =>
      void this.#metrics.push({ name, help, type, read: () => read(this.#now.link!) });
    add("holdfast_link_sessions", "Sessions by presence", "gauge", ({ sessions }) =>
      sessions
        ? presences.map((each) => [{ presence: each }, sessions.filter(({ presence }) => presence === each).length])
        : [],
    );
    add("holdfast_link_waiting_messages", "Messages to clients that they have not confirmed", "gauge", ({ sessions }) =>
      sessions ? [[{}, sessions.reduce((sum, { unconfirmed }) => sum + unconfirmed, 0)]] : [],
    );
    add("holdfast_link_held_bytes", "Bytes of messages held for sessions", "gauge", ({ heldBytes }) =>
      heldBytes === undefined ? [] : [[{}, heldBytes]],
    );
    for (const [name, help, key] of [
      ["holdfast_link_begun_sessions_total", "Sessions begun", "begun"],
      ["holdfast_link_resumed_sessions_total", "Sessions that went on after a reconnect", "resumed"],
      ["holdfast_link_restarted_sessions_total", "Sessions whose client was started anew or replaced", "restarted"],
      ["holdfast_link_messages_total", "Messages from clients", "received"],
      ["holdfast_link_refused_messages_total", "Messages that their handlers refused", "refused"],
      ["holdfast_link_lost_messages_total", "Messages that clients gave up", "lost"],
      ["holdfast_link_unconfirmed_messages_total", "Messages to clients given up or in doubt", "unconfirmed"],
      [
        "holdfast_link_dropped_messages_total",
        "Unconfirmed messages, and topics' for full subscribers, that were dropped",
        "dropped",
      ],
      ["holdfast_link_wills_total", "Wills announced", "wills"],
    ] as const)
      add(name, help, "counter", ({ counts }) => (counts ? [[{}, counts[key]]] : []));
  }

  #addAccess({ refused }: AccessControl): void {
    const read = (): LabelledValue[] => Object.entries(refused).map(([part, count]) => [{ part }, count]);
    const help = "Requests for which the access file gives no right, by part";
    this.#metrics.push({ name: "holdfast_access_refused_total", help, type: "counter", read });
  }

  #addWorkers(): void {
    for (const [name, help, key, type] of [
      ["holdfast_worker_active_tasks", "Handlers that run now, by queue", "running", "gauge"],
      ["holdfast_worker_slots", "Handlers that may run at once, by queue", "concurrency", "gauge"],
      ["holdfast_worker_brokers", "Brokers that give work to this worker, by queue", "brokers", "gauge"],
      ["holdfast_worker_completed_total", "Attempts that completed their task, by queue", "completed", "counter"],
      ["holdfast_worker_failures_total", "Attempts that failed, by queue", "failed", "counter"],
    ] as const) {
      const read = (): LabelledValue[] => this.#now.workers!.map((each) => [{ queue: each.queue }, each[key]]);
      this.#metrics.push({ name, help, type, read });
    }
  }

  #gauge(name: string, help: string, read: () => number | undefined): void {
    this.#metrics.push({ name, help, type: "gauge", read: () => sampleOf(read()) });
  }

  #counter(name: string, help: string, read: () => number | undefined): void {
    this.#metrics.push({ name, help, type: "counter", read: () => sampleOf(read()) });
  }
}

function sampleOf(value: number | undefined): readonly LabelledValue[] {
  return value === undefined ? [] : [[{}, value]];
}
