/**
 * ● Does the ten tasks of an operator in Chromium on the page of a real `holdfast up` (test/dashboard/operator-tasks.ts), counts clicks and
 * seconds, takes a picture of each answer and writes the table of docs/how-to/operate.md.
 *
 *   node --conditions=holdfast-source scripts/operator-tasks.ts [FOLDER]
 *
 * FOLDER: where the pictures go; without it none are taken.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { launch, open } from "../test/dashboard/browser.ts";
import { Operator, OPERATOR_TASKS, Scene } from "../test/dashboard/operator-tasks.ts";

const [folder] = process.argv.slice(2);
if (folder !== undefined) mkdirSync(folder, { recursive: true });
const page = join(import.meta.dirname, "../docs/how-to/operate.md");
const rows: string[] = [];
const scene = await Scene.start({ idle: 300 });
const browser = await launch();
try {
  for (const [name, { wants, run, answer }] of Object.entries(OPERATOR_TASKS)) {
    const { page: tab } = await open(browser, scene.url);
    const operator = new Operator(tab);
    // The list of problems is what everybody begins with.
    await tab.getByRole("link", { name: /orders/ }).waitFor();
    const began = performance.now();
    const seen = await run(operator, scene);
    const seconds = (performance.now() - began) / 1000;
    if (!answer.test(seen)) throw new Error(`to ${wants}: saw '${seen}'`);
    rows.push(`| ${wants} | ${operator.actions} | ${seconds.toFixed(1)} |`);
    process.stderr.write(`${rows.at(-1)}\n`);
    if (folder !== undefined) await tab.screenshot({ path: join(folder, `${name}.png`) });
    await tab.context().close();
  }
} finally {
  await browser.close();
  await scene.close();
}
const table = ["| to … | clicks and fields | seconds |", "| --- | --- | --- |", ...rows].join("\n");
const text = readFileSync(page, "utf8");
writeFileSync(
  page,
  text.replace(/(<!-- table -->\n\n)[^]*?(\n\n<!-- end -->)/, (_, begin: string, end: string) => begin + table + end),
);
