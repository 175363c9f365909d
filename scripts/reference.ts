/**
 * ● Writes docs/reference/: every function, class, option and type of the entry points, and every error code, and docs/logs.md, as the sources and
 * their docstrings say. Run after a docstring has changed: `npm run reference`. A test fails while they differ, and when an option has no
 * docstring (test/repo/reference.test.ts).
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { API } from "typescript/unstable/sync";
import { entryPointPage } from "./reference/entry-point-page.ts";
import { entriesOf, type Entry } from "./reference/entries.ts";
import { errorsPage, type Thrower } from "./reference/errors-page.ts";
import { withBullmqOptions } from "./reference/bullmq-options.ts";
import { logsPage } from "./reference/logs-page.ts";
import { operationsPage } from "./reference/operations-page.ts";

const root = join(import.meta.dirname, "..");
const MIGRATION = "docs/how-to/migrate-from-bullmq.md";
/** Entry point → its file under src/. */
const ENTRY_POINTS = {
  cache: "cache/index.ts",
  queue: "queue/index.ts",
  "queue/testing": "queue/testing.ts",
  link: "link/index.ts",
  "link/browser": "link/browser.ts",
  zmq: "zmq/index.ts",
  board: "board/index.ts",
  keyv: "adapters/keyv.ts",
  unstorage: "adapters/unstorage.ts",
  "express-session": "adapters/express-session.ts",
  "rate-limit": "adapters/rate-limit.ts",
  next: "adapters/next.ts",
} as const;
type EntryPoint = keyof typeof ENTRY_POINTS;

/** What the entry points' own titles say of them. */
const TITLES: Readonly<Record<EntryPoint, string>> = {
  cache: "the cache's client and server; [how to use it](../cache-client.md)",
  queue: "the broker, queues, workers; [how to use it](../queue.md)",
  "queue/testing":
    "a broker in memory with a clock that a test moves; [how to use it](../how-to/test-an-application-with-a-queue.md)",
  link: "connections that last; [how to use it](../link.md)",
  "link/browser": "sessions from a page or a worker; [how to use it](../link.md#in-a-browser)",
  zmq: "ZeroMQ's sockets; [how to use it](../zmq.md)",
  board: "the page, metrics, health and API of a process as one fetch handler; [how to mount it](../how-to/board.md)",
  keyv: "a store for Keyv; [how to use it](../how-to/cache-for-frameworks.md)",
  unstorage: "a driver for unstorage; [how to use it](../how-to/cache-for-frameworks.md)",
  "express-session": "a store for express-session; [how to use it](../how-to/cache-for-frameworks.md)",
  "rate-limit": "counters for express-rate-limit and rate-limiter-flexible; [how to use it](../how-to/cache-for-frameworks.md)",
  next: "the caches of Next.js; [how to use it](../how-to/cache-for-frameworks.md)",
};

export interface Reference {
  /** Path in the repository → text. */
  readonly files: Readonly<Record<string, string>>;
  /** Names, options, and members of classes, that no docstring explains, as "entry point Name.member"; what data holds is told by its name and unit. */
  readonly unexplained: readonly string[];
}

/** All pages of the reference, as they should be. */
export function reference(): Reference {
  const api = new API({ cwd: root });
  try {
    const config = join(root, "tsconfig.build.json");
    const project = api.updateSnapshot({ openProjects: [config] }).getProject(config)!;
    const files: Record<string, string> = {};
    const unexplained: string[] = [];
    const throwers: Thrower[] = [];
    for (const [entryPoint, file] of Object.entries(ENTRY_POINTS) as [EntryPoint, string][]) {
      const entries = entriesOf(project, root, file);
      files[`docs/reference/${entryPoint.replace("/", "-")}.md`] = entryPointPage(entryPoint, TITLES[entryPoint], entries);
      throwers.push(...entries.flatMap((entry) => throwersOf(entryPoint, entry)));
      unexplained.push(...entries.filter(({ text }) => text === "").map(({ name }) => `${entryPoint} ${name}`));
      for (const { name, kind, members } of entries)
        if (kind === "class" || /(Options|Settings)$/.test(name))
          unexplained.push(
            ...members.filter(({ text }) => text === "").map((member) => `${entryPoint} ${name}.${member.name}`),
          );
    }
    files["docs/reference/errors.md"] = errorsPage(throwers);
    files["docs/logs.md"] = logsPage();
    files["docs/reference/operations.md"] = operationsPage();
    files[MIGRATION] = withBullmqOptions(MIGRATION);
    return { files, unexplained };
  } finally {
    api.close();
  }
}

/** Which codes an entry, or a member of it, says it throws. */
function throwersOf(entryPoint: string, { name, tags, members }: Entry): Thrower[] {
  const own = tags.filter((tag) => tag.name === "throws").map(({ text }) => ({ entryPoint, name, anchor: name, text }));
  return [
    ...own,
    ...members.map((member) => ({ entryPoint, name: `${name}.${member.name}`, anchor: name, text: member.text })),
  ];
}

if (import.meta.main) {
  for (const [path, text] of Object.entries(reference().files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}
