/** One connection's state, between two peers that are fed by hand: the traps of ZMTP, each by its name. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeCommand } from "../../src/zmtp/command.ts";
import { FrameWriter } from "../../src/zmtp/frame-writer.ts";
import { COMMAND, ZmtpFrameDecoder, MORE } from "../../src/zmtp/frame.ts";
import { NullMechanism } from "../../src/zmtp/mechanisms/null.ts";
import type { Message } from "../../src/zmtp/message-parts.ts";
import { Peer, ownProperties } from "../../src/zmtp/peer.ts";
import { encodeProperties, type OwnProperties } from "../../src/zmtp/properties.ts";
import type { SocketTypeName } from "../../src/zmtp/socket-type.ts";

const EMPTY = Buffer.alloc(0);

function makePeer(socketType: SocketTypeName, messageBytesMax = 1000, routingId: Uint8Array = EMPTY): Peer {
  const mechanism = new NullMechanism({ properties: ownProperties(socketType, routingId) });
  return new Peer({ socketType, routingId, mechanism, messageBytesMax });
}

/** What a peer sends: its control octets, then messages. */
function written(peer: Peer, ...messages: Message[]): Buffer {
  const writer = new FrameWriter();
  peer.writeControl(writer);
  for (const message of messages) peer.writeMessage(writer, message);
  return Buffer.concat(writer.take().chunks);
}

/** The frames of octets without a greeting. */
function framesOf(octets: Buffer): { flags: number; body: string }[] {
  const decoder = new ZmtpFrameDecoder({ bodyBytesMax: 1e6 });
  decoder.push(octets);
  const frames: { flags: number; body: string }[] = [];
  for (let body = decoder.next(); body; body = decoder.next())
    frames.push({ flags: decoder.flags, body: body.toString("latin1") });
  return frames;
}

function frame(flags: number, body: Uint8Array | string): Buffer {
  const writer = new FrameWriter();
  writer.frame(flags, Buffer.from(body as string));
  return Buffer.concat(writer.take().chunks);
}

function greeting(minor = 1, major = 3): Buffer {
  const octets = Buffer.alloc(64);
  octets[0] = 0xff;
  octets.set([0x7f, major, minor], 9);
  octets.write("NULL", 12);
  return octets;
}

function ready(properties: OwnProperties): Buffer {
  return frame(COMMAND, encodeCommand("READY", encodeProperties(properties)));
}

/** A peer through its handshake with one of another type. */
function shaken(own: SocketTypeName, other: SocketTypeName, { minor = 1, properties = [] as OwnProperties } = {}): Peer {
  const peer = makePeer(own);
  peer.receive(Buffer.concat([greeting(minor), ready([["Socket-Type", other], ...properties])]));
  assert.equal(peer.next(), undefined);
  assert.equal(peer.state, "traffic");
  written(peer);
  return peer;
}

test("two peers shake hands in whatever pieces their octets arrive", () => {
  for (const size of [1, 7, 1000]) {
    const dealer = makePeer("DEALER", 1000, Buffer.from("id"));
    const router = makePeer("ROUTER");
    for (let round = 0; round < 10; round += 1) {
      for (const [from, to] of [
        [dealer, router],
        [router, dealer],
      ] as const) {
        const octets = written(from);
        for (let at = 0; at < octets.length; at += size) to.receive(octets.subarray(at, at + size));
        assert.equal(to.next(), undefined);
      }
    }
    assert.deepEqual([dealer.state, router.state, router.version], ["traffic", "traffic", "3.1"]);
    assert.deepEqual([router.socketType, String(router.routingId)], ["DEALER", "id"]);
    router.receive(written(dealer, [Buffer.from("a"), EMPTY, Buffer.alloc(300, 1)]));
    assert.deepEqual(
      router.next()?.map(({ length }) => length),
      [1, 0, 300],
    );
  }
});

test("property names are read in any case, unknown ones and X- ones are no matter", () => {
  const peer = makePeer("PULL");
  peer.receive(
    Buffer.concat([
      greeting(),
      ready([
        ["X-Farm", "7"],
        ["SOCKET-TYPE", "PUSH"],
        ["Resource", "r"],
      ]),
    ]),
  );
  peer.next();
  assert.equal(peer.state, "traffic");
  assert.equal(String(peer.properties.get("x-farm")), "7");
});

test("an identity that starts with zero counts as none: such ids are a ROUTER's own", () => {
  const peer = shaken("ROUTER", "DEALER", { properties: [["Identity", Buffer.from([0, 1, 2, 3, 4])]] });
  assert.equal(peer.routingId.length, 0);
});

test("an identity of more than 255 octets, and a socket type that does not fit, are invalid metadata", () => {
  for (const properties of [
    [
      ["Socket-Type", "DEALER"],
      ["Identity", Buffer.alloc(256, 1)],
    ],
    [["Socket-Type", "PUSH"]],
    [["Socket-Type", "NONSENSE"]],
    [],
  ] as OwnProperties[]) {
    const peer = makePeer("ROUTER");
    peer.receive(Buffer.concat([greeting(), ready(properties)]));
    assert.throws(() => peer.next(), { code: "ERR_ZMTP_INVALID_METADATA" });
  }
});

test("a higher version than 3.1 is spoken to as 3.1", () => {
  const peer = makePeer("PULL");
  peer.receive(Buffer.concat([greeting(9, 4), ready([["Socket-Type", "PUSH"]])]));
  peer.next();
  assert.equal(peer.version, "3.1");
});

test("PING is answered with its context, at most 16 octets, whatever the peer announced", () => {
  const peer = shaken("PULL", "PUSH", { minor: 0 });
  assert.equal(peer.speaksHeartbeats, false);
  peer.receive(frame(COMMAND, encodeCommand("PING", Buffer.concat([Buffer.of(0, 5), Buffer.alloc(20, 0x61)]))));
  assert.equal(peer.next(), undefined);
  assert.deepEqual(framesOf(written(peer)), [{ flags: COMMAND, body: `\u0004PONG${"a".repeat(16)}` }]);
  assert.equal(peer.pingTtlMs, 500);
  assert.equal(peer.speaksHeartbeats, true, "one who pings can be pinged");
});

test("the TTL of our PINGs stays where libzmq's 16-bit arithmetic does not wrap", () => {
  const peer = shaken("PULL", "PUSH");
  peer.ping(10_000_000);
  peer.ping(2_000);
  assert.deepEqual(framesOf(written(peer)), [
    { flags: COMMAND, body: `\u0004PING${String.fromCharCode(655 >> 8, 655 & 0xff)}` },
    { flags: COMMAND, body: `\u0004PING${String.fromCharCode(0, 20)}` },
  ]);
});

test("a peer that pings and never reads has at most 16 PONGs waiting", () => {
  const peer = shaken("PULL", "PUSH");
  for (let count = 0; count < 1000; count += 1) {
    peer.receive(frame(COMMAND, encodeCommand("PING", Buffer.of(0, 0, count & 0xff))));
    peer.next();
  }
  const pongs = framesOf(written(peer));
  assert.equal(pongs.length, 16);
  assert.equal(pongs.at(-1)!.body.charCodeAt(5), 999 & 0xff);
});

test("SUBSCRIBE and CANCEL come as commands or as 01 and 00 messages, from any version", () => {
  for (const minor of [0, 1]) {
    const peer = shaken("XPUB", "SUB", { minor });
    peer.receive(
      Buffer.concat([
        frame(COMMAND, encodeCommand("SUBSCRIBE", Buffer.from("A"))),
        frame(0, "\u0001B"),
        frame(COMMAND, encodeCommand("CANCEL", Buffer.from("A"))),
        frame(0, "\u0000B"),
      ]),
    );
    for (const expected of ["\u0001A", "\u0001B", "\u0000A", "\u0000B"]) assert.deepEqual(peer.next()?.map(String), [expected]);
  }
});

test("subscriptions go to a 3.1 peer as commands, to a 3.0 peer as messages", () => {
  const subscription = [Buffer.from("\u0001A")];
  assert.deepEqual(framesOf(written(shaken("SUB", "PUB"), subscription)), [{ flags: COMMAND, body: "\u0009SUBSCRIBEA" }]);
  assert.deepEqual(framesOf(written(shaken("SUB", "PUB", { minor: 0 }), subscription)), [{ flags: 0, body: "\u0001A" }]);
});

test("an unknown command in the traffic is skipped; one with MORE, or that cannot be read, is a protocol error", () => {
  const peer = shaken("PULL", "PUSH");
  peer.receive(Buffer.concat([frame(COMMAND, encodeCommand("NEWER", Buffer.from("x"))), frame(0, "next")]));
  assert.deepEqual(peer.next()?.map(String), ["next"]);
  peer.receive(frame(COMMAND | MORE, encodeCommand("NEWER")));
  assert.throws(() => peer.next(), { code: "ERR_ZMTP_UNEXPECTED_COMMAND" });
  const other = shaken("PULL", "PUSH");
  other.receive(frame(COMMAND, Buffer.of(9, 1)));
  assert.throws(() => other.next(), { code: "ERR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED" });
});

test("commands may stand between the parts of a message", () => {
  const peer = shaken("PULL", "PUSH");
  peer.receive(Buffer.concat([frame(MORE, "a"), frame(COMMAND, encodeCommand("PONG")), frame(0, "b")]));
  assert.deepEqual(peer.next()?.map(String), ["a", "b"]);
});

test("a message before the handshake's end, and a handshake without end, are protocol errors", () => {
  const early = makePeer("PULL");
  early.receive(Buffer.concat([greeting(), frame(0, "too early")]));
  assert.throws(() => early.next(), { code: "ERR_ZMTP_UNEXPECTED_COMMAND" });
  const long = makePeer("PULL");
  long.receive(Buffer.concat([greeting(), frame(COMMAND, Buffer.alloc(20_000, 1))]));
  assert.throws(() => long.next(), { code: "ERR_ZMTP_MESSAGE_TOO_LONG" });
});

test("the limit counts all parts of a message, and starts anew with the next", () => {
  const peer = shaken("PULL", "PUSH");
  peer.receive(Buffer.concat([frame(MORE, Buffer.alloc(600)), frame(0, Buffer.alloc(400)), frame(0, Buffer.alloc(1000))]));
  assert.equal(peer.next()?.length, 2);
  assert.equal(peer.next()?.[0]?.length, 1000);
  peer.receive(Buffer.concat([frame(MORE, Buffer.alloc(600)), frame(0, Buffer.alloc(401))]));
  assert.throws(() => peer.next(), { code: "ERR_ZMTP_MESSAGE_TOO_LONG" });
});

test("endless MORE of empty parts ends at 65,536", () => {
  const peer = shaken("PULL", "PUSH");
  const parts = Buffer.alloc(2 * 65_536);
  for (let at = 0; at < parts.length; at += 2) parts[at] = MORE;
  peer.receive(parts);
  assert.throws(() => peer.next(), { code: "ERR_ZMTP_MESSAGE_TOO_LONG" });
});
