import assert from "node:assert/strict";
import { test } from "node:test";
import { Health } from "../../../../src/cache/client/pool/health.ts";
import { seeded } from "../../../../src/core/random.ts";

const OPTIONS = { ejectAfterFailures: 3, backoffMsMin: 50, backoffMsMax: 10_000 };

test("three failures in a row eject a server, two and an answer do not", () => {
  const health = new Health(OPTIONS, () => 0.5);
  health.failed(0, false);
  health.failed(0, false);
  assert.equal(health.state, "failing");
  health.answered();
  assert.equal(health.state, "up");
  for (let failure = 0; failure < 3; failure += 1) health.failed(0, false);
  assert.equal(health.state, "ejected");
});

test("a server that greets again is asked again, and one more failure ejects it at once", () => {
  const health = new Health(OPTIONS, () => 0.5);
  for (let failure = 0; failure < 9; failure += 1) health.failed(0, false);
  health.connected();
  assert.equal(health.state, "failing");
  assert.equal(health.retryAtMs, -Infinity);
  health.failed(0, true);
  assert.equal(health.state, "ejected");
});

test("the wait between attempts has full jitter under a bound that doubles up to the longest", () => {
  const random = seeded(7);
  for (let failures = 1; failures <= 20; failures += 1) {
    const bound = Math.min(10_000, 50 * 2 ** (failures - 1));
    const waits = Array.from({ length: 400 }, () => {
      const health = new Health(OPTIONS, random);
      for (let failure = 0; failure < failures; failure += 1) health.failed(1000, false);
      return health.retryAtMs - 1000;
    });
    assert.ok(Math.max(...waits) < bound && Math.max(...waits) > bound * 0.9, `${failures} failures`);
    assert.ok(Math.min(...waits) >= 0 && Math.min(...waits) < bound * 0.1, `${failures} failures`);
  }
});

test("a connection that had served may be opened again at once", () => {
  const health = new Health(OPTIONS, () => 0.5);
  health.failed(1000, true);
  assert.equal(health.retryAtMs, -Infinity);
});
