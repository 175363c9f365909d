/** What the decoders call what passes: transcripts as they stand on the wire, read whole, byte by byte and in two halves. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MemcachedDecoder } from "../../src/wire/decode/memcached-decoder.ts";
import {
  byeBody,
  challengeBody,
  helloBody,
  partBody,
  progressBody,
  receiptBody,
  welcomeBody,
} from "../../src/link/session/body.ts";
import { encodeFrame } from "../../src/link/session/session-frame.ts";
import { LinkDecoder } from "../../src/wire/decode/link-decoder.ts";
import { ZmtpDecoder } from "../../src/wire/decode/zmtp-decoder.ts";
import type { ProtocolDecoder, Side } from "../../src/wire/decode/decoded-message.ts";

type Line = readonly [Side, string | Uint8Array];

/** Names of a transcript's messages; the same in every chunking, or the test fails. */
function names(create: () => ProtocolDecoder, lines: readonly Line[]): string[] {
  const chunkings: ((bytes: Uint8Array) => Uint8Array[])[] = [
    (bytes) => [bytes],
    (bytes) => Array.from(bytes, (octet) => Uint8Array.of(octet)),
    (bytes) => [bytes.subarray(0, bytes.length >> 1), bytes.subarray(bytes.length >> 1)],
  ];
  const all = chunkings.map((cut) => {
    const decoder = create();
    return lines.flatMap(([side, content]) => {
      const bytes = typeof content === "string" ? Buffer.from(content, "utf8") : content;
      return cut(bytes).flatMap((piece) => decoder.feed(side, piece).map(({ text }) => `${side[0]} ${text}`));
    });
  });
  assert.deepEqual(all[1], all[0], "byte by byte reads as whole");
  assert.deepEqual(all[2], all[0], "two halves read as whole");
  return all[0]!;
}

const memcached = (...lines: Line[]): string[] => names(() => new MemcachedDecoder(), lines);
const zmtp = (...lines: Line[]): string[] => names(() => new ZmtpDecoder(), lines);
const link = (...lines: Line[]): string[] => names(() => new LinkDecoder({ bodies: false }), lines);

test("memcached's text commands and replies are named, values are passed over", () => {
  assert.deepEqual(
    memcached(
      ["client", "set user:42 0 60 5\r\nhello\r\n"],
      ["server", "STORED\r\n"],
      ["client", "get user:42\r\nget nobody\r\n"],
      ["server", "VALUE user:42 0 5\r\nhello\r\nEND\r\nEND\r\n"],
      ["client", "cas k 1 0 3 77 noreply\r\nget\r\n"],
      ["client", "incr n 1\r\n"],
      ["server", "8\r\n"],
      ["client", "gat 30 a b c d e f\r\n"],
    ),
    [
      "c set user:42 (5 B, expires 60)",
      "s STORED",
      "c get user:42",
      "c get nobody",
      "s VALUE user:42 (hit, 5 B)",
      "s END",
      "s END (miss)",
      "c cas k (3 B, flags 1, cas 77, noreply)",
      "c incr n 1",
      "s 8",
      "c gat a b c d … (6 keys)",
    ],
  );
});

test("a value that holds commands and line ends is a value", () => {
  assert.deepEqual(memcached(["client", "set k 0 0 10\r\nget a\r\nget\r\nget b\r\n"]), ["c set k (10 B)", "c get b"]);
});

test("memcached's meta commands are named with their flags", () => {
  assert.deepEqual(
    memcached(
      ["client", "mg foo t v\r\nms foo 2 T90 c\r\nhi\r\nmd foo q\r\nmn\r\n"],
      ["server", "VA 2 t90\r\nhi\r\nHD\r\nEN\r\nMN\r\n"],
    ),
    [
      "c mg foo (flags t v)",
      "c ms foo (2 B, flags T90 c)",
      "c md foo (flags q)",
      "c mn",
      "s VA (hit, 2 B, flags t90)",
      "s HD",
      "s EN (miss)",
      "s MN",
    ],
  );
});

test("memcached's binary messages are named from their headers", () => {
  const request = Buffer.alloc(24 + 3);
  request.set([0x80, 0x00, 0, 3]);
  request.writeUInt32BE(3, 8);
  request.write("foo", 24);
  const reply = Buffer.alloc(24 + 4 + 5);
  reply.set([0x81, 0x00, 0, 0, 4]);
  reply.writeUInt32BE(9, 8);
  const miss = Buffer.alloc(24 + 9);
  miss.set([0x81, 0x00, 0, 0, 0, 0, 0, 1]);
  miss.writeUInt32BE(9, 8);
  assert.deepEqual(memcached(["client", request], ["server", reply], ["client", request], ["server", miss]), [
    "c binary get foo",
    "s binary get (ok, 5 B)",
    "c binary get foo",
    "s binary get (not found, 9 B)",
  ]);
});

test("garbage on a cache's port is named once, and reading goes on behind it", () => {
  assert.deepEqual(memcached(["client", "\u0000\u0001\nGET / HTTP/1.1\r\nHost: x\r\n\r\nget a\r\n"]), [
    "c unreadable: '\\x00\\x01'",
    "c get a",
  ]);
});

test("a key with escape sequences and direction overrides is shown without them", () => {
  assert.deepEqual(memcached(["client", "get \u001B[31mred\u202Edlrow\r\n"]), ["c get \\x1b[31mred\\u{202e}dlrow"]);
});

const GREETING = Buffer.alloc(64);
GREETING.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1]);
GREETING.write("NULL", 12);

function frame(flags: number, body: string | Uint8Array): Buffer {
  const bytes = Buffer.from(body);
  if (bytes.length < 256) return Buffer.concat([Buffer.of(flags, bytes.length), bytes]);
  const head = Buffer.alloc(9);
  head[0] = flags | 2;
  head.writeBigUInt64BE(BigInt(bytes.length), 1);
  return Buffer.concat([head, bytes]);
}

function ready(type: string, identity = ""): Buffer {
  const property = (name: string, value: string): Buffer =>
    Buffer.concat([Buffer.of(name.length), Buffer.from(name), Buffer.of(0, 0, 0, value.length), Buffer.from(value)]);
  return frame(4, Buffer.concat([Buffer.from("\u0005READY"), property("Socket-Type", type), property("Identity", identity)]));
}

test("a ZeroMQ handshake, the lecture's Ready, a task and a heartbeat are named", () => {
  assert.deepEqual(
    zmtp(
      ["client", GREETING],
      ["server", GREETING],
      ["client", ready("REQ")],
      ["server", ready("ROUTER")],
      ["client", Buffer.concat([frame(1, ""), frame(0, "Ready")])],
      ["server", Buffer.concat([frame(1, ""), frame(0, "a task")])],
      ["client", Buffer.concat([frame(1, ""), frame(1, "Ready"), frame(0, Buffer.alloc(70_000))])],
      ["server", frame(4, Buffer.from("\u0004PING\u0000\u0014ctx"))],
      ["client", frame(4, Buffer.from("\u0004PONGctx"))],
    ),
    [
      "c greeting ZMTP 3.1, NULL",
      "s greeting ZMTP 3.1, NULL",
      "c READY (REQ)",
      "s READY (ROUTER)",
      "c Ready (returns the previous task, requests the next)",
      "s message (2 frames: 0 + 6 B)",
      "c Ready with a result (70000 B), requests the next task",
      "s PING (heartbeat, TTL 2 s)",
      "c PONG (heartbeat answered)",
    ],
  );
});

test("Majordomo's commands are named in both versions", () => {
  const worker = Buffer.concat([frame(1, ""), frame(1, "MDPW01"), frame(1, Buffer.of(1)), frame(0, "echo")]);
  const client = Buffer.concat([frame(1, "MDPC02"), frame(1, Buffer.of(1)), frame(1, "echo"), frame(0, "hi")]);
  assert.deepEqual(zmtp(["client", GREETING], ["client", worker], ["client", client]), [
    "c greeting ZMTP 3.1, NULL",
    "c MDPW01 READY 'echo'",
    "c MDPC02 REQUEST 'echo'",
  ]);
});

test("the queue's own protocol is named by verb, queue, lease and size of body", () => {
  const message = (...frames: string[]): Buffer =>
    Buffer.concat(frames.map((each, index) => frame(index + 1 < frames.length ? 1 : 0, each)));
  assert.deepEqual(
    zmtp(
      ["client", GREETING],
      ["client", message("HQ1", "WORK", "emails", "1")],
      ["server", GREETING],
      ["server", message("HQ1", "TASK", "l-1", "hello", "emails", "1", "0", "3f-17")],
      ["client", message("HQ1", "DONE", "l-1", "HELLO!")],
      ["server", message("HQ1", "KEPT", "l-1")],
      ["client", message("", "HQ1", "ADD", "7", "emails", "{}", "secret")],
      ["client", message("HQ1", "ADD", "8", "emails", "", "a", "b", "c")],
      ["server", message("HQ1", "ENDED", "7", "3f-18", "done", "four")],
      ["client", message("HQ1", "toString")],
    ),
    [
      "c greeting ZMTP 3.1, NULL",
      "c HQ1 WORK emails 1",
      "s greeting ZMTP 3.1, NULL",
      "s HQ1 TASK emails 3f-17 (5 B)",
      "c HQ1 DONE l-1 (6 B)",
      "s HQ1 KEPT l-1",
      "c HQ1 ADD emails (6 B)",
      "c HQ1 ADD emails (3 tasks)",
      "s HQ1 ENDED 3f-18 done (4 B)",
      "c unreadable: unknown HQ1 verb 'toString'",
    ],
  );
});

test("a link's session is named frame by frame, its messages by size", () => {
  const terms = { arrived: 0, receipt: { done: 0, rejects: new Map() }, messageBytesMax: 1000, window: 10, windowBytes: 1000 };
  const nothing = new Uint8Array(0);
  const nonce = new Uint8Array(16);
  const hello = {
    nonce,
    version: 1 as const,
    sessionId: nonce,
    resume: true,
    terms,
    heartbeatMs: 30_000,
    name: "sensor-7",
    will: undefined,
    proof: nothing,
  };
  const welcome = { resumed: true, terms, heartbeatMs: 30_000, heartbeatTimeoutMs: 10_000, ttlMs: 600_000, proof: nothing };
  const part = { number: 2, offset: 0, last: true, givenUp: false, isStream: false, isTopic: false };
  const bye = { word: "drained", retryAfterMs: 5000, text: "" } as const;
  assert.deepEqual(
    link(
      ["server", encodeFrame("CHALLENGE", challengeBody.encode({ nonce, tokenRequired: false, version: 2 }))],
      ["client", encodeFrame("HELLO", helloBody.encode(hello))],
      ["server", encodeFrame("WELCOME", welcomeBody.encode(welcome))],
      ["client", encodeFrame("MESSAGE", Buffer.from("21.5"))],
      ["server", encodeFrame("ACK", receiptBody.encode({ done: 1, rejects: new Map() }))],
      ["client", encodeFrame("PART", Buffer.concat([partBody.head(part), Buffer.alloc(100)]))],
      ["server", encodeFrame("PROGRESS", progressBody.encode({ number: 2, bytes: 100 }))],
      ["server", encodeFrame("PING", nothing)],
      ["client", encodeFrame("PONG", nothing)],
      ["server", encodeFrame("BYE", byeBody.encode(bye))],
      ["client", Buffer.of(0x77, 0, 0, 0)],
    ),
    [
      "s CHALLENGE (26 B)",
      "c HELLO from 'sensor-7', resumes its session, heartbeat 30 s",
      "s WELCOME, resumed, heartbeat 30 s, session kept for 10 min",
      "c MESSAGE (4 B)",
      "s ACK up to 1",
      "c PART of message 2 from 0, the last (100 B)",
      "s PROGRESS of message 2: 100 B",
      "s PING (heartbeat)",
      "c PONG (heartbeat answered)",
      "s BYE drained, retry after 5 s",
      "c unreadable: unknown frame type 0x77",
    ],
  );
});

test("a link in byte mode is bytes, shown only when asked for", () => {
  const decoder = new LinkDecoder({ bodies: false });
  assert.deepEqual(decoder.feed("client", Buffer.from("secret\n")), [{ protocol: "bytes", text: "7 bytes" }]);
  const showing = new LinkDecoder({ bodies: true });
  assert.deepEqual(showing.feed("client", Buffer.from("a\n")), [{ protocol: "bytes", text: "2 bytes: 'a\\x0a'" }]);
});

test("subscriptions are named as commands and as messages of older peers", () => {
  const command = frame(4, Buffer.from("\u0009SUBSCRIBEnews"));
  assert.deepEqual(
    zmtp(["client", GREETING], ["client", ready("SUB")], ["client", command], ["client", frame(0, "\u0001old")]),
    ["c greeting ZMTP 3.1, NULL", "c READY (SUB)", "c SUBSCRIBE 'news'", "c subscribe 'old'"],
  );
});

test("ZMTP 2.0 and 1.0 peers are recognised", () => {
  const second = Buffer.concat([GREETING.subarray(0, 10), Buffer.of(1, 5), frame(0, ""), frame(0, "hello")]);
  assert.deepEqual(zmtp(["client", second]), ["c greeting ZMTP 2.0, DEALER", "c message (0 B)", "c message (5 B)"]);
  const first = Buffer.concat([Buffer.of(1, 0), Buffer.of(6, 0), Buffer.from("hello")]);
  assert.deepEqual(zmtp(["client", first]).slice(-1), ["c message (5 B)"]);
});

test("a frame that claims more than can exist ends the reading of that side with one sentence", () => {
  const huge = Buffer.concat([Buffer.of(2), Buffer.alloc(8, 0xff), Buffer.alloc(100)]);
  const said = zmtp(["client", GREETING], ["client", huge]);
  assert.equal(said.length, 2);
  assert.match(said[1]!, /^c unreadable: frame expected/);
});
