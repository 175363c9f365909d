/** When memory counts as flat, and what the soak's books notice. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { seeded } from "../../src/core/random.ts";
import { Ledger } from "./ledger.ts";
import { slopeOf } from "./memory.ts";

const MIB = 2 ** 20;

/** 100 MiB, garbage of up to 20 MiB that is collected each minute, and what leaks. */
function samples(leakPerHour: number): number[] {
  const random = seeded(7);
  return Array.from(
    { length: 2700 },
    (_, second) => 100 * MIB + ((second % 60) / 60 + random() / 3) * 15 * MIB + (leakPerHour * second) / 3600,
  );
}

suite("the soak's judgement", () => {
  test("memory that goes up and down with its garbage is flat", () => {
    const { flat, bytesPerHour } = slopeOf(samples(0));
    assert.ok(flat, `${bytesPerHour}`);
  });

  test("a leak of 5 MiB an hour below garbage of 20 MiB is found, and told within a fifth", () => {
    const { flat, bytesPerHour } = slopeOf(samples(5 * MIB));
    assert.equal(flat, false);
    assert.ok(Math.abs(bytesPerHour - 5 * MIB) < MIB, `${bytesPerHour / MIB}`);
  });

  test("memory that shrinks is flat", () => {
    assert.ok(slopeOf(samples(-20 * MIB)).flat);
  });

  test("too few samples are refused", () => {
    assert.throws(() => slopeOf([1, 2, 3]), RangeError);
  });
});

suite("the soak's books", () => {
  const wrongAfter = (fill: (ledger: Ledger) => void): readonly string[] => {
    const ledger = new Ledger();
    fill(ledger);
    ledger.close();
    return ledger.wrong;
  };
  const added = (id: string, body: string) => ({ kind: "added", id, body }) as const;
  const received = (number: number) => ({ kind: "received", sender: "a", number }) as const;
  const confirmed = (number: number) => ({ kind: "confirmed", sender: "a", number }) as const;

  test("a task whose result is its body in capitals, and links whose last message was not confirmed, balance", () => {
    const wrong = wrongAfter((ledger) => {
      ledger.enter(added("1", "abc"));
      ledger.settle("1", "ABC");
      for (const number of [1, 2, 3]) ledger.enter(received(number));
      ledger.enter(confirmed(2));
    });
    assert.deepEqual(wrong, []);
  });

  test("a missing, a wrong and a second result of a task are noticed", () => {
    assert.match(wrongAfter((ledger) => ledger.enter(added("1", "abc"))).join(), /no result/);
    const wrong = wrongAfter((ledger) => {
      ledger.enter(added("1", "abc"));
      ledger.settle("1", "XYZ");
      ledger.settle("1", "ABC");
    });
    assert.match(wrong.join("\n"), /has the result 'XYZ'\n.*settled twice/);
  });

  test("a link message that comes twice, is left out, or was confirmed and never came is noticed", () => {
    const of = (...said: readonly Parameters<Ledger["enter"]>[0][]): string =>
      wrongAfter((ledger) => {
        for (const each of said) ledger.enter(each);
      }).join();
    assert.match(of(received(1), received(1)), /message 1 came twice/);
    assert.match(of(received(1), received(3)), /message 2 is missing/);
    assert.match(of(received(1), confirmed(2)), /1 confirmed and lost/);
  });
});
