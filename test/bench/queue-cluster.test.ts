import assert from "node:assert/strict";
import { test } from "node:test";
import { benchCluster } from "../../bench/queue-cluster.ts";
import { requires } from "../support/requires.ts";

test(
  "the cluster's bench measures full cycles of a broker on NATS and of a queue by hand",
  requires("nats-server"),
  async () => {
    const findings = await benchCluster({
      rounds: 1,
      seconds: 0.3,
      producers: [8],
      nodes: [1],
      names: ["1 broker", "jetstream by hand"],
    });
    assert.equal(findings.length, 4);
    for (const { name, figures } of findings) {
      assert.equal(Object.keys(figures).length, 2);
      for (const { median } of Object.values(figures)) assert.ok(median > 0, name);
    }
  },
);
