import assert from "node:assert/strict";
import { test } from "node:test";
import { PeerRelay, type CoreChannel } from "../../../../src/queue/cluster/relay/peer-relay.ts";
import type { Frames } from "../../../../src/queue/protocols/messages.ts";

const message = (text: string): Buffer[] => (text === "" ? [] : text.split("|").map((frame) => Buffer.from(frame, "latin1")));
const show = (frames: Frames): string => frames.map((frame) => frame.toString("latin1")).join("|");

/** A peer relay with one peer, and broker cores that write down what they hear. */
function simulation(): {
  peerRelay: PeerRelay;
  says(text: string): void;
  sent: string[];
  enter(): { heard: string[]; tags: string[]; says(text: string): void };
} {
  const peerRelay = new PeerRelay({ name: "d" });
  const sent: string[] = [];
  return {
    peerRelay,
    sent,
    says: (text) =>
      peerRelay.receive("peer", message(text), () => ({
        send: (frames) => void sent.push(show(frames)),
        close: (why) => void sent.push(why),
      })),
    enter() {
      const heard: string[] = [];
      const tags: string[] = [];
      const core: CoreChannel = {
        message: (_, frames, idempotencyKey) => {
          heard.push(show(frames));
          tags.push(idempotencyKey);
        },
        user: (key, user) => void heard.push(`user ${user} ${key}`),
        gone: (key) => void heard.push(`gone ${key}`),
        flush: () => {},
        ready: () => undefined,
      };
      const channel = peerRelay.channelOf(() => core);
      peerRelay.enter(core);
      return { heard, tags, says: (text) => channel.said("peer", message(text)) };
    },
  };
}

test("a peer that said HELLO is told ANEW by the next leader, and is not heard before it says HELLO again", () => {
  const { peerRelay, says, sent, enter } = simulation();
  const first = enter();
  says("HQ1|HELLO|hello");
  says("HQ1|WORK|q|1");
  assert.deepEqual(first.heard, ["HQ1|HELLO|hello", "HQ1|WORK|q|1"]);
  peerRelay.leave();
  says("HQ1|DONE|1.1|late");
  const second = enter();
  first.says("HQ1|TASK|from a leader of the past");
  assert.deepEqual(sent, ["HQ1|ANEW"]);
  says("HQ1|DONE|1.1|late");
  says("HQ1|HELLO|hello");
  says("HQ1|HOLD|q|1.1");
  assert.deepEqual(second.heard, ["HQ1|HELLO|hello", "HQ1|HOLD|q|1.1"]);
});

test("a Ready without an answer is sent again to the next leader, and not once it has its task", () => {
  const { peerRelay, says, sent, enter } = simulation();
  const first = enter();
  says("|Ready|result of the task before");
  peerRelay.leave();
  const second = enter();
  assert.deepEqual(first.heard, ["|Ready|result of the task before"]);
  assert.deepEqual(second.heard, ["|Ready"]);
  second.says("|the next task");
  assert.deepEqual(sent, ["|the next task"]);
  peerRelay.leave();
  assert.deepEqual(enter().heard, []);
});

test("what a peer sent while nobody led reaches the next leader", () => {
  const { says, enter } = simulation();
  says("|Ready");
  assert.deepEqual(enter().heard, ["|Ready"]);
});

test("a Majordomo worker's READY and a client's unanswered requests are sent again, the requests under the same key", () => {
  const { peerRelay, says, enter } = simulation();
  const first = enter();
  says("|MDPW01|\x01|echo");
  says("|MDPC01|echo|one");
  says("|MDPC01|echo|two");
  first.says("|MDPC01|echo|ONE");
  peerRelay.leave();
  const second = enter();
  assert.deepEqual(second.heard, ["|MDPW01|\x01|echo", "|MDPC01|echo|two"]);
  assert.equal(second.tags[1], first.tags[2]);
  assert.notEqual(first.tags[1], first.tags[2]);
  says("|MDPW01|\x05");
  second.says("|MDPC01|echo|TWO");
  peerRelay.leave();
  assert.deepEqual(enter().heard, []);
});

test("of a client without HELLO its WORK is sent again, and of a CALL whose tasks are known only a WATCH", () => {
  const { peerRelay, says, enter } = simulation();
  const first = enter();
  says("HQ1|WORK|q|1");
  says("HQ1|ADD|1|q||a");
  says("HQ1|CALL|2|q||b|c");
  says("HQ1|STATS|3");
  first.says("HQ1|ADDED|1|x-1");
  first.says("HQ1|ADDED|2|x-2|x-3");
  first.says("HQ1|ENDED|2|x-2|done|B");
  peerRelay.leave();
  const second = enter();
  assert.deepEqual(second.heard, ["HQ1|WORK|q|1", "HQ1|STATS|3", "HQ1|WATCH|2|x-3"]);
  second.says("HQ1|ENDED|2|x-3|done|C");
  second.says("HQ1|DATA|3|{}");
  says("HQ1|BYE");
  peerRelay.leave();
  assert.deepEqual(enter().heard, []);
});

test("a peer that is gone is forgotten", () => {
  const { peerRelay, says, enter } = simulation();
  const first = enter();
  says("|Ready");
  peerRelay.gone("peer");
  assert.equal(first.heard.at(-1), "gone peer");
  peerRelay.leave();
  assert.deepEqual(enter().heard, []);
  assert.equal(peerRelay.peerCount, 0);
});

test("without a leader for a while, peers that said HELLO are told ANEW, and again when there is a leader", () => {
  const { peerRelay, says, sent, enter } = simulation();
  enter();
  says("HQ1|HELLO|hello");
  peerRelay.sendAway();
  assert.deepEqual(sent, []);
  peerRelay.leave();
  peerRelay.sendAway();
  assert.deepEqual(sent, ["HQ1|ANEW"]);
  says("HQ1|HELLO|hello");
  const { heard } = enter();
  assert.deepEqual(sent, ["HQ1|ANEW", "HQ1|ANEW"]);
  says("HQ1|HELLO|hello");
  assert.deepEqual(heard, ["HQ1|HELLO|hello"]);
});

test("a HELLO that only asks for the load does not count as the new HELLO", () => {
  const { peerRelay, says, enter } = simulation();
  enter();
  says("HQ1|HELLO|hello");
  peerRelay.leave();
  const { heard } = enter();
  says("HQ1|HELLO|again");
  says("HQ1|CALL|1|q||said to the leader of the past");
  assert.deepEqual(heard, []);
  says("HQ1|HELLO|hello");
  says("HQ1|HELLO|again");
  assert.deepEqual(heard, ["HQ1|HELLO|hello", "HQ1|HELLO|again"]);
});

test("a relay that loses its leader again still lets its peers wait for the next", async () => {
  const { peerRelay, says, enter } = simulation();
  says(`|MDPC01|echo|${"x".repeat(65 * 1024 ** 2)}`);
  const waiting = peerRelay.ready();
  assert.ok(waiting);
  peerRelay.leave();
  enter();
  await waiting;
});
