/** Peers that close their side of the connection and read on. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as dial } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { listen } from "../../src/link/index.ts";
import { receiptBody } from "../../src/link/session/body.ts";
import { encodeFrame } from "../../src/link/session/session-frame.ts";
import { RawClient } from "./support/raw-client.ts";

test("in byte mode, a peer that closes its side after a question gets the answer, and the end is told at once", async () => {
  await using server = await listen({ port: 0 });
  const told: string[] = [];
  server.on("end", (_link, { reason }) => told.push(reason));
  server.on("bytes", (link, bytes) => {
    void sleep(100).then(() => {
      told.push("answer");
      return link.send(Buffer.from(`you said ${String(bytes)}`));
    });
  });
  const peer = dial({ port: server.port, host: "127.0.0.1", allowHalfOpen: true });
  peer.end("hello");
  assert.equal(await text(peer), "you said hello");
  assert.deepEqual(told, ["fin", "answer"]);
  assert.equal(server.stats().open, 0);
});

test("a peer that has its answer, or asked nothing, is closed at once", async () => {
  await using server = await listen({ port: 0, answerWithin: "1h" });
  server.on("bytes", (link, bytes) => void link.send(bytes));
  for (const question of ["", "hello"]) {
    const peer = dial({ port: server.port, host: "127.0.0.1", allowHalfOpen: true });
    await once(peer, "connect");
    if (question !== "") peer.write(question);
    if (question !== "") await once(peer, "data");
    peer.resume().end();
    await once(peer, "close");
  }
});

test("in session mode, a peer that closes its side without a BYE is told what is done of what it sent", async () => {
  const ends: (string | undefined)[] = [];
  await using server = await listen({ port: 0, session: { onMessage: () => sleep(100) } });
  server.on("presence", (_session, presence, end) => presence === "away" && ends.push(end?.reason));
  const client = new RawClient(server.port);
  assert.equal((await client.hello()).name, "WELCOME");
  client.socket.write(encodeFrame("MESSAGE", Buffer.from("1")));
  client.socket.end(encodeFrame("MESSAGE", Buffer.from("2")));
  let done = 0;
  while (done < 2) {
    const frame = await client.next();
    assert.equal(frame.name, "ACK");
    done = receiptBody.decode(frame.body).done;
  }
  await once(client.socket, "close");
  assert.deepEqual(ends, ["fin"]);
});
