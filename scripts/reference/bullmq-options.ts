/** ● The list of BullMQ's options in docs/how-to/migrate-from-bullmq.md, from the tables that their errors are made of. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ADD, QUEUE, WORKER } from "../../src/queue/client/options.ts";
import type { OptionTable } from "../../src/queue/option-check.ts";

const root = join(import.meta.dirname, "../..");
const BEGIN = "<!-- options: written from src/queue/client/options.ts by `npm run reference` -->\n";
const END = "<!-- /options -->\n";

/** The page with its list as it should be. */
export function withBullmqOptions(path: string): string {
  const page = readFileSync(join(root, path), "utf8");
  const [before, rest] = split(page, BEGIN);
  const [, after] = split(rest, END);
  const sections = [
    ["of `add`", ADD],
    ["of `Queue`", QUEUE],
    ["of `Worker`", WORKER],
  ] as const;
  const lists = sections.map(([title, table]) => `Options ${title}:\n\n${list(table)}\n`);
  return `${before}${BEGIN}\n${lists.join("\n")}\n${END}${after}`;
}

function split(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  if (at === -1) throw new Error(`The page has no ${mark}`);
  return [text.slice(0, at), text.slice(at + mark.length)];
}

/** Words with the same advice stand together. */
function list({ bullmq }: OptionTable): string {
  const byAdvice = Map.groupBy(Object.keys(bullmq), (word) => bullmq[word]!);
  return Array.from(byAdvice, ([advice, words]) => {
    const names = words.map((word) => `\`${word}\``).join(", ");
    return `- ${names}: ${advice.replaceAll(/(?<=^|[\s(])'([^']+)'/g, "`$1`")}.`;
  }).join("\n");
}
