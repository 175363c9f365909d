/** What `bound` says on a real kernel, in its small form: bound-matrix.ts has ten settings, round trips and loss. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { requires } from "../support/requires.ts";
import { measure } from "./bound-matrix.ts";

const skip = requires("root", "iproute2", "nftables", "tun", "python3-zmq");

test(
  "no death is noticed later than bound() says: idle, after activity, with data sent, and with the own interface down",
  skip,
  async () => {
    const rows = await measure(
      [
        { keepAlive: [1, 3, 2], rttMs: 0, loss: 0 },
        { keepAlive: [2, 1, 4], rttMs: 300, loss: 5 },
      ],
      ["steady", "active", "unacked", "interface-down"],
    );
    for (const { setting, cut, tookMs, boundMs, latestMs, reason } of rows) {
      const what = `${setting.keepAlive.join("/")} ${cut}: ${Math.round(tookMs)} ms, said ${boundMs} ms`;
      assert.ok(tookMs <= latestMs, what);
      if (cut === "interface-down") assert.equal(reason, "interface-down", what);
      else assert.ok(["keepalive-timeout", "user-timeout"].includes(reason), `${what}: ${reason}`);
    }
  },
);
