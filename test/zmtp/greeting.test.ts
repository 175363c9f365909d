/** The greeting: what is sent when, and which version comes of what the peer sends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Greeting } from "../../src/zmtp/greeting.ts";

const options = { socketType: "DEALER", routingId: Buffer.from("me"), mechanism: "NULL", asServer: false } as const;

const signature = (padding = "0000000000000000"): string => `ff${padding}7f`;
const v3 = (major: string, minor: string, mechanism = "NULL", asServer = "00"): string =>
  signature() + major + minor + Buffer.from(mechanism.padEnd(20, "\0")).toString("hex") + asServer + "00".repeat(31);

/** Feeds hex octets, whole or one by one; what was sent and the rest. */
function exchange(hex: string, byteWise = false) {
  const greeting = new Greeting(options);
  const sent = [...greeting.take()];
  let rest: Uint8Array | undefined;
  const octets = Buffer.from(hex, "hex");
  for (const chunk of byteWise ? Array.from(octets, (octet) => Buffer.of(octet)) : [octets]) {
    rest = rest === undefined ? greeting.receive(chunk) : Buffer.concat([rest, chunk]);
    sent.push(...greeting.take());
  }
  return { greeting, rest: rest && Buffer.from(rest).toString("hex"), sent: Buffer.concat(sent).toString("hex") };
}

test("the signature goes out first, the major version after the peer's signature, the rest after the peer's major", () => {
  const greeting = new Greeting(options);
  assert.equal(Buffer.concat([...greeting.take()]).toString("hex"), signature("0000000000000003"));
  greeting.receive(Buffer.from(signature(), "hex"));
  assert.deepEqual(greeting.take(), [Uint8Array.of(3)]);
  greeting.receive(Buffer.of(3));
  const rest = Buffer.concat([...greeting.take()]);
  assert.equal(rest.length, 64 - 11);
  assert.equal(rest.toString("latin1", 0, 5), "\u0001NULL");
});

for (const byteWise of [false, true]) {
  const how = byteWise ? "octet by octet" : "whole";
  test(`greetings of all versions are told apart, ${how}`, () => {
    for (const [hex, version, rest] of [
      [`${v3("03", "01")}04`, "3.1", "04"],
      [`${v3("03", "00")}04`, "3.0", "04"],
      [`${v3("04", "07")}04`, "3.1", "04"],
      [`${signature()}01060000`, "2.0", "0000"],
      ["010261", "1.0", "010261"],
      ["ff00000000000000010061", "1.0", "ff00000000000000010061"],
    ] as const) {
      const outcome = exchange(hex, byteWise);
      assert.equal(outcome.greeting.version, version);
      assert.equal(outcome.rest, rest);
    }
  });
}

test("padding, octet 8 and as-server are not checked: libzmq fills them its own way", () => {
  for (const padding of ["0000000000000001", "ffffffffffffffff"]) {
    assert.equal(exchange(v3("03", "01").replace(signature(), signature(padding))).greeting.version, "3.1");
  }
  assert.equal(exchange(v3("03", "01", "NULL", "01")).greeting.version, "3.1");
  assert.equal(exchange(v3("03", "01", "CURVE")).greeting.mechanism, "CURVE");
});

test("a 2.0 peer is sent our socket type and identity as 2.0 has them", () => {
  const { sent, greeting } = exchange(`${signature()}0106`);
  assert.equal(sent, `${signature("0000000000000003")}03050002${Buffer.from("me").toString("hex")}`);
  assert.equal(greeting.socketTypeOctet, 6);
  assert.equal(greeting.oldFraming, false);
});

test("to a 1.0 peer the signature is the header of our identity's frame", () => {
  const { sent } = exchange("0100");
  assert.equal(sent, signature("0000000000000003") + Buffer.from("me").toString("hex"));
});
