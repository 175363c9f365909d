/** How a command takes signals: the first asks, the second ends. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";

/** Drains for ever after the first signal, so that only the second can end it. */
const STUBBORN = `
  import { stopRequest } from ${JSON.stringify(join(import.meta.dirname, "../../src/cli/shared/stop-request.ts"))};
  using stop = stopRequest();
  setInterval(() => {}, 1000);
  console.log("ready");
  await stop.requested;
  console.log("draining");
  await new Promise(() => {});
`;

test("the first signal asks to stop, the second ends the process at once with the shell's code for it", async () => {
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", STUBBORN], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const end = once(child, "close");
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    printed += text;
    if (printed === "ready\n") child.kill("SIGTERM");
    if (printed === "ready\ndraining\n") child.kill("SIGINT");
  });
  assert.deepEqual(await end, [130, null]);
  assert.equal(printed, "ready\ndraining\n");
});
