import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeCommand, encodeError } from "../../src/zmtp/command.ts";
import { HandshakeRefused } from "../../src/zmtp/mechanism.ts";
import { NullMechanism } from "../../src/zmtp/mechanisms/null.ts";
import { encodeProperties } from "../../src/zmtp/properties.ts";

const properties = [["Socket-Type", "PULL"]] as const;

test("a NULL handshake is one READY from each side, sent without waiting", () => {
  const mechanism = new NullMechanism({ properties });
  assert.deepEqual(mechanism.next(), encodeCommand("READY", encodeProperties(properties)));
  assert.equal(mechanism.next(), undefined);
  assert.equal(mechanism.status, "handshaking");
  mechanism.receive(encodeCommand("READY", encodeProperties([["socket-TYPE", "PUSH"]])));
  assert.equal(mechanism.status, "ready");
  assert.equal(String(mechanism.peerProperties?.get("socket-type")), "PUSH");
});

test("a second READY is a protocol error", () => {
  const mechanism = new NullMechanism({ properties });
  const ready = encodeCommand("READY", encodeProperties([["Socket-Type", "PUSH"]]));
  mechanism.receive(ready);
  assert.throws(() => mechanism.receive(ready), { code: "ERR_ZMTP_UNEXPECTED_COMMAND" });
});

test("a peer that NULL's authenticator refuses hears ERROR with the status, or nothing for the temporary 300", () => {
  for (const [status, sent] of [
    [400, encodeError("400")],
    [300, undefined],
  ] as const) {
    const mechanism = new NullMechanism({ properties, authenticate: true });
    assert.equal(mechanism.next(), undefined);
    assert.equal(mechanism.status, "authenticating");
    mechanism.authenticated({ status });
    assert.equal(mechanism.status, "refused");
    assert.deepEqual(mechanism.next(), sent);
  }
});

test("an ERROR received tells its reason and status", () => {
  const mechanism = new NullMechanism({ properties });
  assert.throws(
    () => mechanism.receive(encodeError("400")),
    (error) => error instanceof HandshakeRefused && error.status === 400,
  );
});
