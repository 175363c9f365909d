/** Commands at something that answers nonsense: one sentence and an error, never a stack. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { Router } from "../../src/zmq/index.ts";
import { Holdfast } from "../support/holdfast.ts";

const WELCOME = '{"broker":"00000001","version":1,"load":0,"many":1}';

suite("commands at a broker that answers nonsense", { concurrency: 2 }, () => {
  const router = new Router({ linger: 0 });
  before(async () => {
    await router.bind("tcp://127.0.0.1:*");
    void (async () => {
      for await (const [id, , verb, request, ...rest] of router) {
        // The command says by a name what it is to be answered.
        const wanted = rest.map(String).find((frame) => frame.startsWith("answer:"));
        const said = String(verb) === "HELLO" ? ["WELCOME", WELCOME] : wanted ? wanted.slice(7).split("|") : ["DATA", "{"];
        router.trySend([id!, "HQ1", said[0]!, request ?? "", ...said.slice(1)]);
      }
    })();
  });
  after(() => void router.close());

  for (const [name, words, more = []] of [
    ["ls", ["queue", "ls"]],
    ["ls of a queue", ["queue", "ls", "q"]],
    ["show", ["queue", "show", "00000001-1"]],
    ["cron", ["queue", "cron"]],
    ["purge", ["queue", "purge", "q", "--state", "dead"]],
    ["retry of a queue", ["queue", "retry", "--queue", "q"]],
    ["cancel, answered with data", ["queue", "cancel", "00000001-1"]],
    ["add without ids", ["queue", "add", "answer:ADDED", "x"]],
    ["add with ids that are none", ["queue", "add", "answer:ADDED|me", "x"]],
    ["add with two ids", ["queue", "add", "answer:ADDED|00000001-1|00000001-2", "x"]],
    ["call that ends before it was added", ["queue", "call", "answer:ENDED|00000001-1|done|x", "x"]],
    ["call with a state that is none", ["queue", "call", "answer:ENDED|00000001-1|perhaps|x", "x"]],
    ["call that is refused with a code that is none", ["queue", "call", "answer:REFUSED|\u001b[2J|\u001b[2Jgone", "x"]],
    ["work", ["work", "q"], ["--", "true"]],
  ] as const satisfies readonly (readonly [string, readonly string[], (readonly string[])?])[]) {
    test(name, async () => {
      const holdfast = new Holdfast([...words, "--url", router.lastEndpoint!, "--timeout", "1s", ...more]);
      if (words[0] === "work") {
        await holdfast.printed(/queue\.broker-connected|queue\.message-refused/, "stderr");
        assert.deepEqual(await holdfast.stop(), { code: 0, signal: null });
        return;
      }
      const { code, stdout, stderr } = await holdfast.ended();
      assert.equal(code, 1, stdout + stderr);
      assert.match(stderr, /^holdfast: [^\n]+\n$/);
      assert.doesNotMatch(stderr, /^ {4}at /m);
      // oxlint-disable-next-line no-control-regex
      assert.doesNotMatch(stderr, /\x1b/);
    });
  }
});
