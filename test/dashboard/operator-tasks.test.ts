/** What somebody on call does on the page of a real `holdfast up`: three of the ten tasks of docs/how-to/operate.md. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser } from "playwright-core";
import { requires } from "../support/requires.ts";
import { launch, open } from "./browser.ts";
import { Operator, OPERATOR_TASKS, Scene } from "./operator-tasks.ts";

const needs = requires("chromium");
let browser: Browser;
let scene: Scene;

before(async () => {
  if (needs.skip !== false) return;
  scene = await Scene.start({ idle: 5 });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await scene?.close();
});

for (const [name, actionsMax] of [
  ["why", 1],
  ["customer", 3],
  ["survived", 1],
] as const) {
  const { wants, run, answer } = OPERATOR_TASKS[name]!;
  test(`to ${wants} takes no more than ${actionsMax} clicks or fields`, needs, async () => {
    const { page, complaints } = await open(browser, scene.url);
    const operator = new Operator(page);
    assert.match(await run(operator, scene), answer);
    assert.ok(operator.actions <= actionsMax, `${operator.actions}`);
    assert.deepEqual(complaints, []);
    await page.context().close();
  });
}
