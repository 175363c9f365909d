/**
 * ○ The last value of each topic that was published to be kept, for subscribers to come (MQTT: retained messages). A tree with a level of
 * the topics at each edge, so that a filter visits what it can match. Invariant: `bytes` is what the values are charged with, at most
 * `bytesMax`.
 */
import { KEPT_COST_BYTES } from "../limits.ts";

/** A topic's last value. */
export interface KeptValue {
  readonly topic: string;
  readonly bytes: Uint8Array;
  /** Infinity for ever. */
  readonly expiresAtMs: number;
}

interface Branch {
  readonly children: Map<string, Branch>;
  value: KeptValue | undefined;
}

export class KeptValues {
  readonly #root: Branch = { children: new Map(), value: undefined };
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** What it will be with this value; undefined when that is too much. */
  bytesWith(value: KeptValue, nowMs: number): number | undefined {
    const bytes = (): number => this.#bytes + costOf(value) - costOf(this.#find(value.topic)?.value);
    if (bytes() > this.#bytesMax) this.#expire(this.#root, nowMs);
    return bytes() > this.#bytesMax ? undefined : bytes();
  }

  set(value: KeptValue): void {
    let node = this.#root;
    for (const level of value.topic.split("/")) {
      let child = node.children.get(level);
      if (!child) node.children.set(level, (child = { children: new Map(), value: undefined }));
      node = child;
    }
    this.#bytes += costOf(value) - costOf(node.value);
    node.value = value;
  }

  delete(topic: string): void {
    this.#delete(this.#root, topic.split("/"));
  }

  /** Those that a filter matches and that have not expired. */
  matching(filter: string, nowMs: number): KeptValue[] {
    const found: KeptValue[] = [];
    const levels = filter.split("/");
    const take = ({ value }: Branch): void => void (value && value.expiresAtMs > nowMs && found.push(value));
    const visit = (node: Branch, at: number): void => {
      const level = levels[at];
      if (level === undefined) take(node);
      else if (level === "#") {
        if (at > 0) take(node);
        for (const child of this.#below(node, at)) this.#all(child, take);
      } else if (level === "+") for (const child of this.#below(node, at)) visit(child, at + 1);
      else {
        const child = node.children.get(level);
        if (child) visit(child, at + 1);
      }
    };
    visit(this.#root, 0);
    return found;
  }

  /** The branches that a wildcard stands for. */
  #below(node: Branch, at: number): Branch[] {
    if (at > 0) return [...node.children.values()];
    return [...node.children].filter(([level]) => !level.startsWith("$")).map(([, child]) => child);
  }

  #all(node: Branch, take: (node: Branch) => void): void {
    take(node);
    for (const child of node.children.values()) this.#all(child, take);
  }

  #find(topic: string): Branch | undefined {
    let node: Branch | undefined = this.#root;
    for (const level of topic.split("/")) node = node?.children.get(level);
    return node;
  }

  #delete(node: Branch, levels: readonly string[]): void {
    const [level, ...below] = levels;
    if (level === undefined) {
      this.#bytes -= costOf(node.value);
      node.value = undefined;
      return;
    }
    const child = node.children.get(level);
    if (!child) return;
    this.#delete(child, below);
    if (child.children.size === 0 && !child.value) node.children.delete(level);
  }

  #expire(node: Branch, nowMs: number): void {
    for (const [level, child] of node.children) {
      this.#expire(child, nowMs);
      if (child.value && child.value.expiresAtMs <= nowMs) {
        this.#bytes -= costOf(child.value);
        child.value = undefined;
      }
      if (child.children.size === 0 && !child.value) node.children.delete(level);
    }
  }
}

function costOf(value: KeptValue | undefined): number {
  return value ? value.bytes.length + 2 * value.topic.length + KEPT_COST_BYTES : 0;
}
