import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../src/core/clock.ts";
import { ManualClock } from "../../src/core/manual-clock.ts";

test("timers fire in order of their deadlines, each at its own time", () => {
  const clock = new ManualClock();
  const fired: string[] = [];
  clock.at(20, () => fired.push(`b${clock.now()}`));
  clock.at(10, () => {
    fired.push(`a${clock.now()}`);
    clock.at(15, () => fired.push(`c${clock.now()}`));
  });
  clock.advance(30);
  assert.deepEqual(fired, ["a10", "c15", "b20"]);
  assert.equal(clock.now(), 30);
});

test("a cancelled timer stays silent, cancelled once or twice", () => {
  const clock = new ManualClock();
  const cancel = clock.at(10, () => assert.fail("fired"));
  assert.equal(clock.nextDeadlineMs, 10);
  cancel();
  cancel();
  clock.advance(20);
  assert.equal(clock.nextDeadlineMs, undefined);
});

test("the wall clock can jump without moving deadlines", () => {
  const clock = new ManualClock({ wallMs: 1000 });
  clock.jumpWall(-500);
  clock.advance(100);
  assert.deepEqual([clock.now(), clock.wallMs()], [100, 600]);
});

test("the system clock never fires before its deadline", async () => {
  const deadline = systemClock.now() + 5;
  const keepAlive = setTimeout(() => {}, 1000);
  const late = await new Promise<number>((resolve) => {
    systemClock.at(deadline, () => resolve(systemClock.now() - deadline));
  });
  clearTimeout(keepAlive);
  assert.ok(late >= 0, `${late} ms`);
});

test("a deadline months away does not fire at once", async () => {
  const cancel = systemClock.at(systemClock.now() + 2 ** 32, () => assert.fail("fired"));
  await new Promise((resolve) => {
    setTimeout(resolve, 20);
  });
  cancel();
});
