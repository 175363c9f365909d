/** What must hold for every sequence of requests and every cut of their bytes; fast-check finds the shortest that it does not hold for. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DirectCache } from "../../support/direct-cache.ts";
import { checkStore } from "../../support/store-check.ts";

/** One for all: each reserves address space for a store that may grow. */
const cache = new DirectCache();

function fresh(): DirectCache {
  cache.reconnect();
  cache.advance(1);
  cache.say("flush_all\r\n");
  return cache;
}

const key = fc.constantFrom("a", "b", "ключ", "k".repeat(250));
const value = fc.oneof(
  fc.nat(200).map(String),
  fc.string({ maxLength: 40 }),
  fc.constantFrom("", "18446744073709551615", "v".repeat(600), "\r\nEND\r\n"),
);

/** A request, and what it does to a map and answers. */
interface Step {
  readonly text: string;
  readonly model: (items: Map<string, string>) => string;
}

const NOT_NUMERIC = "cannot increment or decrement non-numeric value";

const bytesOf = (text: string): number => Buffer.byteLength(text, "utf8");

function storing(verb: string, name: string, data: string): Step {
  return {
    text: `${verb} ${name} 0 0 ${bytesOf(data)}\r\n${data}\r\n`,
    model(items) {
      const old = items.get(name);
      const refused = verb === "add" ? old !== undefined : verb !== "set" && old === undefined;
      if (refused) return "NOT_STORED\r\n";
      items.set(name, verb === "append" ? old! + data : verb === "prepend" ? data + old! : data);
      return "STORED\r\n";
    },
  };
}

function counting(verb: "incr" | "decr", name: string, by: bigint): Step {
  return {
    text: `${verb} ${name} ${by}\r\n`,
    model(items) {
      const old = items.get(name);
      if (old === undefined) return "NOT_FOUND\r\n";
      const before = /^[ \t-\r]*\+?(\d+)(?:[ \t-\r\0]|$)/.exec(old)?.[1]; // as C's strtoull reads it
      if (before === undefined || BigInt(before) >= 1n << 64n) return `CLIENT_ERROR ${NOT_NUMERIC}\r\n`;
      const number = verb === "incr" ? BigInt.asUintN(64, BigInt(before) + by) : BigInt(before) < by ? 0n : BigInt(before) - by;
      items.set(name, String(number).padEnd(bytesOf(old))); // shorter numbers keep their place, with blanks behind
      return `${number}\r\n`;
    },
  };
}

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constantFrom("set", "add", "replace", "append", "prepend"), key, value).map((parts) => storing(...parts)),
  fc
    .tuple(fc.constantFrom("incr" as const, "decr" as const), key, fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }))
    .map((parts) => counting(...parts)),
  fc.array(key, { minLength: 1, maxLength: 4 }).map((names) => ({
    text: `get ${names.join(" ")}\r\n`,
    model: (items: Map<string, string>) =>
      `${names.map((name) => (items.has(name) ? `VALUE ${name} 0 ${bytesOf(items.get(name)!)}\r\n${items.get(name)}\r\n` : "")).join("")}END\r\n`,
  })),
  key.map((name) => ({
    text: `delete ${name}\r\n`,
    model: (items: Map<string, string>) => (items.delete(name) ? "DELETED\r\n" : "NOT_FOUND\r\n"),
  })),
  fc.constant({
    text: "flush_all\r\n",
    model(items: Map<string, string>) {
      items.clear();
      return "OK\r\n";
    },
  }),
);

test("whatever is asked in whatever order is answered as by a map", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const server = fresh();
      const items = new Map<string, string>();
      for (const { text, model } of steps) {
        const answer = Buffer.from(server.feed([Buffer.from(text, "utf8")]), "latin1").toString("utf8");
        assert.equal(answer, model(items), text);
      }
      checkStore(server.store);
    }),
    { numRuns: 150 },
  );
});

test("any bytes between requests, cut anywhere, are answered as when they come whole, and break nothing", () => {
  const noise = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
  const traffic = fc
    .array(
      fc.oneof(
        step.map(({ text }) => Buffer.from(text, "utf8").toString("latin1")),
        noise,
      ),
      { maxLength: 12 },
    )
    .map((parts) => Buffer.from(parts.join(""), "latin1"));
  fc.assert(
    fc.property(traffic, fc.array(fc.nat(400), { maxLength: 20 }), (bytes, cuts) => {
      const whole = fresh().feed([bytes]);
      const places = [0, ...new Set(cuts.filter((cut) => cut < bytes.length)), bytes.length].sort((a, b) => a - b);
      const pieces = places.slice(1).map((end, index) => bytes.subarray(places[index]!, end));
      assert.equal(fresh().feed(pieces), whole);
      assert.equal(fresh().say("set probe 0 0 2\r\nok\r\nget probe\r\n"), "STORED\r\nVALUE probe 0 2\r\nok\r\nEND\r\n");
      checkStore(cache.store);
    }),
    { numRuns: 100 },
  );
});
