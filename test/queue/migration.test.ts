/**
 * docs/how-to/migrate-from-bullmq.md against both: each public name of the installed BullMQ has a row, no other has, and what each row says to write
 * instead is run.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { flow, GiveUp, queue, RetryAfter, type Worker, worker } from "../../src/queue/index.ts";
import { testBroker } from "../../src/queue/testing.ts";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/how-to/migrate-from-bullmq.md"), "utf8");

/** A file of BullMQ's types, without its comments. */
function types(path: string): string {
  const text = readFileSync(join(root, "node_modules/bullmq/dist/esm", `${path}.d.ts`), "utf8");
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "");
}

/** Public members of a class as the page writes them: "close()", "name", "static create()". */
function membersOf(path: string): string[] {
  const [, body] = /export declare class [\s\S]*?\{\n([\s\S]*)/.exec(types(path))!;
  return body!.split("\n").flatMap((line) => {
    const [, isStatic = "", name, mark] =
      /^ {4}(?!private|protected|#)(static )?(?:readonly |get |set |async )*([a-zA-Z]\w*)\??([<(:])/.exec(line) ?? [];
    if (name === undefined) return [];
    return `${isStatic}${name}${mark === ":" || /^ {4}(?:get|set) /.test(line) ? "" : "()"}`;
  });
}

/** Names of an interface's or a type's fields. */
function fieldsOf(path: string, only = /(?:)/): string[] {
  const blocks = types(path).matchAll(/export (?:interface|type) (\w+)[^{;]*\{\n([\s\S]*?)\n\}/g);
  return [...blocks]
    .filter(([, name]) => only.test(name!))
    .flatMap(([, , body]) => [...body!.matchAll(/^ {4}(\w+)\??:/gm)].map(([, field]) => field!));
}

function eventsOf(path: string): string[] {
  return [...types(path).matchAll(/^ {4}'?([a-z][\w-]*)'?: \(/gim)].map(([, name]) => name!);
}

/** Heading → what stands under it. */
const SECTIONS: Readonly<Record<string, readonly string[]>> = {
  Queue: [...membersOf("classes/queue"), ...membersOf("classes/queue-getters"), ...membersOf("classes/queue-base")],
  "Options of a queue": fieldsOf("interfaces/queue-options", /^(QueueBaseOptions|KeyPrefixOptions|QueueOptions)$/),
  "Options of a task": [
    ...fieldsOf("interfaces/base-job-options"),
    ...fieldsOf("types/job-options", /Compressable/),
    ...fieldsOf("types/deduplication-options"),
    ...[...types("types/deduplication-options").matchAll(/^ {4}(\w+)\??:/gm)].map(([, name]) => name!),
    ...fieldsOf("interfaces/backoff-options"),
  ],
  Worker: [...membersOf("classes/worker"), ...eventsOf("classes/worker")],
  "Options of a worker": [
    ...fieldsOf("interfaces/worker-options", /^WorkerOptions$/),
    ...fieldsOf("interfaces/sandboxed-options"),
    ...fieldsOf("interfaces/queue-options", /^(QueueBaseOptions|KeyPrefixOptions)$/),
  ],
  Job: membersOf("classes/job"),
  QueueEvents: [
    ...membersOf("classes/queue-events"),
    ...eventsOf("classes/queue-events"),
    ...fieldsOf("interfaces/queue-options", /^QueueEventsOptions$/),
    "publishEvent()",
  ],
  FlowProducer: [
    ...membersOf("classes/flow-producer"),
    ...fieldsOf("interfaces/flow-job", /^(FlowJobBase|FlowOpts)$/),
    "children",
  ].filter((name) => !["prefix", "opts?"].includes(name)),
  JobScheduler: [...membersOf("classes/job-scheduler"), ...fieldsOf("interfaces/repeat-options")],
};

interface Row {
  readonly names: readonly string[];
  /** undefined: not needed. */
  readonly code: string | undefined;
  readonly why: string;
}

function rowsOf(section: string): Row[] {
  const [, text] = new RegExp(`^### ${section}\\n([\\s\\S]*?)(?=^### |(?![\\s\\S]))`, "m").exec(page)!;
  return [...text!.matchAll(/^\| (`.+?) +\| (.+?) +\|(.*)\|$/gm)].map(([, names, counterpart, why]) => ({
    names: [...names!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!),
    code: /^`(.+)`$/.exec(counterpart!)?.[1],
    why: why!.trim(),
  }));
}

suite("moving from BullMQ", () => {
  for (const [section, names] of Object.entries(SECTIONS)) {
    const rows = rowsOf(section);

    test(`${section}: each name of BullMQ ${version()} has a row, and each row's name is one of BullMQ's`, () => {
      assert.ok(names.length > 2 && rows.length > 2);
      assert.deepEqual([...new Set(rows.flatMap((row) => row.names))].sort(), [...new Set(names)].sort());
    });

    test(`${section}: what is not needed says why`, () => {
      for (const { names: of, code, why } of rows) if (code === undefined) assert.ok(why.length > 10, of.join());
    });

    for (const code of new Set(rows.flatMap((row) => row.code ?? []))) test(`${section}: ${code}`, () => tried(code));
  }

  test("what has no counterpart says so, and what has one names it as code", () => {
    for (const section of Object.keys(SECTIONS)) {
      const [, text] = new RegExp(`^### ${section}\\n([\\s\\S]*?)(?=^### |(?![\\s\\S]))`, "m").exec(page)!;
      for (const [line, counterpart] of text!.matchAll(/^\| `.+?` +\| (.+?) +\|.*$/gm))
        assert.match(counterpart!, /^(`.+`|\*\*not needed\*\*)$/, line);
    }
  });
});

function version(): string {
  const manifest = JSON.parse(readFileSync(join(root, "node_modules/bullmq/package.json"), "utf8")) as { version: string };
  return manifest.version;
}

/** Runs what a row says, in the handler of a task. */
async function tried(code: string): Promise<void> {
  await using broker = await testBroker();
  const client = broker.connect();
  const mails = queue("mails", { client });
  const mail = { to: "ada@example.org" };
  const { id } = await mails.add(mail, { delay: "1h" });
  const handler = (): string => "sent";
  const scope = { client, flow, GiveUp, handler, id, mail, mails, queue, RetryAfter, worker: started };
  const opened: Worker<unknown, unknown>[] = [];
  function started(...args: Parameters<typeof worker<unknown, unknown>>): Worker<unknown, unknown> {
    const [of, does, options] = args;
    const made = worker(of, does, { signals: [], log: false, ...options });
    opened.push(made);
    return made;
  }
  const module = new URL("./client/handler-child.ts", import.meta.url).href;
  const body = code
    .replaceAll('new URL("./handler.js", import.meta.url)', `new URL(${JSON.stringify(module)})`)
    .replace(/^(?!throw )/, "return await ");
  const names = [...Object.keys(scope), "task"];
  // oxlint-disable-next-line typescript/no-implied-eval -- the page's own code
  const run = new Function(...names, `return (async () => { ${body} })()`) as (...values: unknown[]) => Promise<unknown>;

  const outside = queue("outside", { client });
  const outcome = Promise.withResolvers<unknown>();
  const running = worker(outside, (_body, task) => run(...Object.values(scope), task).then(outcome.resolve, outcome.reject), {
    signals: [],
  });
  await outside.add("go");
  // What the row calls is worked on.
  const sending = /mails\.call|progress\(\)/.test(code) ? worker(mails, handler, { signals: [] }) : undefined;
  if (code.startsWith("throw ")) await assert.rejects(outcome.promise, code.includes("GiveUp") ? GiveUp : RetryAfter);
  else {
    const value = await outcome.promise;
    if (typeof value === "object" && value !== null && Symbol.asyncIterator in value)
      for await (const each of value as AsyncIterable<unknown>) assert.ok(each !== undefined);
  }
  await Promise.all([...opened, running, ...(sending ? [sending] : [])].map((each) => each.close()));
}
