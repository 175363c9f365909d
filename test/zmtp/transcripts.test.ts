/**
 * Connections of libzmq, recorded octet by octet (record-transcripts.ts), read again by Holdfast on either side. CURVE was recorded
 * against Holdfast itself, so that the secrets of one side are known; there only libzmq's half is replayed.
 */
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { CUTS, replay } from "./replay.ts";
import { type Letter, readTranscript } from "./transcript.ts";

const files = globSync(join(import.meta.dirname, "transcripts/*.txt")).sort();

for (const file of files) {
  const transcript = readTranscript(file);
  const sides = (["c", "b"] as const).filter((side) => (transcript.header["ours"] ?? side) === side);
  for (const side of sides) {
    for (const [how, cut] of Object.entries(CUTS)) {
      test(`${basename(file, ".txt")} as ${nameOf(side)} reads the same messages ${how}`, () => {
        const { peer, messages } = replay(transcript, side, cut);
        assert.equal(peer.state, "traffic");
        assert.deepEqual(show(messages), show(transcript.received[side]));
        assert.equal(peer.pendingBytes, 0);
      });
    }
  }
}

test("there are transcripts of every mechanism and of both kinds of subscription", () => {
  const names = files.map((file) => basename(file, ".txt")).join(" ");
  for (const word of ["null", "plain", "curve", "subscriber", "heartbeats"]) assert.match(names, new RegExp(word));
});

function nameOf(side: Letter): string {
  return side === "c" ? "the connecting side" : "the binding side";
}

function show(messages: readonly (readonly Buffer[])[]): string[] {
  return messages.map((frames) => frames.map((frame) => frame.toString("latin1")).join("|"));
}
