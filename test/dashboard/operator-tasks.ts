/**
 * Ten things that somebody on call wants to know or do, on the page of a real `holdfast up` with trouble in it: what is clicked until
 * the answer is seen. scripts/operator-tasks.ts counts and pictures all, operator-tasks.test.ts runs some.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectSocket, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Locator, Page } from "playwright-core";
import { GiveUp, type Handler, queue, type Queue, worker } from "../../src/queue/index.ts";
import { Holdfast } from "../support/holdfast.ts";
import { buildPage } from "./test-servers.ts";

/** Whoever is on call, with their clicks counted; a field that is filled in counts as one. */
export class Operator {
  readonly page: Page;
  actions = 0;

  constructor(page: Page) {
    this.page = page;
  }

  async click(what: Locator): Promise<void> {
    this.actions += 1;
    await what.first().click();
  }

  async fill(what: Locator, text: string): Promise<void> {
    this.actions += 1;
    await what.fill(text);
    await what.press("Enter");
  }

  async choose(what: Locator, value: string): Promise<void> {
    this.actions += 1;
    await what.selectOption(value);
  }

  /** What is read off the page. */
  async see(what: Locator): Promise<string> {
    await what.first().waitFor();
    return (await what.first().innerText()).replaceAll(/\s+/g, " ").trim();
  }

  view(name: string): Promise<void> {
    return this.click(this.page.getByRole("navigation").getByRole("link", { name, exact: true }));
  }

  button(name: string | RegExp): Locator {
    return this.page.getByRole("button", { name });
  }

  /** The list of all queues. */
  get queues(): Locator {
    return this.page.getByRole("region", { name: "Table: Queues" });
  }

  openQueue(name: string): Promise<void> {
    return this.click(this.queues.getByRole("link", { name, exact: true }));
  }
}

export interface OperatorTask {
  readonly wants: string;
  /** @returns what was seen */
  run(operator: Operator, scene: Scene): Promise<string>;
  /** What the answer must say. */
  readonly answer: RegExp;
}

export const OPERATOR_TASKS: Readonly<Record<string, OperatorTask>> = {
  why: {
    wants: "find why orders fail",
    answer: /^25 GiveUp: card … was declined/,
    async run(operator) {
      await operator.click(operator.page.getByRole("link", { name: /orders/ }));
      return operator.see(operator.page.getByRole("region", { name: "Errors" }).getByRole("listitem"));
    },
  },
  retry: {
    wants: "retry those alone that the bank did not answer",
    answer: /^15 tasks wait again\./,
    async run(operator) {
      await operator.click(operator.page.getByRole("link", { name: /orders/ }));
      const kind = operator.page.getByRole("region", { name: "Errors" }).getByRole("listitem").filter({ hasText: "bank" });
      await operator.click(kind.getByRole("button", { name: "Retry all 15" }));
      await operator.click(operator.button("Retry 15 tasks"));
      return operator.see(operator.page.getByText("tasks wait again."));
    },
  },
  stuck: {
    wants: "see which worker is stuck, and on what",
    answer: /Worker [\da-f]{6,} .*Progress "page 3 of 900"/,
    async run(operator) {
      await operator.view("Queue");
      await operator.fill(operator.page.getByLabel("Search queues"), "invoices");
      await operator.openQueue("invoices");
      await operator.choose(operator.page.getByLabel("State"), "active");
      await operator.click(operator.page.getByRole("region", { name: "Table: Tasks, oldest first" }).getByRole("link"));
      await operator.page.getByText("page 3 of 900").waitFor();
      return operator.see(operator.page.getByRole("complementary").locator("dl"));
    },
  },
  grows: {
    wants: "see which of 300 queues grows, and since when",
    answer: /^events over time .*added \d/,
    async run(operator) {
      await operator.view("Queue");
      await operator.click(operator.queues.getByRole("button", { name: "Added" }));
      await operator.queues.getByRole("row").nth(1).filter({ hasText: "events" }).waitFor();
      await operator.openQueue("events");
      const card = operator.page.getByRole("region", { name: "events over time" });
      await card.getByRole("img", { name: /^Tasks, now: added [^–]/ }).waitFor();
      return operator.see(card);
    },
  },
  flapping: {
    wants: "see which peer is flapping, and why it went",
    answer: /127\.0\.0\.9:\d+ ended after about \d+ s: /,
    async run(operator) {
      await operator.view("Link");
      await operator.click(operator.page.getByRole("link", { name: /^127\.0\.0\.9:/ }));
      // All connections of the host: the address without its port.
      await operator.page.goto(operator.page.url().replace(/%3A\d+$/, ""));
      operator.actions += 1;
      return operator.see(operator.page.getByRole("listitem").filter({ hasText: "ended after" }));
    },
  },
  customer: {
    wants: "find the order of customer 12",
    answer: /dead/,
    async run(operator) {
      await operator.click(operator.page.getByRole("link", { name: /orders/ }));
      await operator.choose(operator.page.getByLabel("State"), "");
      await operator.fill(operator.page.getByLabel("Where"), "customer.id=12");
      await operator.page.getByText(/^Searched the bodies of/).waitFor();
      return operator.see(operator.page.getByRole("region", { name: "Table: Tasks, oldest first" }).getByRole("row").nth(1));
    },
  },
  waits: {
    wants: "say why a report does not run",
    answer: /^Waiting because: its scheduled time has not been reached\./,
    async run(operator) {
      await operator.view("Queue");
      await operator.fill(operator.page.getByLabel("Search queues"), "reports");
      await operator.openQueue("reports");
      await operator.click(operator.page.getByRole("region", { name: "Table: Tasks, oldest first" }).getByRole("link"));
      return operator.see(operator.page.getByText("Waiting because:"));
    },
  },
  pause: {
    wants: "stop one queue, and let it go on",
    answer: /^Resume$/,
    async run(operator) {
      await operator.view("Queue");
      await operator.fill(operator.page.getByLabel("Search queues"), "invoices");
      await operator.click(operator.button("Pause queue invoices"));
      const resume = operator.button("Resume queue invoices");
      const said = await operator.see(resume);
      await operator.click(resume);
      await operator.button("Pause queue invoices").waitFor();
      return said;
    },
  },
  undo: {
    wants: "remove dead tasks, and take that back",
    answer: /^5 tasks are back\./,
    async run(operator) {
      await operator.view("Queue");
      await operator.fill(operator.page.getByLabel("Search queues"), "trash");
      await operator.openQueue("trash");
      await operator.choose(operator.page.getByLabel("State"), "dead");
      await operator.click(operator.button("Remove all 5"));
      await operator.click(operator.button("Remove 5 tasks"));
      await operator.click(operator.button("Undo"));
      return operator.see(operator.page.getByText("tasks are back."));
    },
  },
  survived: {
    wants: "prove that a task outlived a broker that was killed",
    answer: /added to letters.* the worker's result came .*completed.*Before this broker began/,
    async run(operator, scene) {
      await operator.page.goto(`${scene.url}task/${scene.survivor}`);
      operator.actions += 1;
      await operator.page
        .getByRole("listitem")
        .filter({ hasText: /completed, with a result/ })
        .waitFor();
      return operator.see(operator.page.getByRole("region", { name: `Task ${scene.survivor}` }));
    },
  },
};

/** A `holdfast up` with trouble of every kind. */
export class Scene {
  readonly #folder = mkdtempSync(join(tmpdir(), "holdfast-operator-"));
  readonly #queues: Queue[] = [];
  readonly #workers: { close(): Promise<void> }[] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  #holdfast!: Holdfast;
  #socket: Socket | undefined;
  #addresses: Readonly<Record<string, string>> = {};
  /** The page. */
  url = "";
  /** The id of the task that was added before the broker was killed. */
  survivor = "";

  /** @param idle how many queues with a task and without a worker there are beside the others */
  static async start({ idle }: { readonly idle: number }): Promise<Scene> {
    buildPage();
    const scene = new Scene();
    const any = { queue: "tcp://127.0.0.1:0", link: "127.0.0.1:0", dashboard: "127.0.0.1:0" };
    await scene.#up(any);
    // It is killed with a task in it, and comes back where it was.
    const letters = scene.#queue<string>("letters");
    scene.survivor = (await letters.add("a letter")).id;
    scene.#holdfast.child.kill("SIGKILL");
    await scene.#holdfast.ended();
    await scene.#up(scene.#addresses);
    scene.#work(letters, () => Promise.resolve("printed"));
    await scene.#fill(idle);
    return scene;
  }

  async #up(at: Readonly<Record<string, string>>): Promise<void> {
    const words = Object.entries(at).flatMap(([part, address]) => [`--${part}`, address.replace("http://", "")]);
    this.#holdfast = new Holdfast(["up", "--cache", "off", "--data", join(this.#folder, "data"), ...words], {
      cwd: this.#folder,
    });
    await this.#holdfast.printed(/^dashboard/m);
    const found = this.#holdfast.stdout.matchAll(/^(\w+) +listening on (\S+)$/gm);
    this.#addresses = Object.fromEntries(Array.from(found, ([, part, address]) => [part!, address!]));
    this.url = `${this.#addresses["dashboard"]}/`;
  }

  #queue<Body>(name: string): Queue<Body> {
    const made = queue<Body>(name, { url: this.#addresses["queue"]!, log: false });
    this.#queues.push(made as Queue);
    return made;
  }

  #work<Body>(from: Queue<Body>, handler: Handler<Body, unknown>): void {
    this.#workers.push(worker(from, handler, { signals: [], concurrency: 10, onError: () => {} }));
  }

  async #fill(idle: number): Promise<void> {
    const orders = this.#queue<{ customer: { id: number } }>("orders");
    this.#work(orders, ({ customer: { id } }) => {
      if (id >= 60) return Promise.resolve("shipped");
      return Promise.reject(new GiveUp(id % 8 < 5 ? `card ${id} was declined` : "no answer of the bank"));
    });
    const some = await orders.addMany(Array.from({ length: 80 }, (_, id) => ({ customer: { id: id < 40 ? id : id + 20 } })));
    const invoices = this.#queue<string>("invoices");
    this.#work(invoices, (_, task) => {
      task.progress("page 3 of 900");
      return new Promise((resolve) => task.signal.addEventListener("abort", resolve, { once: true }));
    });
    await invoices.add("an invoice");
    const trash = this.#queue<number>("trash");
    this.#work(trash, () => Promise.reject(new GiveUp("it is trash")));
    const dead = await trash.addMany([1, 2, 3, 4, 5]);
    await this.#queue<string>("reports").add("the year", { delay: "3h" });
    for (let index = 0; index < idle; index += 1) await this.#queue<string>(`tenant-${index}`).add("x");
    const events = this.#queue<number>("events");
    this.#timers.push(setInterval(() => void events.addMany([1, 2, 3, 4, 5]).catch(() => {}), 100));
    this.#timers.push(setInterval(() => this.#flap(), 2500));
    this.#flap();
    await Promise.all([...some, ...dead].map((task) => task.result({ timeout: "15s" }).catch(() => {})));
  }

  /** A peer that goes and comes again. */
  #flap(): void {
    this.#socket?.destroy();
    const port = Number(this.#addresses["link"]!.split(":").at(-1));
    this.#socket = connectSocket({ port, host: "127.0.0.1", localAddress: "127.0.0.9" }).on("error", () => {});
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#socket?.destroy();
    this.#holdfast.child.kill("SIGKILL");
    await this.#holdfast.ended();
    await Promise.race([Promise.all([...this.#workers, ...this.#queues].map((each) => each.close())), sleep(3000)]);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
