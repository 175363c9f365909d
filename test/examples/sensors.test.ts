/** The sensors example: a hundred sessions over a cable that is cut all the time; every reading once. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Example } from "../support/example.ts";

test("a hundred sensors lose no reading and send none twice, however often their links are cut", async () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-sensors-"));
  const example = new Example("sensors/start.ts", ["0", "100", folder]);
  try {
    const [, url] = await example.printed(/watch the sensors at (\S+)/);
    assert.match(await (await fetch(url!)).text(), /<canvas/);
    const stream = await fetch(`${url}/points`);
    let seen = "";
    for await (const chunk of stream.body!.pipeThrough(new TextDecoderStream())) {
      seen = chunk;
      const [, readings, sensors, cuts] = /"(\d+) readings of (\d+) sensors, (\d+) cuts/.exec(chunk) ?? [];
      if (Number(readings) > 1500 && Number(sensors) === 100 && Number(cuts) > 20) break;
    }
    assert.match(seen, /"celsius":\d/);
  } finally {
    example.child.kill("SIGTERM");
    await example.ended();
    rmSync(folder, { recursive: true, force: true });
  }
  const [, readings, , missing, twice, confirmed] =
    /(\d+) readings of 100 sensors, (\d+) cuts, (\d+) missing, (\d+) twice; (\d+) confirmed/.exec(example.output) ?? [];
  assert.deepEqual({ missing, twice, readings }, { missing: "0", twice: "0", readings: confirmed }, example.output);
  assert.match(example.output, /the last value of sensor 1: -?\d+\.\d\d °C/);
});
