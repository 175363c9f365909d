/**
 * ○ Topics and who wants them, found by prefix: a radix tree over octets, so that a message costs as many steps as the tree has
 * branches along it, whatever the topics' number and lengths. Invariant: no node but the root is without values and with fewer
 * than two children; labels of siblings differ in their first octet.
 */
import { Buffer } from "node:buffer";
import { EMPTY_BUFFER } from "../../core/buffers.ts";

interface Node<T> {
  /** The octets on the way from the parent to here. */
  label: Buffer;
  values: Set<T> | undefined;
  children: Map<number, Node<T>> | undefined;
}

export class TopicTree<T> {
  readonly #root: Node<T> = { label: EMPTY_BUFFER, values: undefined, children: undefined };

  /** @returns how many have the topic now; 0 when this one had it already */
  add(topic: Uint8Array, value: T): number {
    let node = this.#root;
    let at = 0;
    while (at < topic.length) {
      const child = node.children?.get(topic[at]!);
      if (child === undefined) {
        const leaf = { label: Buffer.from(topic.subarray(at)), values: undefined, children: undefined };
        adopt(node, leaf);
        node = leaf;
        break;
      }
      const common = commonLength(child.label, topic, at);
      node = common < child.label.length ? split(node, child, common) : child;
      at += common;
    }
    node.values ??= new Set();
    if (node.values.has(value)) return 0;
    node.values.add(value);
    return node.values.size;
  }

  /** @returns how many have the topic still, or undefined when this one did not have it */
  remove(topic: Uint8Array, value: T): number | undefined {
    const path: Node<T>[] = [this.#root];
    let at = 0;
    while (at < topic.length) {
      const child = path.at(-1)!.children?.get(topic[at]!);
      if (child === undefined || commonLength(child.label, topic, at) < child.label.length) return undefined;
      at += child.label.length;
      path.push(child);
    }
    const node = path.at(-1)!;
    if (!node.values?.delete(value)) return undefined;
    if (node.values.size > 0) return node.values.size;
    node.values = undefined;
    tidy(path);
    return 0;
  }

  /** Calls for every one whose topic the octets begin with; more than once for one with several such topics. */
  match(octets: Uint8Array, visit: (value: T) => void): void {
    let node = this.#root;
    let at = 0;
    for (;;) {
      if (node.values !== undefined) for (const value of node.values) visit(value);
      if (node.children === undefined || at >= octets.length) return;
      const child = node.children.get(octets[at]!);
      if (child === undefined || commonLength(child.label, octets, at) < child.label.length) return;
      at += child.label.length;
      node = child;
    }
  }

  /** Whether the octets begin with any topic. */
  matches(octets: Uint8Array): boolean {
    let node = this.#root;
    let at = 0;
    for (;;) {
      if (node.values !== undefined) return true;
      if (node.children === undefined || at >= octets.length) return false;
      const child = node.children.get(octets[at]!);
      if (child === undefined || commonLength(child.label, octets, at) < child.label.length) return false;
      at += child.label.length;
      node = child;
    }
  }
}

function adopt<T>(parent: Node<T>, child: Node<T>): void {
  parent.children ??= new Map();
  parent.children.set(child.label[0]!, child);
}

/** Puts a node between a parent and its child, after the first octets of the child's label. @returns the new node */
function split<T>(parent: Node<T>, child: Node<T>, length: number): Node<T> {
  const middle: Node<T> = { label: child.label.subarray(0, length), values: undefined, children: undefined };
  adopt(parent, middle);
  child.label = child.label.subarray(length);
  adopt(middle, child);
  return middle;
}

/** Restores the invariant along a path whose last node lost its values. */
function tidy<T>(path: Node<T>[]): void {
  for (let node = path.pop()!; path.length > 0 && node.values === undefined; node = path.pop()!) {
    const parent = path.at(-1)!;
    const count = node.children?.size ?? 0;
    if (count > 1) return;
    if (count === 1) {
      const [only] = node.children!.values();
      only!.label = Buffer.concat([node.label, only!.label]);
      parent.children!.set(only!.label[0]!, only!);
      return;
    }
    parent.children!.delete(node.label[0]!);
    if (parent.children!.size === 0) parent.children = undefined;
  }
}

function commonLength(label: Uint8Array, octets: Uint8Array, at: number): number {
  const most = Math.min(label.length, octets.length - at);
  let length = 0;
  while (length < most && label[length] === octets[at + length]) length += 1;
  return length;
}
