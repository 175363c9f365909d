/** A ledger of bytes: who may make a process keep more of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Account, Budget, PartBudget } from "../../src/core/budget.ts";

class Fake {
  incompleteBytes = 0;
  changes = 0;
  stalls = 0;
  readonly account: Account;

  constructor(part: PartBudget, address = "a", who: "stranger" | "known" = "known") {
    this.account = part.open(who, address, this);
  }

  budgetChanged(): void {
    this.changes += 1;
  }

  stalled(): void {
    this.stalls += 1;
  }

  /** So much of a message has arrived. */
  arrive(bytes: number, completed = false): void {
    this.incompleteBytes = bytes;
    this.account.set(bytes);
    this.account.incompleteChanged(completed);
  }

  get mayRead(): boolean {
    return this.account.mayRead(this.incompleteBytes);
  }
}

/** A part that may keep 800 bytes: half of it is 400, the quarter that is shared evenly 200. */
function partOf800(): PartBudget {
  const part = new PartBudget();
  part.setBound(800);
  return part;
}

test("below half of the bound any peer may hold anything", () => {
  let filled = 0;
  const part = new PartBudget(undefined, { onFull: () => (filled += 1) });
  part.setBound(800);
  const peer = new Fake(part);
  peer.account.set(399);
  assert.equal(peer.account.mayHold(399), true);
  assert.equal(filled, 0);
  peer.account.set(400);
  assert.equal(filled, 1);
});

test("past half of the bound those that hold less than an even share of a quarter go on, and are told", () => {
  const part = partOf800();
  const [first, second] = [new Fake(part), new Fake(part)];
  first.account.set(400);
  assert.deepEqual([second.account.mayHold(99), second.account.mayHold(100)], [true, false]);
  first.account.set(301);
  assert.equal(part.isFull, true, "it is full until an eighth of the bound is free again");
  first.account.set(299);
  assert.equal(part.isFull, false);
  assert.deepEqual([first.changes, second.changes], [2, 2]);
});

test("100 connections of one address leave another address its share", () => {
  const part = partOf800();
  const crowd = Array.from({ length: 100 }, () => new Fake(part, "crowd"));
  const alone = new Fake(part, "alone");
  for (const peer of crowd) peer.account.set(4);
  assert.equal(part.isFull, true);
  assert.deepEqual(
    [crowd[0]!.account.mayHold(0), crowd[0]!.account.mayHold(1)],
    [true, false],
    "1 byte is the hundredth of 100",
  );
  assert.equal(alone.account.mayHold(99), true);
  alone.account.set(100);
  assert.equal(alone.account.mayHold(100), false);
});

test("in a process that is full the part that holds most is refused, others are not", () => {
  const world = new Budget();
  world.setBound(800);
  const [greedy, modest] = [new PartBudget(world), new PartBudget(world)];
  const [much, little] = [new Fake(greedy), new Fake(modest)];
  little.account.set(10);
  much.account.set(390);
  assert.equal(world.isFull, true);
  assert.deepEqual([much.account.mayHold(390), little.account.mayHold(1000)], [false, true]);
  much.account.set(0);
  assert.equal(much.account.mayHold(390), true);
});

test("a connection that comes while it is full knows so", () => {
  const part = partOf800();
  new Fake(part, "a").account.set(400);
  assert.equal(new Fake(part, "a").account.mayHold(500), false);
});

test("the message of which most has arrived becomes whole, then the next", () => {
  const part = partOf800();
  const [small, large, larger] = [new Fake(part), new Fake(part), new Fake(part)] as const;
  small.arrive(10);
  large.arrive(190);
  larger.arrive(200);
  assert.deepEqual([small.mayRead, large.mayRead, larger.mayRead], [true, false, true]);
  larger.arrive(300); // the rest of it
  assert.equal(larger.mayRead, true);
  larger.arrive(0, true);
  larger.account.set(300);
  assert.deepEqual([large.mayRead, larger.account.mayHold(300)], [true, false]);
});

test("at the bound nobody may hold more, and whose message would go beyond it is told to end", () => {
  const part = partOf800();
  const peer = new Fake(part);
  peer.arrive(500);
  assert.equal(peer.mayRead, true);
  peer.arrive(800);
  assert.equal(part.isExhausted, true);
  assert.equal(peer.account.mayHold(0), false);
  assert.equal(peer.stalls, 1);
});

test("a peer that does not complete its message while memory is used up is told at the second look", () => {
  const part = partOf800();
  const peer = new Fake(part);
  peer.arrive(500);
  const chosen = part.endStalled(undefined);
  assert.equal(chosen, peer.account);
  assert.equal(peer.stalls, 0);
  part.endStalled(chosen);
  assert.equal(peer.stalls, 1);
});

test("what is reserved leaves less to be shared", () => {
  const part = partOf800();
  part.reserve(400);
  const peer = new Fake(part);
  peer.account.set(200);
  assert.equal(part.isFull, true);
  assert.equal(part.bytes, 600);
  part.reserve(-400);
  assert.equal(part.isFull, false);
});

test("a bound that is raised lets peers go on", () => {
  const part = partOf800();
  new Fake(part).account.set(700);
  assert.equal(part.isFull, true);
  part.setBound(0);
  assert.equal(part.isFull, false);
});

test("strangers take a quarter at most, and beyond half of that an address no more than its share", () => {
  const part = partOf800();
  assert.equal(part.admits("loud"), true);
  const loud = [new Fake(part, "loud", "stranger"), new Fake(part, "loud", "stranger")];
  for (const each of loud) each.account.set(50);
  assert.equal(part.isFull, false, "the part is not");
  assert.deepEqual([part.admits("loud"), part.admits("quiet")], [false, true]);
  new Fake(part, "quiet", "stranger").account.set(100);
  assert.equal(part.admits("third"), false, "a quarter is all");
  assert.equal(new Fake(part, "known").account.mayHold(300), true);
});

test("whatever comes, goes, leaves and is reserved: each budget is the sum of what is below, and nothing stays", () => {
  const step = fc.record({
    peer: fc.nat(5),
    bytes: fc.nat(300),
    kind: fc.constantFrom("set", "arrive", "leave", "reserve", "bound"),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const world = new Budget();
      world.setBound(1000);
      const parts = [new PartBudget(world), new PartBudget(world)] as const;
      for (const part of parts) part.setBound(800);
      const make = (index: number): Fake => new Fake(parts[index % 2]!, `${index % 3}`, index < 4 ? "known" : "stranger");
      const peers = Array.from({ length: 6 }, (_, index) => make(index));
      const held = [0, 0, 0, 0, 0, 0];
      let reserved = 0;
      for (const { peer, bytes, kind } of steps) {
        const fake = peers[peer]!;
        if (kind === "set" || kind === "arrive") held[peer] = bytes;
        if (kind === "set") fake.account.set(bytes);
        else if (kind === "arrive") fake.arrive(bytes);
        else if (kind === "bound") parts[0].setBound(bytes);
        else if (kind === "reserve") {
          parts[0].reserve(bytes - reserved);
          reserved = bytes;
        } else {
          fake.account.set(0);
          fake.account.leave();
          held[peer] = 0;
          peers[peer] = make(peer);
        }
        const sum = (of: number): number => held.reduce((total, each, index) => total + (index % 2 === of ? each : 0), 0);
        assert.deepEqual([parts[0].bytes, parts[1].bytes], [sum(0) + reserved, sum(1)]);
        assert.equal(world.bytes, sum(0) + sum(1) + reserved);
        if (parts[1].isExhausted) assert.equal(peers[1]!.account.mayHold(0), false);
      }
      parts[0].reserve(-reserved);
      for (const { account } of peers) {
        account.set(0);
        account.leave();
      }
      assert.equal(world.bytes, 0);
      assert.equal(world.isFull, false);
    }),
  );
});
