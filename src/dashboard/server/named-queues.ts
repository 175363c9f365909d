/**
 * ○ Queues in /metrics: which of them have series of their own, and the labels of these. Invariant: whatever there are of queues, no more
 * than `max` are told by name; one that is keeps its name for as long as it is there, since series that come and go are of no use.
 */
import { addLatencies, LATENCY_BOUNDS_MS, type LatencyCounts } from "../../core/latency-histogram.ts";
import { type QueueNumbers, TASK_STATES, type TaskStates } from "../snapshot/monitored-parts.ts";
import { OTHERS } from "../snapshot/queue-history.ts";
import type { LabelledValue, Labels } from "./exposition.ts";

export class NamedQueues {
  readonly #max: number;
  #named: ReadonlySet<string> = new Set();

  constructor(max: number) {
    this.#max = max;
  }

  /** Each by itself, and those beyond the bound as one; of new ones the busiest are named. */
  of(queues: readonly QueueNumbers[]): readonly QueueNumbers[] {
    const old = queues.filter(({ name }) => this.#named.has(name));
    const rest = queues.filter(({ name }) => !this.#named.has(name));
    if (queues.length > this.#max) rest.sort((a, b) => b.added + b.finished - a.added - a.finished);
    this.#named = new Set([...old, ...rest].slice(0, this.#max).map(({ name }) => name));
    if (queues.length <= this.#max) return queues;
    const others = queues.filter(({ name }) => !this.#named.has(name));
    return [...queues.filter(({ name }) => this.#named.has(name)), togetherAs(OTHERS, others)];
  }
}

/** The labels of one queue, made once. */
interface OneQueue {
  readonly itself: Labels;
  readonly states: Map<string, Labels>;
  readonly bounds: readonly Labels[];
}

/** Labels that stay the same objects from scrape to scrape, so that they are put into words once (exposition.ts). */
export class QueueLabels {
  #queues = new Map<string, OneQueue>();

  /** Forgets the labels of all others. */
  keep(queues: readonly QueueNumbers[]): void {
    if (this.#queues.size <= queues.length + 1) return;
    const names = new Set([OTHERS, ...queues.map(({ name }) => name)]);
    this.#queues = new Map([...this.#queues].filter(([name]) => names.has(name)));
  }

  of(name: string): Labels {
    return this.#one(name).itself;
  }

  byState(name: string, counts: object): LabelledValue[] {
    const { states } = this.#one(name);
    return Object.entries(counts).map(([state, count]: [string, number]) => {
      let labels = states.get(state);
      if (!labels) states.set(state, (labels = { queue: name, state }));
      return [labels, count];
    });
  }

  /** As Prometheus has histograms: each bucket counts what the smaller ones do too, in seconds. */
  byBound(name: string, { counts, sumMs }: LatencyCounts): LabelledValue[] {
    const { bounds, itself } = this.#one(name);
    let total = 0;
    const buckets = bounds.map((labels, index): LabelledValue => [labels, (total += counts[index] ?? 0), "_bucket"]);
    return [...buckets, [itself, sumMs / 1000, "_sum"], [itself, total, "_count"]];
  }

  #one(name: string): OneQueue {
    let one = this.#queues.get(name);
    if (!one) {
      const bounds = [...LATENCY_BOUNDS_MS.map((ms) => `${ms / 1000}`), "+Inf"].map((le) => ({ queue: name, le }));
      one = { itself: { queue: name }, states: new Map(), bounds };
      this.#queues.set(name, one);
    }
    return one;
  }
}

function togetherAs(name: string, queues: readonly QueueNumbers[]): QueueNumbers {
  const total = (read: (queue: QueueNumbers) => number): number => queues.reduce((sum, each) => sum + read(each), 0);
  const states = TASK_STATES.map((state) => [state, total((each) => each.states[state])]);
  return {
    name,
    states: Object.fromEntries(states) as TaskStates,
    bytes: total(({ bytes }) => bytes),
    consumers: total(({ consumers }) => consumers),
    slots: total(({ slots }) => slots),
    added: total(({ added }) => added),
    finished: total(({ finished }) => finished),
    failures: total(({ failures }) => failures),
    settings: {},
    waits: queues.map(({ waits }) => waits).reduce(addLatencies, undefined),
    runs: queues.map(({ runs }) => runs).reduce(addLatencies, undefined),
  };
}
