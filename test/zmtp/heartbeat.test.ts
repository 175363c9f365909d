/** When PINGs go out and peers count as dead (RFC 37; libzmq's ZMQ_HEARTBEAT_*). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Heartbeat } from "../../src/zmtp/heartbeat.ts";

const options = { intervalMs: 1000, timeoutMs: 300, ttlMs: 0 };

test("a PING goes out every interval, and a peer silent for the timeout after one is dead", () => {
  const heartbeat = new Heartbeat(options);
  assert.equal(heartbeat.deadlineMs, Number.POSITIVE_INFINITY);
  heartbeat.start(0);
  assert.equal(heartbeat.deadlineMs, 1000);
  assert.equal(heartbeat.due(999), undefined);
  assert.equal(heartbeat.due(1000), "ping");
  assert.equal(heartbeat.deadlineMs, 1300);
  assert.equal(heartbeat.due(1299), undefined);
  assert.equal(heartbeat.due(1300), "dead");
});

test("anything heard is a sign of life, not PONG alone", () => {
  const heartbeat = new Heartbeat(options);
  heartbeat.start(0);
  for (let now = 1000; now < 10_000; now += 1000) {
    assert.equal(heartbeat.due(now), "ping");
    heartbeat.heard();
    assert.equal(heartbeat.deadlineMs, now + 1000);
  }
});

test("without a timeout of its own the peer may be silent for the interval", () => {
  const heartbeat = new Heartbeat({ ...options, timeoutMs: -1 });
  heartbeat.start(0);
  assert.equal(heartbeat.due(1000), "ping");
  assert.equal(heartbeat.due(1999), undefined);
  assert.equal(heartbeat.due(2000), "dead");
});

test("the TTL of a peer's PING runs from the first one until anything is heard", () => {
  const heartbeat = new Heartbeat({ intervalMs: 0, timeoutMs: -1, ttlMs: 0 });
  heartbeat.pinged(500, 0);
  heartbeat.pinged(500, 400);
  assert.equal(heartbeat.deadlineMs, 500, "a second PING does not prolong the first's TTL");
  heartbeat.heard();
  assert.equal(heartbeat.deadlineMs, Number.POSITIVE_INFINITY);
  heartbeat.pinged(0, 600);
  assert.equal(heartbeat.deadlineMs, Number.POSITIVE_INFINITY, "a TTL of 0 asks for nothing");
  heartbeat.pinged(500, 700);
  assert.equal(heartbeat.due(1200), "dead");
});
