/**
 * ● /metrics for Prometheus. The names are part of the public interface: never renamed, and listed by a test. Values are read from
 * the parts at each scrape.
 */
import { Counter, Gauge, Registry } from "prom-client";
import { wireCounts } from "../../queue/index.ts";
import type { MonitoredParts } from "../snapshot/monitored-parts.ts";

/** A registry of the metrics of these parts and of the process. */
export function metricsOf(parts: MonitoredParts, { upMs }: { upMs: () => number }): Registry {
  const registry = new Registry();
  const gauge = (name: string, help: string, read: () => number): void => {
    const metric: Gauge = new Gauge({ name, help, registers: [registry], collect: () => metric.set(read()) });
  };
  const counter = (name: string, help: string, read: () => number): void => {
    const metric: Counter = new Counter({
      name,
      help,
      registers: [registry],
      collect: () => {
        metric.reset();
        metric.inc(read());
      },
    });
  };
  gauge("holdfast_uptime_seconds", "Seconds since the dashboard started", () => upMs() / 1000);
  gauge("holdfast_process_resident_memory_bytes", "Resident memory of the process", () => process.memoryUsage.rss());
  counter("holdfast_process_cpu_seconds_total", "CPU time of the process", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  const { cache, queue, link } = parts;
  if (cache) {
    const stats = oncePerScrape(() => cache.stats());
    gauge("holdfast_cache_items", "Items stored", () => stats().items);
    gauge("holdfast_cache_bytes", "Memory used by items in bytes", () => stats().bytes);
    gauge("holdfast_cache_limit_bytes", "Memory limit for items in bytes", () => stats().limitBytes);
    gauge("holdfast_cache_connections", "Open connections", () => stats().connections);
    counter("holdfast_cache_gets_total", "Keys requested", () => stats().gets);
    counter("holdfast_cache_hits_total", "Keys requested and found", () => stats().hits);
    counter("holdfast_cache_misses_total", "Keys requested and not found", () => stats().misses);
    counter("holdfast_cache_sets_total", "Values stored", () => stats().sets);
    counter("holdfast_cache_deletes_total", "Keys deleted", () => stats().deletes);
    counter("holdfast_cache_evictions_total", "Items evicted before they expired", () => stats().evictions);
    counter("holdfast_cache_expired_total", "Expired items reclaimed", () => stats().expired);
    counter("holdfast_cache_read_bytes_total", "Bytes read from clients", () => stats().bytesRead);
    counter("holdfast_cache_written_bytes_total", "Bytes written to clients", () => stats().bytesWritten);
  }
  if (queue) addQueue(registry, queue, gauge);
  if (link) {
    const stats = oncePerScrape(() => link.stats());
    gauge("holdfast_link_connections", "Open connections", () => stats().open);
    counter("holdfast_link_accepted_total", "Connections accepted", () => stats().accepted);
    counter("holdfast_link_read_bytes_total", "Bytes read from peers", () => stats().bytesIn);
    counter("holdfast_link_written_bytes_total", "Bytes written to peers", () => stats().bytesOut);
    labelled(registry, {
      name: "holdfast_link_ended_total",
      help: "Connections that ended, by reason",
      labels: ["reason"],
      kind: Counter,
      read: () => Object.entries(stats().ended).map(([reason, count]) => [{ reason }, count ?? 0]),
    });
    gauge("holdfast_link_silent_connections", "Connections with unanswered keep-alive probes", () => {
      return stats().connections.filter(({ probesUnanswered }) => (probesUnanswered ?? 0) > 0).length;
    });
  }
  return registry;
}

function addQueue(
  registry: Registry,
  queue: NonNullable<MonitoredParts["queue"]>,
  gauge: (name: string, help: string, read: () => number) => void,
): void {
  const stats = oncePerScrape(() => queue.stats());
  gauge("holdfast_queue_bytes", "Bytes of tasks that have not ended", () => stats().bytes);
  gauge("holdfast_queue_limit_bytes", "Limit in bytes of tasks that have not ended", () => stats().bytesMax);
  gauge("holdfast_queue_peers", "Connected clients and workers", () => stats().peers);
  gauge("holdfast_queue_store_ok", "1 while the store accepts writes, else 0", () =>
    stats().storeTrouble === undefined ? 1 : 0,
  );
  if (stats().cluster) {
    gauge("holdfast_queue_leading", "1 while this broker leads its group, else 0", () =>
      stats().cluster?.role === "leading" ? 1 : 0,
    );
    gauge(
      "holdfast_queue_log_sequence",
      "Last sequence number in this broker's copy of the group's log",
      () => stats().cluster?.sequence ?? 0,
    );
    gauge("holdfast_queue_log_lag", "Log entries that this broker is behind the leader", () => stats().cluster?.lag ?? 0);
  }
  labelled(registry, {
    name: "holdfast_queue_tasks",
    help: "Tasks by queue and state, in the words of version 0.1: see holdfast_queue_tasks_by_state",
    labels: ["queue", "state"],
    kind: Gauge,
    read: () => stats().queues.flatMap(({ name, states }) => byState(name, wireCounts(states))),
  });
  labelled(registry, {
    name: "holdfast_queue_tasks_by_state",
    help: "Tasks by queue and state",
    labels: ["queue", "state"],
    kind: Gauge,
    read: () => stats().queues.flatMap(({ name, states }) => byState(name, states)),
  });
  labelled(registry, {
    name: "holdfast_queue_workers",
    help: "Connected workers by queue",
    labels: ["queue"],
    kind: Gauge,
    read: () => stats().queues.map(({ name, consumers }) => [{ queue: name }, consumers]),
  });
  for (const [metric, help, key] of [
    ["holdfast_queue_added_total", "Tasks added by queue, since the broker started", "added"],
    ["holdfast_queue_finished_total", "Tasks done by queue, since the broker started", "finished"],
    ["holdfast_queue_failures_total", "Failed attempts by queue, since the broker started", "failures"],
  ] as const) {
    const read = (): [Record<string, string>, number][] => stats().queues.map((each) => [{ queue: each.name }, each[key]]);
    labelled(registry, { name: metric, help, labels: ["queue"], kind: Counter, read });
  }
}

/** The same numbers for all metrics of one scrape, which are collected in one turn: making them costs as much as there are queues. */
function oncePerScrape<Numbers>(read: () => Numbers): () => Numbers {
  let numbers: Numbers | undefined;
  return () => {
    if (numbers === undefined) queueMicrotask(() => (numbers = undefined));
    return (numbers ??= read());
  };
}

function byState(queue: string, counts: object): [Record<string, string>, number][] {
  return Object.entries(counts).map(([state, count]: [string, number]) => [{ queue, state }, count]);
}

interface Labelled {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  readonly kind: typeof Counter | typeof Gauge;
  read(): [Record<string, string>, number][];
}

function labelled(registry: Registry, { name, help, labels, kind: Kind, read }: Labelled): void {
  const metric: Counter | Gauge = new Kind({
    name,
    help,
    labelNames: [...labels],
    registers: [registry],
    collect: () => {
      metric.reset();
      for (const [values, count] of read()) metric.inc(values, count);
    },
  });
}
