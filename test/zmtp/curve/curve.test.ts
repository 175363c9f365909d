/** CURVE between our two ends, in memory: the handshake, the traffic, and everything a thief or a broken peer could send. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeError } from "../../../src/zmtp/command.ts";
import { newKeys, pureX25519 } from "../../../src/zmtp/curve/curve-box.ts";
import { CurveCipher } from "../../../src/zmtp/curve/curve-cipher.ts";
import { CurveClient } from "../../../src/zmtp/curve/curve-client.ts";
import { nonceOctets } from "../../../src/zmtp/curve/curve-command.ts";
import { CurveServer } from "../../../src/zmtp/curve/curve-server.ts";
import { type Mechanism, SEALED_COMMAND, SEALED_MORE, type TrafficCipher } from "../../../src/zmtp/mechanism.ts";
import { curveMath } from "../../../src/zmq/transport/curve-math.ts";
import { between, seeded } from "../../../src/core/random.ts";

const SERVER = newKeys(curveMath);
const CLIENT = newKeys(curveMath);

function client({ serverKey = SERVER.publicKey, keys = CLIENT } = {}): CurveClient {
  return new CurveClient({ serverKey, keys, math: curveMath, properties: [["Socket-Type", "DEALER"]] });
}

function server({ authenticate = false } = {}): CurveServer {
  return new CurveServer({ keys: SERVER, math: curveMath, properties: [["Socket-Type", "ROUTER"]], authenticate });
}

/** Gives one side's commands to the other; returns them. */
function carry(from: Mechanism, to: Mechanism): Uint8Array[] {
  const sent: Uint8Array[] = [];
  for (let command = from.next(); command; command = from.next()) {
    sent.push(command);
    to.receive(command);
  }
  return sent;
}

function ciphers(): { sender: CurveCipher; receiver: CurveCipher } {
  const key = curveMath.randomBytes(32);
  const both = { key, noncesSent: 2, lastNonceReceived: nonceOctets(2) };
  return { sender: new CurveCipher({ role: "client", ...both }), receiver: new CurveCipher({ role: "server", ...both }) };
}

/** A MESSAGE in memory of its own. */
function seal(cipher: TrafficCipher, flags: number, part: Uint8Array): Buffer {
  const message = Buffer.alloc(cipher.overheadBytes + part.length);
  cipher.seal(flags, part, message, 0);
  return message;
}

/** What a MESSAGE holds, which is left as it is. */
function open(cipher: TrafficCipher, message: Uint8Array): { flags: number; part: Buffer } {
  const copy = Buffer.from(message);
  const flags = cipher.open(copy);
  return { flags, part: copy.subarray(cipher.overheadBytes) };
}

test("HELLO has 200 octets, WELCOME 168, and both sides learn the other's properties", () => {
  const [c, s] = [client(), server()];
  const [hello] = carry(c, s);
  const [welcome] = carry(s, c);
  const [initiate] = carry(c, s);
  const [ready] = carry(s, c);
  assert.deepEqual([hello!.length, welcome!.length], [200, 168]);
  assert.ok(initiate!.length >= 257 && ready!.length >= 30);
  assert.deepEqual([c.status, s.status], ["ready", "ready"]);
  assert.equal(Buffer.from(c.peerProperties!.get("socket-type")!).toString(), "ROUTER");
  assert.equal(Buffer.from(s.peerProperties!.get("socket-type")!).toString(), "DEALER");
});

test("after the handshake parts of any size and flags pass in both directions", () => {
  const [c, s] = [client(), server()];
  carry(c, s);
  carry(s, c);
  carry(c, s);
  carry(s, c);
  const part = fc.uint8Array({ maxLength: 600 });
  fc.assert(
    fc.property(fc.boolean(), fc.integer({ min: 0, max: 3 }), part, (up, flags, octets) => {
      const [from, to] = up ? [c, s] : [s, c];
      const opened = open(to.cipher!, seal(from.cipher!, flags, octets));
      assert.deepEqual(opened, { flags, part: Buffer.from(octets) });
    }),
  );
});

test("the server waits for a verdict on the client's long-term key, and READY comes only with 200", () => {
  const [c, s] = [client(), server({ authenticate: true })];
  carry(c, s);
  carry(s, c);
  carry(c, s);
  assert.equal(s.status, "authenticating");
  assert.deepEqual(s.credentials, { mechanism: "CURVE", publicKey: new Uint8Array(CLIENT.publicKey) });
  assert.equal(s.next(), undefined);
  s.authenticated({ status: 200, userId: "ada" });
  carry(s, c);
  assert.deepEqual([c.status, s.status, s.userId], ["ready", "ready", "ada"]);
});

test("a refused client hears ERROR with the status 400 or 500, and of 300 nothing", () => {
  for (const status of [300, 400, 500] as const) {
    const [c, s] = [client(), server({ authenticate: true })];
    carry(c, s);
    carry(s, c);
    carry(c, s);
    s.authenticated({ status });
    assert.equal(s.status, "refused");
    const command = s.next();
    if (status === 300) assert.equal(command, undefined);
    else assert.throws(() => c.receive(command!), { code: "ERR_ZMTP_REFUSED", status });
  }
});

test("an ERROR in place of WELCOME ends the client's handshake with the server's reason", () => {
  assert.throws(() => client().receive(encodeError("go away")), { code: "ERR_ZMTP_REFUSED", message: /go away/ });
});

test("a client with another server's key is refused at HELLO", () => {
  const c = client({ serverKey: newKeys(curveMath).publicKey });
  assert.throws(() => carry(c, server()), { code: "ERR_ZMTP_CRYPTOGRAPHIC", message: /HELLO/ });
});

test("a client cannot claim a long-term key whose secret it does not have", () => {
  const thief = { publicKey: CLIENT.publicKey, secretKey: newKeys(curveMath).secretKey };
  const [c, s] = [client({ keys: thief }), server()];
  carry(c, s);
  carry(s, c);
  assert.throws(() => carry(c, s), { code: "ERR_ZMTP_CRYPTOGRAPHIC", message: /vouch/ });
});

test("an INITIATE of another connection is refused: its cookie is not the one that WELCOME gave", () => {
  const [c, s] = [client(), server()];
  carry(c, s);
  carry(s, c);
  const initiate = c.next()!;
  const other = server();
  carry(client(), other);
  assert.throws(() => other.receive(initiate), { code: "ERR_ZMTP_CRYPTOGRAPHIC", message: /cookie/ });
});

test("a handshake command with any octet changed is refused, wherever it is checked, but for HELLO's padding", () => {
  const padding = { from: 8, to: 80 };
  const steps = ["HELLO", "WELCOME", "INITIATE", "READY"] as const;
  const lengths = { HELLO: 200, WELCOME: 168, INITIATE: 279, READY: 52 };
  for (const [step, name] of steps.entries()) {
    for (let at = 0; at < lengths[name]; at += 7) {
      if (name === "HELLO" && at >= padding.from && at < padding.to) continue;
      const [c, s] = [client(), server()];
      const sides: [Mechanism, Mechanism] = [c, s];
      for (let done = 0; done < step; done += 1) {
        carry(...sides);
        sides.reverse();
      }
      const command = sides[0].next()!;
      assert.equal(command.length, lengths[name], name);
      command[at]! ^= 0x10;
      assert.throws(
        () => sides[1].receive(command),
        (error: Error & { code: string }) => error.code.startsWith("ERR_ZMTP_"),
        `${name} with octet ${at} changed`,
      );
    }
  }
});

test("a handshake command that is cut short, stretched or out of turn is refused with its name", () => {
  const hello = client().next()!;
  const wrong: [Uint8Array, string][] = [
    [hello.subarray(0, 199), "ERR_ZMTP_MALFORMED_COMMAND_HELLO"],
    [Buffer.concat([hello, Buffer.of(0)]), "ERR_ZMTP_MALFORMED_COMMAND_HELLO"],
    [Buffer.from("\u0005READY"), "ERR_ZMTP_UNEXPECTED_COMMAND"],
    [Buffer.from("\u0008INITIATE"), "ERR_ZMTP_UNEXPECTED_COMMAND"],
    [Buffer.alloc(0), "ERR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED"],
    [Buffer.of(200, 1), "ERR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED"],
  ];
  for (const [command, code] of wrong) assert.throws(() => server().receive(command), { code });
  assert.throws(() => client().receive(Buffer.from("\u0007WELCOME")), { code: "ERR_ZMTP_MALFORMED_COMMAND_WELCOME" });
  const s = server();
  s.receive(client().next()!);
  assert.throws(() => s.receive(Buffer.from("\u0008INITIATE")), { code: "ERR_ZMTP_MALFORMED_COMMAND_INITIATE" });
});

test("random octets in place of any handshake command never pass and never break anything but the handshake", () => {
  const seed = 0xc0ffee;
  const random = seeded(seed);
  for (let round = 0; round < 300; round += 1) {
    const octets = Uint8Array.from({ length: between(random, 0, 300) }, () => between(random, 0, 255));
    const named = round % 3 === 0 ? Buffer.concat([Buffer.from("\u0005HELLO"), octets]) : octets;
    assert.throws(
      () => server().receive(named),
      (error: Error & { code: string }) => error.code.startsWith("ERR_ZMTP_"),
      `seed ${seed}, round ${round}`,
    );
  }
});

test("a MESSAGE whose nonce is not above the last is a replay", () => {
  const { sender, receiver } = ciphers();
  const first = seal(sender, 0, Buffer.from("pay 10"));
  const second = seal(sender, 0, Buffer.from("pay 20"));
  open(receiver, second);
  assert.throws(() => open(receiver, second), { code: "ERR_ZMTP_INVALID_SEQUENCE" });
  assert.throws(() => open(receiver, first), { code: "ERR_ZMTP_INVALID_SEQUENCE" });
});

test("a nonce may skip, and counts in all 64 bits", () => {
  const key = curveMath.randomBytes(32);
  const sender = new CurveCipher({ role: "client", key, noncesSent: 2 ** 32 - 2, lastNonceReceived: nonceOctets(1) });
  const receiver = new CurveCipher({ role: "server", key, noncesSent: 1, lastNonceReceived: nonceOctets(2) });
  for (const text of ["before the carry", "at the carry", "after it"]) {
    assert.equal(open(receiver, seal(sender, 0, Buffer.from(text))).part.toString(), text);
  }
});

test("a MESSAGE with any octet changed does not open", () => {
  const flags = SEALED_MORE | SEALED_COMMAND;
  for (let at = 0; at < 40; at += 1) {
    const { sender, receiver } = ciphers();
    const message = seal(sender, flags, Buffer.from("hundred"));
    message[at]! ^= 0x80;
    assert.throws(() => open(receiver, message), /Cannot/, `octet ${at}`);
  }
});

test("one's own MESSAGE sent back does not open: each direction has its own nonces", () => {
  const { sender } = ciphers();
  assert.throws(() => open(sender, seal(sender, 0, Buffer.from("echo"))), { code: "ERR_ZMTP_CRYPTOGRAPHIC" });
});

test("a frame that is no MESSAGE is refused once traffic flows", () => {
  const { receiver } = ciphers();
  for (const body of [Buffer.alloc(0), Buffer.from("plain text without a box around it, long enough"), Buffer.alloc(33)]) {
    assert.throws(() => open(receiver, body), { code: "ERR_ZMTP_MALFORMED_COMMAND_MESSAGE" });
  }
});

test("the pure X25519 serves a handshake too, where Node's is missing", () => {
  const math = { randomBytes: curveMath.randomBytes, x25519: pureX25519 };
  const c = new CurveClient({ serverKey: SERVER.publicKey, keys: CLIENT, math, properties: [] });
  const s = new CurveServer({ keys: SERVER, math, properties: [] });
  for (const [from, to] of [[c, s] as const, [s, c] as const, [c, s] as const, [s, c] as const]) carry(from, to);
  assert.equal(c.status, "ready");
});
