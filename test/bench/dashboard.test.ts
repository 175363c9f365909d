import assert from "node:assert/strict";
import { test } from "node:test";
import { measure } from "../../bench/dashboard.ts";

test("the bench of what watching costs runs, and watching 200 connections costs less than a tenth of a core", async () => {
  const { aloneCpu, watchedCpu, eventsPerSecond, eventBytes } = await measure({
    connections: 200,
    requestsPerSecond: 200,
    seconds: 2,
  });
  assert.ok(eventsPerSecond >= 0.5, `${eventsPerSecond} events a second`);
  assert.ok(eventBytes < 64 * 1024, `${eventBytes} bytes an event`);
  assert.ok(watchedCpu - aloneCpu < 0.1, `${watchedCpu - aloneCpu} of a core`);
});
