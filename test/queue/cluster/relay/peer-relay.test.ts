import assert from "node:assert/strict";
import { test } from "node:test";
import { Door, type HallPort } from "../../../../src/queue/cluster/relay/peer-relay.ts";
import type { Frames } from "../../../../src/queue/protocols/messages.ts";

const message = (text: string): Buffer[] => (text === "" ? [] : text.split("|").map((frame) => Buffer.from(frame, "latin1")));
const show = (frames: Frames): string => frames.map((frame) => frame.toString("latin1")).join("|");

/** A door with one peer, and halls that write down what they hear. */
function world(): {
  door: Door;
  says(text: string): void;
  sent: string[];
  enter(): { heard: string[]; tags: string[]; says(text: string): void };
} {
  const door = new Door({ name: "d" });
  const sent: string[] = [];
  return {
    door,
    sent,
    says: (text) =>
      door.receive("peer", message(text), () => ({
        send: (frames) => void sent.push(show(frames)),
        close: (why) => void sent.push(why),
      })),
    enter() {
      const heard: string[] = [];
      const tags: string[] = [];
      const hall: HallPort = {
        message: (_, frames, tag) => {
          heard.push(show(frames));
          tags.push(tag);
        },
        gone: (key) => void heard.push(`gone ${key}`),
        flush: () => {},
        ready: () => undefined,
      };
      const port = door.portOf(() => hall);
      door.enter(hall);
      return { heard, tags, says: (text) => port.said("peer", message(text)) };
    },
  };
}

test("a peer that said HELLO is told ANEW by the next leader, and is not heard before it says HELLO again", () => {
  const { door, says, sent, enter } = world();
  const first = enter();
  says("HQ1|HELLO|hello");
  says("HQ1|WORK|q|1");
  assert.deepEqual(first.heard, ["HQ1|HELLO|hello", "HQ1|WORK|q|1"]);
  door.leave();
  says("HQ1|DONE|1.1|late");
  const second = enter();
  first.says("HQ1|TASK|from a leader of the past");
  assert.deepEqual(sent, ["HQ1|ANEW"]);
  says("HQ1|DONE|1.1|late");
  says("HQ1|HELLO|hello");
  says("HQ1|HOLD|q|1.1");
  assert.deepEqual(second.heard, ["HQ1|HELLO|hello", "HQ1|HOLD|q|1.1"]);
});

test("a REQ that waits for its next task is asked for again, and no more once it has it", () => {
  const { door, says, sent, enter } = world();
  const first = enter();
  says("|Ready|result of the task before");
  door.leave();
  const second = enter();
  assert.deepEqual(first.heard, ["|Ready|result of the task before"]);
  assert.deepEqual(second.heard, ["|Ready"]);
  second.says("|the next task");
  assert.deepEqual(sent, ["|the next task"]);
  door.leave();
  assert.deepEqual(enter().heard, []);
});

test("what a peer said while nobody led reaches the next leader", () => {
  const { says, enter } = world();
  says("|Ready");
  assert.deepEqual(enter().heard, ["|Ready"]);
});

test("a Majordomo worker's READY and a client's unanswered requests are said again, the requests under the same key", () => {
  const { door, says, enter } = world();
  const first = enter();
  says("|MDPW01|\x01|echo");
  says("|MDPC01|echo|one");
  says("|MDPC01|echo|two");
  first.says("|MDPC01|echo|ONE");
  door.leave();
  const second = enter();
  assert.deepEqual(second.heard, ["|MDPW01|\x01|echo", "|MDPC01|echo|two"]);
  assert.equal(second.tags[1], first.tags[2]);
  assert.notEqual(first.tags[1], first.tags[2]);
  says("|MDPW01|\x05");
  second.says("|MDPC01|echo|TWO");
  door.leave();
  assert.deepEqual(enter().heard, []);
});

test("a client without HELLO: its WORK is said again; of a CALL whose tasks are known only their outcomes are asked for", () => {
  const { door, says, enter } = world();
  const first = enter();
  says("HQ1|WORK|q|1");
  says("HQ1|ADD|1|q||a");
  says("HQ1|CALL|2|q||b|c");
  says("HQ1|STATS|3");
  first.says("HQ1|ADDED|1|x-1");
  first.says("HQ1|ADDED|2|x-2|x-3");
  first.says("HQ1|ENDED|2|x-2|done|B");
  door.leave();
  const second = enter();
  assert.deepEqual(second.heard, ["HQ1|WORK|q|1", "HQ1|STATS|3", "HQ1|WATCH|2|x-3"]);
  second.says("HQ1|ENDED|2|x-3|done|C");
  second.says("HQ1|DATA|3|{}");
  says("HQ1|BYE");
  door.leave();
  assert.deepEqual(enter().heard, []);
});

test("a peer that is gone is forgotten", () => {
  const { door, says, enter } = world();
  const first = enter();
  says("|Ready");
  door.gone("peer");
  assert.equal(first.heard.at(-1), "gone peer");
  door.leave();
  assert.deepEqual(enter().heard, []);
  assert.equal(door.peerCount, 0);
});

test("with no hall for a while, those that know other doors are told to begin anew, and again when there is one", () => {
  const { door, says, sent, enter } = world();
  enter();
  says("HQ1|HELLO|hello");
  door.sendAway();
  assert.deepEqual(sent, []);
  door.leave();
  door.sendAway();
  assert.deepEqual(sent, ["HQ1|ANEW"]);
  says("HQ1|HELLO|hello");
  const { heard } = enter();
  assert.deepEqual(sent, ["HQ1|ANEW", "HQ1|ANEW"]);
  says("HQ1|HELLO|hello");
  assert.deepEqual(heard, ["HQ1|HELLO|hello"]);
});

test("a client that only asks how much there is to do has not heard that it is to begin anew", () => {
  const { door, says, enter } = world();
  enter();
  says("HQ1|HELLO|hello");
  door.leave();
  const { heard } = enter();
  says("HQ1|HELLO|again");
  says("HQ1|CALL|1|q||said to the leader of the past");
  assert.deepEqual(heard, []);
  says("HQ1|HELLO|hello");
  says("HQ1|HELLO|again");
  assert.deepEqual(heard, ["HQ1|HELLO|hello", "HQ1|HELLO|again"]);
});

test("a door that is left again while it has no hall goes on with those that wait for the next", async () => {
  const { door, says, enter } = world();
  says(`|MDPC01|echo|${"x".repeat(65 * 1024 ** 2)}`);
  const waiting = door.ready();
  assert.ok(waiting);
  door.leave();
  enter();
  await waiting;
});
