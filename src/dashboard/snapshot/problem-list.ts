/**
 * ○ Problems that an operator must act on: what happens, where, and what to do. A condition is reported only after it has lasted for
 * some time, with its duration; the same condition of many queues is one problem.
 */
import { showDuration, showSize } from "../../core/units.ts";
import type { QueueNumbers, Sample } from "./monitored-parts.ts";
import { type QueueTrouble, troublesOf } from "./queue-rows.ts";

export interface Problem {
  /** Identifies the condition while it lasts. */
  readonly key: string;
  readonly level: "bad" | "warning";
  readonly part: "cache" | "queue" | "link";
  readonly text: string;
  readonly sinceMs: number;
  /** Where the page shows more: "queue/emails?state=dead". */
  readonly link: string;
}

interface Condition {
  readonly key: string;
  readonly level: Problem["level"];
  readonly part: Problem["part"];
  /** Reported only after it has lasted this long. */
  readonly afterMs: number;
  readonly link: string;
  text(lastedMs: number): string;
  /** The same of several queues is told as one. */
  readonly of?: { readonly trouble: QueueTrouble; readonly queue: QueueNumbers };
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
    const { nowMs, wallMs } = sample;
    const conditions = [...cacheConditions(sample, before), ...queueConditions(sample, before), ...linkConditions(sample)];
    const holding = new Set(conditions.map(({ key }) => key));
    for (const key of this.#since.keys()) if (!holding.has(key)) this.#since.delete(key);
    const lasting = conditions.flatMap((condition) => {
      const since = this.#since.get(condition.key) ?? nowMs;
      this.#since.set(condition.key, since);
      const lastedMs = nowMs - since;
      return lastedMs < condition.afterMs ? [] : [{ ...condition, lastedMs }];
    });
    const problems = grouped(lasting).map(({ key, level, part, link, text, lastedMs }) => ({
      key,
      level,
      part,
      link,
      text: text(lastedMs),
      sinceMs: wallMs - lastedMs,
    }));
    return problems.sort((a, b) => Number(a.level === "warning") - Number(b.level === "warning") || a.sinceMs - b.sinceMs);
  }
}

type Lasting = Condition & { readonly lastedMs: number };

/** One condition for each trouble that more than one queue has. */
function grouped(lasting: readonly Lasting[]): Lasting[] {
  const alone = lasting.filter(({ of }) => of === undefined);
  const byTrouble = Map.groupBy(
    lasting.filter(({ of }) => of !== undefined),
    ({ of }) => of!.trouble,
  );
  return [...alone, ...Array.from(byTrouble, ([trouble, same]) => (same.length === 1 ? same[0]! : together(trouble, same)))];
}

function together(trouble: QueueTrouble, same: readonly Lasting[]): Lasting {
  const { level, part, afterMs } = same[0]!;
  const all = same.map(({ of }) => of!.queue);
  const state = trouble === "dead" ? "dead" : "waiting";
  const most = all.toSorted((a, b) => b.states[state] - a.states[state]);
  const count = all.reduce((sum, { states }) => sum + states[state], 0);
  const [first, second] = most.map(({ name }) => name);
  const names = all.length === 2 ? `${first} and ${second}` : `${first}, ${second} and ${all.length - 2} more`;
  const say: Record<QueueTrouble, (ms: number) => string> = {
    "no-worker": (ms) => `${all.length} queues have no worker: ${tasks(count)} wait, for up to ${showDuration(ms)} (${names})`,
    paused: (ms) => `${all.length} queues are paused: ${tasks(count)} wait, for up to ${showDuration(ms)} (${names})`,
    stalled: (ms) =>
      `${all.length} queues have finished nothing for up to ${showDuration(ms)}: ${tasks(count)} wait (${names})`,
    dead: () => `${all.length} queues have ${tasks(count, "dead ")}: read the errors, then retry or purge (${names})`,
  };
  // The worst of them, in the list of those like it.
  const link = `queue/${encodeURIComponent(first!)}?only=${trouble}${trouble === "dead" ? "&state=dead" : ""}`;
  const lastedMs = Math.max(...same.map((each) => each.lastedMs));
  return { key: `queue:${trouble}`, level, part, afterMs, lastedMs, text: say[trouble], link };
}

function* cacheConditions({ cache }: Sample, before: Sample | undefined): Generator<Condition> {
  const evicted = cache && before?.cache ? cache.evictions - before.cache.evictions : 0;
  if (!cache || evicted <= 0) return;
  yield {
    key: "cache:evicting",
    level: "warning",
    part: "cache",
    link: "cache",
    afterMs: EVICTING_MS,
    text: (ms) =>
      `The cache has been evicting unexpired items for ${showDuration(ms)}: its memory limit of ${showSize(cache.limitBytes)} is too small`,
  };
}

function* queueConditions({ queue }: Sample, before: Sample | undefined): Generator<Condition> {
  if (!queue) return;
  const { starting, storeTrouble, bytes, bytesMax } = queue;
  const at = { part: "queue", link: "queue" } as const;
  if (starting !== undefined) {
    const text = `The queue is starting: ${starting} % of its tasks are read`;
    yield { ...at, key: "queue:starting", level: "warning", afterMs: 0, text: () => text };
  }
  if (storeTrouble !== undefined) {
    yield { ...at, key: "queue:store", level: "bad", afterMs: 0, text: () => `New tasks are refused: ${storeTrouble}` };
  }
  if (bytes > bytesMax * FULL_SHARE) {
    const text = `The queue holds ${showSize(bytes)} of at most ${showSize(bytesMax)}: when it is full, producers wait or are refused`;
    yield { ...at, key: "queue:full", level: bytes >= bytesMax ? "bad" : "warning", afterMs: 0, text: () => text };
  }
  const earlier = new Map(before?.queue?.queues.map((each) => [each.name, each]));
  for (const each of queue.queues) {
    const past = earlier.get(each.name);
    const isStill = past !== undefined && past.finished === each.finished && past.failures === each.failures;
    const paused = each.settings.paused === true;
    for (const trouble of troublesOf({ states: each.states, workers: each.consumers, paused, isStill })) {
      yield {
        key: `queue:${trouble === "dead" ? "dead" : "stuck"}:${each.name}`,
        level: trouble === "dead" ? "warning" : "bad",
        part: "queue",
        link: `queue/${encodeURIComponent(each.name)}${trouble === "dead" ? "?state=dead" : ""}`,
        afterMs: trouble === "dead" ? 0 : QUEUE_STUCK_MS,
        text: (ms) => textOf(trouble, each, ms),
        of: { trouble, queue: each },
      };
    }
  }
}

function textOf(trouble: QueueTrouble, { name, states, consumers }: QueueNumbers, ms: number): string {
  switch (trouble) {
    case "dead":
      return `${name} has ${tasks(states.dead, "dead ")}: read the errors, then retry or purge`;
    case "paused":
      return consumers === 0
        ? `No worker is connected: queue ${name} is paused`
        : `${workers(consumers)} connected but idle for ${showDuration(ms)}: queue ${name} is paused`;
    case "no-worker":
      return `${tasks(states.waiting)} ${states.waiting === 1 ? "has" : "have"} waited ${showDuration(ms)} in ${name}: no worker is connected`;
    default:
      return `${name} has finished nothing for ${showDuration(ms)}: ${workers(consumers)} busy, ${tasks(states.waiting)} ${states.waiting === 1 ? "waits" : "wait"}`;
  }
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
  yield { key: "link:silent", level: "warning", part: "link", link: "link", afterMs: 0, text: () => text };
}

function tasks(count: number, kind = ""): string {
  return count === 1 ? `1 ${kind}task` : `${count.toLocaleString("en")} ${kind}tasks`;
}

function workers(count: number): string {
  return count === 1 ? "1 worker" : `${count} workers`;
}
