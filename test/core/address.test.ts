import assert from "node:assert/strict";
import { test } from "node:test";
import { hostOf, isLoopback, parseAddress, showAddress } from "../../src/core/address.ts";

test("a host left out is this machine, a port left out the part's own", () => {
  const read = (text: string): string => showAddress(parseAddress(text, "--cache", { port: 11_211 }));
  assert.deepEqual(["8080", ":8080", "0.0.0.0:80", "[::1]:80", "db.example", "localhost:0"].map(read), [
    "127.0.0.1:8080",
    "127.0.0.1:8080",
    "0.0.0.0:80",
    "[::1]:80",
    "db.example:11211",
    "localhost:0",
  ]);
});

test("what is no address is refused with the flag's name", () => {
  for (const text of ["", "host:", "host:port", "1.2.3.4:65536", "::1:80", "a b:80", "host:-1"]) {
    assert.throws(() => parseAddress(text, "--link"), { code: "ADDRESS_INVALID", message: /--link/ }, text);
  }
});

test("only addresses of this machine are loopback", () => {
  assert.deepEqual(
    ["127.0.0.1", "127.9.9.9", "::1", "localhost", "0.0.0.0", "::", "10.0.0.1", "127.example.org"].map(isLoopback),
    [true, true, true, true, false, false, false, false],
  );
});

test("the host of an address has neither port nor brackets", () => {
  for (const [address, host] of [
    ["127.0.0.1:11211", "127.0.0.1"],
    ["[::1]:5555", "::1"],
    ["sensors.local:1", "sensors.local"],
    ["10.0.0.7", "10.0.0.7"],
  ] as const)
    assert.equal(hostOf(address), host);
});
