/** What the log's table lists is told somewhere: names that nothing tells would be waited for in vain. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { LOG_EVENTS } from "../../src/core/log-events.ts";

const root = join(import.meta.dirname, "../..");

test("each event of docs/logs.md is told by some source", () => {
  const sources = globSync("src/**/*.ts", { cwd: root })
    .filter((path) => !path.endsWith("log-events.ts"))
    .map((path) => readFileSync(join(root, path), "utf8"))
    .join("\n");
  // Written as `${part}.exposed` where the part is an argument.
  const isTold = (event: string): boolean =>
    sources.includes(`"${event}"`) || sources.includes(`\`\${part}.${event.split(".")[1]}\``);
  assert.deepEqual(
    Object.keys(LOG_EVENTS).filter((event) => !isTold(event)),
    [],
  );
});
