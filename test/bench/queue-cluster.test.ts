import assert from "node:assert/strict";
import { test } from "node:test";
import { benchCluster } from "../../bench/queue-cluster.ts";
import { benchTakeover } from "../../bench/queue-takeover.ts";
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

test("the takeover's bench kills a broker of three and one that is alone", requires("nats-server"), async () => {
  const [took, resident] = await benchTakeover({ tasks: [1000], rounds: 1 });
  for (const { median } of Object.values(took!.figures)) assert.ok(median > 50 && median < 20_000, `${median} ms`);
  for (const { median } of Object.values(resident!.figures)) assert.ok(median > 50, `${median} MiB`);
});
