/**
 * ○ Who subscribed to what: a tree with a level of the filters at each edge, so that a topic's subscribers are found without asking every
 * filter. Invariant: a node without subscribers has children; `size` counts the subscriptions.
 */
interface Branch<Subscriber> {
  readonly children: Map<string, Branch<Subscriber>>;
  /** Whose filter ends here. */
  subscribers: Set<Subscriber> | undefined;
}

export class SubscriptionTree<Subscriber> {
  readonly #root: Branch<Subscriber> = branch();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(filter: string, subscriber: Subscriber): void {
    let node = this.#root;
    for (const level of filter.split("/")) {
      let child = node.children.get(level);
      if (!child) node.children.set(level, (child = branch()));
      node = child;
    }
    node.subscribers ??= new Set();
    if (node.subscribers.has(subscriber)) return;
    node.subscribers.add(subscriber);
    this.#size += 1;
  }

  delete(filter: string, subscriber: Subscriber): void {
    this.#delete(this.#root, filter.split("/"), subscriber);
  }

  /** All whose filters match, each once. */
  matching(topic: string): Set<Subscriber> {
    const found = new Set<Subscriber>();
    const levels = topic.split("/");
    const visit = ({ children, subscribers }: Branch<Subscriber>, at: number): void => {
      const wildcards = at > 0 || !topic.startsWith("$");
      if (wildcards) add(found, children.get("#")?.subscribers);
      if (at === levels.length) return add(found, subscribers);
      const exact = children.get(levels[at]!);
      if (exact) visit(exact, at + 1);
      const any = wildcards ? children.get("+") : undefined;
      if (any) visit(any, at + 1);
    };
    visit(this.#root, 0);
    return found;
  }

  #delete(node: Branch<Subscriber>, levels: readonly string[], subscriber: Subscriber): void {
    const [level, ...below] = levels;
    if (level === undefined) {
      if (node.subscribers?.delete(subscriber)) this.#size -= 1;
      if (node.subscribers?.size === 0) node.subscribers = undefined;
      return;
    }
    const child = node.children.get(level);
    if (!child) return;
    this.#delete(child, below, subscriber);
    if (child.children.size === 0 && !child.subscribers) node.children.delete(level);
  }
}

function branch<Subscriber>(): Branch<Subscriber> {
  return { children: new Map(), subscribers: undefined };
}

function add<T>(to: Set<T>, items: ReadonlySet<T> | undefined): void {
  if (items) for (const item of items) to.add(item);
}
