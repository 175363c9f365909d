/**
 * ○ Topics and who wants them, found by prefix: a radix tree over octets, so that a message costs as many steps as the tree has
 * branches along it, whatever the topics' number and lengths. Octets are the characters of strings (latin1), which take a fifth of the
 * memory of small buffers. Invariant: no node but the root is without values and with fewer than two children; labels of siblings differ
 * in their first octet.
 */

interface Node<T> {
  /** The octets on the way from the parent to here. */
  label: string;
  /** Most topics have one. */
  values: T | Set<T> | undefined;
  children: Map<number, Node<T>> | undefined;
}

export class TopicTree<T> {
  readonly #root: Node<T> = { label: "", values: undefined, children: undefined };

  /** @returns how many have the topic now; 0 when this one had it already */
  add(topic: string, value: T): number {
    let node = this.#root;
    let at = 0;
    while (at < topic.length) {
      const child = node.children?.get(topic.charCodeAt(at));
      if (child === undefined) {
        const leaf = { label: topic.slice(at), values: undefined, children: undefined };
        adopt(node, leaf);
        node = leaf;
        break;
      }
      const common = commonLength(child.label, topic, at);
      node = common < child.label.length ? split(node, child, common) : child;
      at += common;
    }
    const { values } = node;
    if (values === undefined) {
      node.values = value;
      return 1;
    }
    if (values instanceof Set) {
      if (values.has(value)) return 0;
      return values.add(value).size;
    }
    if (values === value) return 0;
    node.values = new Set([values, value]);
    return 2;
  }

  /** @returns how many have the topic still, or undefined when this one did not have it */
  remove(topic: string, value: T): number | undefined {
    const path: Node<T>[] = [this.#root];
    let at = 0;
    while (at < topic.length) {
      const child = path.at(-1)!.children?.get(topic.charCodeAt(at));
      if (child === undefined || !topic.startsWith(child.label, at)) return undefined;
      at += child.label.length;
      path.push(child);
    }
    const node = path.at(-1)!;
    const { values } = node;
    if (values instanceof Set) {
      if (!values.delete(value)) return undefined;
      if (values.size === 1) [node.values] = values;
      return values.size;
    }
    if (values !== value) return undefined;
    node.values = undefined;
    tidy(path);
    return 0;
  }

  /** Calls for every one whose topic the octets begin with; more than once for one with several such topics. */
  match(octets: Uint8Array, visit: (value: T) => void): void {
    for (let node: Node<T> | undefined = this.#root, at = 0; node !== undefined;) {
      const { values } = node;
      if (values instanceof Set) for (const value of values) visit(value);
      else if (values !== undefined) visit(values);
      node = step(node, octets, at);
      at += node?.label.length ?? 0;
    }
  }

  /** Whether the octets begin with any topic. */
  matches(octets: Uint8Array): boolean {
    for (let node: Node<T> | undefined = this.#root, at = 0; node !== undefined;) {
      if (node.values !== undefined) return true;
      node = step(node, octets, at);
      at += node?.label.length ?? 0;
    }
    return false;
  }
}

/** The child that the octets lead to. */
function step<T>(node: Node<T>, octets: Uint8Array, at: number): Node<T> | undefined {
  if (node.children === undefined || at >= octets.length) return undefined;
  const child = node.children.get(octets[at]!);
  if (child === undefined) return undefined;
  const { label } = child;
  if (octets.length - at < label.length) return undefined;
  for (let index = 1; index < label.length; index += 1) if (label.charCodeAt(index) !== octets[at + index]) return undefined;
  return child;
}

function adopt<T>(parent: Node<T>, child: Node<T>): void {
  parent.children ??= new Map();
  parent.children.set(child.label.charCodeAt(0), child);
}

/** Puts a node between a parent and its child, after the first octets of the child's label. @returns the new node */
function split<T>(parent: Node<T>, child: Node<T>, length: number): Node<T> {
  const middle: Node<T> = { label: child.label.slice(0, length), values: undefined, children: undefined };
  adopt(parent, middle);
  child.label = child.label.slice(length);
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
      only!.label = node.label + only!.label;
      parent.children!.set(only!.label.charCodeAt(0), only!);
      return;
    }
    parent.children!.delete(node.label.charCodeAt(0));
    if (parent.children!.size === 0) parent.children = undefined;
  }
}

function commonLength(label: string, topic: string, at: number): number {
  const most = Math.min(label.length, topic.length - at);
  let length = 0;
  while (length < most && label.charCodeAt(length) === topic.charCodeAt(at + length)) length += 1;
  return length;
}
