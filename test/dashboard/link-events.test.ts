/** What the page tells of a peer's connections. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LINK_EVENTS_MAX } from "../../src/dashboard/limits.ts";
import { LinkEvents } from "../../src/dashboard/snapshot/link-events.ts";
import type { ConnectionNumbers, LinkNumbers } from "../../src/dashboard/snapshot/monitored-parts.ts";

const connection = (id: number, peer: string, probesUnanswered = 0): ConnectionNumbers => ({
  id,
  peer,
  local: "127.0.0.1:12345",
  sinceMs: 1_767_225_600_000 + id * 1000,
  bytesIn: 5,
  bytesOut: 7,
  keepAlive: undefined,
  nextProbeInMs: undefined,
  probesUnanswered,
});
const numbers = (connections: readonly ConnectionNumbers[], ended: LinkNumbers["ended"] = {}): LinkNumbers => ({
  accepted: 0,
  open: connections.length,
  bytesIn: 0,
  bytesOut: 0,
  ended,
  connections,
});

test("of a peer that flaps it is told when it came, fell silent, spoke again and went, and why; of others nothing", () => {
  const events = new LinkEvents();
  assert.deepEqual(events.story("10.0.0.7").unknown, ["The links have not been looked at yet"]);
  const other = connection(1, "10.0.0.9:4000");
  const at = (second: number): number => 1_767_225_600_000 + second * 1000;
  events.look(numbers([other]), at(0));
  events.look(numbers([other, connection(2, "10.0.0.7:4001")]), at(2));
  events.look(numbers([other, connection(2, "10.0.0.7:4001", 2)]), at(3));
  events.look(numbers([other, connection(2, "10.0.0.7:4001")]), at(4));
  events.look(numbers([other, connection(5, "10.0.0.7:4002")], { "keep-alive": 1 }), at(6));
  const { steps, unknown } = events.story("10.0.0.7");
  assert.deepEqual(
    steps.map(({ what, text }) => `${what} ${text.replace(/ since .*/, "")}`),
    [
      "open opened from 10.0.0.7:4001",
      "silent 10.0.0.7:4001 does not answer keep-alive probes",
      "heard 10.0.0.7:4001 answers again",
      "open opened from 10.0.0.7:4002",
      "ended 10.0.0.7:4001 ended after about 4 s: keep-alive",
      "now 10.0.0.7:4002 is open",
    ],
  );
  assert.match(unknown[0]!, /^What was before 2026-01-01T00:00:00\.000Z, /);
  assert.equal(events.story("10.0.0.7:4002").steps.length, 2);
});

test("however many connections come and go, the newest events are kept", () => {
  const events = new LinkEvents();
  events.look(numbers([]), 0);
  for (let id = 1; id <= LINK_EVENTS_MAX + 50; id += 1) events.look(numbers([connection(id, `[::1]:${id}`)]), id);
  assert.equal(events.story("::1").steps.length, LINK_EVENTS_MAX + 1);
});

test("the story of a session's name has its connections, whatever their addresses, and when it was away", () => {
  const events = new LinkEvents();
  const look = (second: number, peer: string | undefined, id: number): void =>
    events.look(
      {
        ...numbers(peer === undefined ? [] : [connection(id, peer)], peer === undefined ? { reset: 1 } : {}),
        sessions: [
          {
            name: "sensor-7",
            presence: peer === undefined ? "away" : "online",
            peer,
            sinceMs: 2000,
            received: 3,
            unconfirmed: 1,
          },
        ],
      },
      1_767_225_600_000 + second * 1000,
    );
  events.look(numbers([]), 1_767_225_600_000);
  look(2, "10.0.0.7:4001", 1);
  look(4, undefined, 1);
  look(6, "10.0.0.8:4002", 2);
  const words = (): string[] =>
    events.story("sensor-7").steps.map(({ what, text }) => `${what} ${text.replace(/,? since .*/, "")}`);
  assert.deepEqual(words(), [
    "open opened from 10.0.0.7:4001",
    "began session sensor-7 began",
    "ended 10.0.0.7:4001 ended after about 3 s: reset",
    "away session sensor-7 is away",
    "open opened from 10.0.0.8:4002",
    "online session sensor-7 is online",
    "now 10.0.0.8:4002 is open",
    "now session sensor-7 is online",
  ]);
  events.look(numbers([], { closed: 1 }), 1_767_225_608_000);
  assert.equal(words().at(-1), "gone session sensor-7 is gone");
});
