/** The bench of the sockets plays every role with every contender, though so briefly that its figures mean nothing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { benchZmq, TINY } from "../../bench/zmq.ts";
import { requires } from "../support/requires.ts";

test("every role of the sockets' bench is played to the end by every contender", requires("libzmq3-dev"), async () => {
  for (const { name, unit, figures, ratios } of await benchZmq(TINY)) {
    assert.ok("libzmq" in ratios && "zeromq" in ratios, name);
    for (const [maker, { median }] of Object.entries(figures)) assert.ok(median > 0, `${name}: ${maker} did ${median} ${unit}`);
  }
});
