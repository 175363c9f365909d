/** cases.json: what docs/queue-protocol.md says, as conversations. clients/python runs them with pyzmq; here our own sockets do. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { Broker } from "../../../src/queue/index.ts";
import { Dealer } from "../../../src/zmq/index.ts";

interface Step {
  readonly peer?: string;
  readonly say?: readonly string[];
  /** "*" is anything; "$name" is anything the first time, and then the same. */
  readonly hear?: readonly string[];
}

const cases = JSON.parse(readFileSync(join(import.meta.dirname, "cases.json"), "utf8")) as {
  readonly fact: string;
  readonly steps: readonly Step[];
}[];

suite("the conversations of the protocol", () => {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false, signals: [], log: false });
  before(() => broker.listen());
  after(() => broker.close());
  for (const [index, { fact, steps }] of cases.entries())
    test(fact, async (t) => {
      const peers = new Map<string, Dealer>();
      t.after(() => Promise.all([...peers.values()].map((peer) => peer.close())));
      const known = new Map([["$queue", `queue-${index}`]]);
      for (const { peer: name = "", say, hear } of steps) {
        let peer = peers.get(name);
        if (!peer) {
          peer = new Dealer({ linger: 0 });
          peer.connect(broker.address);
          peers.set(name, peer);
        }
        if (say) await peer.send(["HQ1", ...say.map((word) => word.replaceAll(/\$\w+/g, (each) => known.get(each) ?? each))]);
        if (!hear) continue;
        const [protocol, ...heard] = (await peer.receive()).map(String);
        assert.equal(protocol, "HQ1");
        for (const [place, word] of hear.entries())
          if (word.startsWith("$") && !known.has(word)) known.set(word, heard[place]!);
        assert.deepEqual(
          heard,
          hear.map((word, place) => (word === "*" ? heard[place] : (known.get(word) ?? word))),
        );
      }
    });
});
