/**
 * ○ Problems that an operator must act on: what happens, where, and what to do. A condition is reported only after it has lasted for
 * some time, with its duration.
 */
import { showDuration, showSize } from "../../core/units.ts";
import type { Sample } from "./monitored-parts.ts";

export interface Problem {
  /** Identifies the condition while it lasts. */
  readonly key: string;
  readonly level: "bad" | "warning";
  readonly part: "cache" | "queue" | "link";
  readonly text: string;
  readonly sinceMs: number;
}

interface Condition {
  readonly key: string;
  readonly level: Problem["level"];
  readonly part: Problem["part"];
  /** Reported only after it has lasted this long. */
  readonly afterMs: number;
  text(lastedMs: number): string;
}

/** 60 s: during a deployment a queue may wait this long. */
const QUEUE_STUCK_MS = 60_000;
/** 10 s with evictions in every sample: the working set does not fit into memory. */
const EVICTING_MS = 10_000;
/** 90 %: a burst can fill the rest. */
const FULL_SHARE = 0.9;

/** Keeps the start time of each condition. */
export class ProblemList {
  readonly #since = new Map<string, number>();

  /** The problems of a sample, worst first, then oldest first. */
  update(sample: Sample, before: Sample | undefined): Problem[] {
    const { nowMs } = sample;
    const conditions = [...cacheConditions(sample, before), ...queueConditions(sample, before), ...linkConditions(sample)];
    const holding = new Set(conditions.map(({ key }) => key));
    for (const key of this.#since.keys()) if (!holding.has(key)) this.#since.delete(key);
    const problems = conditions.flatMap(({ key, level, part, afterMs, text }) => {
      const since = this.#since.get(key) ?? nowMs;
      this.#since.set(key, since);
      const lastedMs = nowMs - since;
      return lastedMs < afterMs ? [] : [{ key, level, part, text: text(lastedMs), sinceMs: sample.wallMs - lastedMs }];
    });
    return problems.sort((a, b) => Number(a.level === "warning") - Number(b.level === "warning") || a.sinceMs - b.sinceMs);
  }
}

function* cacheConditions({ cache }: Sample, before: Sample | undefined): Generator<Condition> {
  const evicted = cache && before?.cache ? cache.evictions - before.cache.evictions : 0;
  if (!cache || evicted <= 0) return;
  yield {
    key: "cache:evicting",
    level: "warning",
    part: "cache",
    afterMs: EVICTING_MS,
    text: (ms) =>
      `The cache has been evicting unexpired items for ${showDuration(ms)}: its memory limit of ${showSize(cache.limitBytes)} is too small`,
  };
}

function* queueConditions({ queue }: Sample, before: Sample | undefined): Generator<Condition> {
  if (!queue) return;
  const { storeTrouble, bytes, bytesMax } = queue;
  if (storeTrouble !== undefined) {
    yield { key: "queue:store", level: "bad", part: "queue", afterMs: 0, text: () => `New tasks are refused: ${storeTrouble}` };
  }
  if (bytes > bytesMax * FULL_SHARE) {
    const text = `The queue holds ${showSize(bytes)} of at most ${showSize(bytesMax)}: when it is full, producers wait or are refused`;
    yield { key: "queue:full", level: bytes >= bytesMax ? "bad" : "warning", part: "queue", afterMs: 0, text: () => text };
  }
  const earlier = new Map(before?.queue?.queues.map((each) => [each.name, each]));
  for (const { name, states, consumers, settings, finished, failures } of queue.queues) {
    const past = earlier.get(name);
    const still = past !== undefined && past.finished === finished && past.failures === failures;
    if (states.waiting > 0 && settings.paused) yield stuck(name, (ms) => pausedText(name, consumers, ms));
    else if (states.waiting > 0 && consumers === 0) {
      yield stuck(name, (ms) => `${tasks(states.waiting)} have waited ${showDuration(ms)} in ${name}: no worker is connected`);
    } else if (states.waiting > 0 && still && states.active > 0) {
      yield stuck(
        name,
        (ms) =>
          `${name} has finished nothing for ${showDuration(ms)}: ${workers(consumers)} busy, ${tasks(states.waiting)} wait`,
      );
    }
    if (states.dead > 0) {
      const text = `${name} has ${states.dead} dead ${states.dead === 1 ? "task" : "tasks"}: read the errors, then retry or purge`;
      yield { key: `queue:dead:${name}`, level: "warning", part: "queue", afterMs: 0, text: () => text };
    }
  }
}

function stuck(name: string, text: (ms: number) => string): Condition {
  return { key: `queue:stuck:${name}`, level: "bad", part: "queue", afterMs: QUEUE_STUCK_MS, text };
}

function pausedText(name: string, consumers: number, ms: number): string {
  const who = consumers === 0 ? "No worker is connected" : `${workers(consumers)} connected but idle for ${showDuration(ms)}`;
  return `${who}: queue ${name} is paused`;
}

function* linkConditions({ link }: Sample): Generator<Condition> {
  if (!link) return;
  const silent = link.connections.filter(({ probesUnanswered }) => (probesUnanswered ?? 0) > 0);
  if (silent.length === 0) return;
  const first = silent.reduce((a, b) => ((b.probesUnanswered ?? 0) > (a.probesUnanswered ?? 0) ? b : a));
  const missed = `${first.probesUnanswered} of ${first.keepAlive?.count ?? "?"} probes unanswered`;
  const text =
    silent.length === 1
      ? `${first.peer} does not answer: ${missed}`
      : `${silent.length} peers do not answer; ${first.peer} will be closed first: ${missed}`;
  yield { key: "link:silent", level: "warning", part: "link", afterMs: 0, text: () => text };
}

function tasks(count: number): string {
  return count === 1 ? "1 task" : `${count} tasks`;
}

function workers(count: number): string {
  return count === 1 ? "1 worker" : `${count} workers`;
}
