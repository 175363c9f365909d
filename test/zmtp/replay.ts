/** Holdfast's protocol core as either side of a transcript, with keys and chance that are the same every time. */
import { between, type Random, seeded } from "../../src/core/random.ts";
import { type CurveKeys, type CurveMath, pureX25519 } from "../../src/zmtp/curve/curve-box.ts";
import { CurveClient } from "../../src/zmtp/curve/curve-client.ts";
import { CurveServer } from "../../src/zmtp/curve/curve-server.ts";
import { FrameWriter } from "../../src/zmtp/frame-writer.ts";
import type { Mechanism } from "../../src/zmtp/mechanism.ts";
import { NullMechanism } from "../../src/zmtp/mechanisms/null.ts";
import type { Message } from "../../src/zmtp/message-parts.ts";
import { ownProperties, Peer } from "../../src/zmtp/peer.ts";
import { PlainClient, PlainServer } from "../../src/zmtp/mechanisms/plain.ts";
import type { SocketTypeName } from "../../src/zmtp/socket-type.ts";
import { curveMath } from "../../src/zmq/transport/curve-math.ts";
import type { Letter, Transcript } from "./transcript.ts";

/** What "c" and "b" have in CURVE: keys whose secrets everybody may know. */
export const CURVE_KEYS: Readonly<Record<Letter, CurveKeys>> = { c: keysOf(1), b: keysOf(2) };

function keysOf(octet: number): CurveKeys {
  const secretKey = new Uint8Array(32).fill(octet);
  return { publicKey: pureX25519.publicKey(secretKey), secretKey };
}

function mathOf(random: Random): CurveMath {
  return {
    randomBytes: (count) => Uint8Array.from({ length: count }, () => between(random, 0, 255)),
    x25519: curveMath.x25519,
  };
}

function mechanismOf(name: string, side: Letter, type: SocketTypeName): Mechanism {
  const properties = ownProperties(type, new Uint8Array(0));
  const math = mathOf(seeded(26)); // the same octets in the recording and in every replay
  if (name === "NULL") return new NullMechanism({ properties });
  if (name === "PLAIN" && side === "c") return new PlainClient({ username: "ada", password: "lovelace", properties });
  if (name === "PLAIN") return new PlainServer({ properties });
  if (name === "CURVE" && side === "c") {
    return new CurveClient({ serverKey: CURVE_KEYS.b.publicKey, keys: CURVE_KEYS.c, math, properties });
  }
  if (name === "CURVE") return new CurveServer({ keys: CURVE_KEYS.b, math, properties });
  throw new Error(`no mechanism ${name}`);
}

/** A peer as Holdfast would have stood on that side. */
export function peerOn(side: Letter, { mechanism, type }: { mechanism: string; type: SocketTypeName }): Peer {
  return new Peer({
    socketType: type,
    routingId: new Uint8Array(0),
    mechanism: mechanismOf(mechanism, side, type),
    messageBytesMax: 1024 * 1024,
  });
}

/** Gives Holdfast, standing on one side, what the other side sent, cut as told. @returns the messages it read */
export function replay(
  { header, sent }: Transcript,
  side: Letter,
  cut: (octets: Buffer) => readonly Buffer[],
): { peer: Peer; messages: Message[] } {
  const type = header[side === "c" ? "connector" : "binder"] as SocketTypeName;
  const peer = peerOn(side, { mechanism: header["mechanism"]!, type });
  const writer = new FrameWriter();
  const messages: Message[] = [];
  for (const chunk of cut(Buffer.concat(sent[side === "c" ? "b" : "c"]))) {
    peer.receive(chunk);
    for (let message = peer.next(); message; message = peer.next()) messages.push(message);
    if (peer.state === "authenticating") peer.authenticated({ status: 200 });
    for (let message = peer.next(); message; message = peer.next()) messages.push(message);
    peer.writeControl(writer);
    writer.take();
  }
  return { peer, messages };
}

/** Ways to cut octets as a network might. */
export const CUTS: Readonly<Record<string, (octets: Buffer) => Buffer[]>> = {
  whole: (octets) => [octets],
  "octet by octet": (octets) => Array.from(octets, (octet) => Buffer.of(octet)),
  "in chunks of chance": (octets) => inChunks(octets, seeded(3)),
};

export function inChunks(octets: Buffer, random: Random): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < octets.length; at += chunks.at(-1)!.length)
    chunks.push(octets.subarray(at, at + between(random, 1, 40)));
  return chunks;
}
