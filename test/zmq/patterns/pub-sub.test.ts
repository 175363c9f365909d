/** PUB, SUB, XPUB and XSUB by libzmq's rules (RFC 29). */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { Context, Publisher, Subscriber, XPublisher, XSubscriber } from "../../../src/zmq/index.ts";
import { closing, until } from "../../support/zmq.ts";

const text = (message: readonly Buffer[] | undefined): string[] | undefined => message?.map((part) => part.toString("latin1"));

/** A publisher that shows subscriptions, and a subscriber to it, within the process. */
async function couple(t: TestContext, options: Partial<Pick<XPublisher, "verbosity" | "manual" | "welcomeMessage">> = {}) {
  const context = new Context();
  const publisher = closing(t, new XPublisher({ context, ...options }));
  await publisher.bind("inproc://p");
  const subscriber = (): Subscriber => {
    const made = closing(t, new Subscriber({ context }));
    made.connect("inproc://p");
    return made;
  };
  return { context, publisher, subscriber };
}

test("a subscription is a prefix of the first part, byte by byte", async (t) => {
  const { publisher, subscriber } = await couple(t);
  const sub = subscriber();
  sub.subscribe("ab", Buffer.of(0xff, 0x00));
  for (const topic of ["a", "b", "ab", "abc", "Ab"]) publisher.trySend([topic, "ab"]);
  publisher.trySend(Buffer.of(0xff, 0x00, 0x01));
  publisher.trySend(Buffer.of(0xff));
  assert.deepEqual(text(sub.tryReceive()), ["ab", "ab"]);
  assert.deepEqual(text(sub.tryReceive()), ["abc", "ab"]);
  assert.deepEqual(sub.tryReceive(), [Buffer.of(0xff, 0x00, 0x01)]);
  assert.equal(sub.tryReceive(), undefined);
});

test("a message that matches two topics of one subscriber comes once", async (t) => {
  const { publisher, subscriber } = await couple(t);
  const sub = subscriber();
  sub.subscribe("a", "ab", "");
  publisher.trySend("abc");
  assert.deepEqual(text(sub.tryReceive()), ["abc"]);
  assert.equal(sub.tryReceive(), undefined);
});

test("subscriptions are counted: as many unsubscribes undo them", async (t) => {
  const { publisher, subscriber } = await couple(t);
  const sub = subscriber();
  sub.subscribe("a", "a");
  sub.unsubscribe("a");
  publisher.trySend("a1");
  assert.deepEqual(text(sub.tryReceive()), ["a1"]);
  sub.unsubscribe("a");
  publisher.trySend("a2");
  assert.equal(sub.tryReceive(), undefined);
});

test("an XPUB shows the first subscription to a topic and the last unsubscription, of all peers together", async (t) => {
  const { publisher, subscriber } = await couple(t);
  const [one, two] = [subscriber(), subscriber()];
  for (const sub of [one, two]) sub.subscribe("A");
  for (const sub of [one, two]) sub.unsubscribe("A");
  assert.deepEqual(text(publisher.tryReceive()), ["\u0001A"]);
  assert.deepEqual(text(publisher.tryReceive()), ["\u0000A"]);
  assert.equal(publisher.tryReceive(), undefined);
});

test("a verbose XPUB shows every subscription, and with allSubsUnsubs every unsubscription", async (t) => {
  for (const [verbosity, expected] of [
    ["allSubs", ["\u0001A", "\u0001A", "\u0000A"]],
    ["allSubsUnsubs", ["\u0001A", "\u0001A", "\u0000A", "\u0000A"]],
  ] as const) {
    const { publisher, subscriber } = await couple(t, { verbosity });
    const [one, two] = [subscriber(), subscriber()];
    for (const sub of [one, two]) sub.subscribe("A");
    for (const sub of [one, two]) sub.unsubscribe("A");
    const seen: string[] = [];
    for (let message = publisher.tryReceive(); message; message = publisher.tryReceive()) seen.push(...text(message)!);
    assert.deepEqual(seen, expected);
  }
});

test("an XPUB is told of the topics of a subscriber that goes away", async (t) => {
  const { publisher, subscriber } = await couple(t);
  const sub = subscriber();
  sub.subscribe("A", "B");
  assert.ok(publisher.tryReceive() && publisher.tryReceive());
  await sub.close();
  const seen = [publisher.tryReceive(), publisher.tryReceive()].map((message) => text(message)![0]);
  assert.deepEqual(seen.toSorted(), ["\u0000A", "\u0000B"]);
  assert.equal(publisher.trySend("A"), "sent");
});

test("a manual XPUB subscribes its peers itself, to what it likes", async (t) => {
  const { publisher, subscriber } = await couple(t, { manual: true });
  const sub = subscriber();
  sub.subscribe("A", "XA");
  publisher.trySend("A before");
  assert.deepEqual(text(publisher.tryReceive()), ["\u0001A"]);
  publisher.subscribe("XA");
  publisher.trySend("A after");
  publisher.trySend("XA after");
  assert.deepEqual(text(sub.tryReceive()), ["XA after"]);
  assert.equal(sub.tryReceive(), undefined);
});

test("a manual XPUB is told of what each subscriber asked for when it goes away", async (t) => {
  const { publisher, subscriber } = await couple(t, { manual: true });
  const subs = [subscriber(), subscriber()];
  for (const sub of subs) sub.subscribe("A");
  const told = (): (readonly string[] | undefined)[] => Array.from({ length: 3 }, () => text(publisher.tryReceive()));
  assert.deepEqual(told(), [["\u0001A"], ["\u0001A"], undefined]);
  publisher.subscribe("XA");
  for (const sub of subs) await sub.close();
  assert.deepEqual(told(), [["\u0000A"], ["\u0000A"], undefined]);
});

test("a subscriber with 100,000 topics gets what begins with each of them", async (t) => {
  const publisher = closing(t, new Publisher({ sendHighWaterMark: 0 }));
  await publisher.bind("tcp://127.0.0.1:*");
  const sub = closing(t, new Subscriber({ receiveTimeout: 10_000, receiveHighWaterMark: 0 }));
  sub.subscribe(...Array.from({ length: 100_000 }, (_, index) => `symbol-${index}.`), "last");
  sub.connect(publisher.lastEndpoint!);
  const heard = sub.receive();
  for (let isThere = false; !isThere; isThere = await Promise.race([heard.then(() => true), turn()])) publisher.trySend("last");
  for (let index = 0; index < 100_000; index += 1000) publisher.trySend(`symbol-${index}.`);
  const seen = new Set<string>();
  while (seen.size < 100) {
    const topic = String((await sub.receive())[0]);
    if (topic !== "last") seen.add(topic);
  }
});

test("a welcome message reaches each new subscriber that wants it", async (t) => {
  const { publisher, context } = await couple(t, { welcomeMessage: "W" });
  const sub = closing(t, new Subscriber({ context }));
  sub.subscribe("W");
  sub.connect("inproc://p");
  assert.deepEqual(text(sub.tryReceive()), ["W"]);
  assert.deepEqual(text(publisher.tryReceive()), ["\u0001W"]);
});

test("a subscriber that does not read loses what is beyond its high-water mark; others lose nothing", async (t) => {
  const context = new Context();
  const publisher = closing(t, new Publisher({ context, sendHighWaterMark: 10 }));
  await publisher.bind("inproc://p");
  const slow = closing(t, new Subscriber({ context, receiveHighWaterMark: 5 }));
  const quick = closing(t, new Subscriber({ context }));
  for (const sub of [slow, quick]) {
    sub.connect("inproc://p");
    sub.subscribe();
  }
  for (let count = 0; count < 100; count += 1) {
    assert.equal(publisher.trySend(`${count}`), "sent");
    assert.deepEqual(text(quick.tryReceive()), [`${count}`]);
  }
  const kept: string[] = [];
  for (let message = slow.tryReceive(); message; message = slow.tryReceive()) kept.push(...text(message)!);
  assert.deepEqual(
    kept,
    Array.from({ length: 15 }, (_, count) => `${count}`),
  );
});

test("with noDrop a full subscriber makes the publisher wait", async (t) => {
  const context = new Context();
  const publisher = closing(t, new Publisher({ context, sendHighWaterMark: 1, noDrop: true }));
  await publisher.bind("inproc://p");
  const sub = closing(t, new Subscriber({ context, receiveHighWaterMark: 1 }));
  sub.connect("inproc://p");
  sub.subscribe();
  assert.deepEqual([publisher.trySend("1"), publisher.trySend("2"), publisher.trySend("3")], ["sent", "sent", "EAGAIN"]);
  const waiting = publisher.send("3");
  const seen: string[] = [];
  for (let count = 0; count < 3; count += 1) seen.push(...text(await sub.receive())!);
  await waiting;
  assert.deepEqual(seen, ["1", "2", "3"]);
});

test("invertMatching sends to those whose topics do not match", async (t) => {
  const context = new Context();
  const publisher = closing(t, new Publisher({ context, invertMatching: true }));
  await publisher.bind("inproc://p");
  const sub = closing(t, new Subscriber({ context, invertMatching: true }));
  sub.connect("inproc://p");
  sub.subscribe("a");
  publisher.trySend("abc");
  publisher.trySend("xyz");
  assert.deepEqual(text(sub.tryReceive()), ["xyz"]);
  assert.equal(sub.tryReceive(), undefined);
});

test("an XSUB subscribes by messages, and its other messages reach the XPUB", async (t) => {
  const { context, publisher } = await couple(t);
  const xsub = closing(t, new XSubscriber({ context }));
  xsub.connect("inproc://p");
  await xsub.send("\u0001A");
  await xsub.send(["not a subscription", "of two parts"]);
  assert.deepEqual(text(publisher.tryReceive()), ["\u0001A"]);
  assert.deepEqual(text(publisher.tryReceive()), ["not a subscription", "of two parts"]);
  publisher.trySend("A1");
  assert.deepEqual(text(xsub.tryReceive()), ["A1"]);
});

test("a subscriber subscribes again after each reconnect, to what it wants then", async (t) => {
  const context = new Context();
  const sub = closing(t, new Subscriber({ context, reconnectInterval: 1 }));
  let publisher = closing(t, new XPublisher({ context }));
  await publisher.bind("tcp://127.0.0.1:*");
  const endpoint = publisher.lastEndpoint!;
  sub.subscribe("A", "A", "B");
  sub.connect(endpoint);
  assert.deepEqual(text(await publisher.receive()), ["\u0001A"]);
  assert.deepEqual(text(await publisher.receive()), ["\u0001B"]);
  await publisher.close();
  sub.unsubscribe("B");
  publisher = closing(t, new XPublisher({ context }));
  await publisher.bind(endpoint);
  assert.deepEqual(text(await publisher.receive()), ["\u0001A"]);
  await publisher.send("A again");
  assert.deepEqual(text(await sub.receive()), ["A again"]);
  assert.equal(publisher.tryReceive(), undefined);
});

test("a subscriber with more topics than subscriptionHighWaterBytes is cut off, with the reason", async (t) => {
  const publisher = closing(t, new Publisher({ subscriptionHighWaterBytes: 1024 ** 2 }));
  await publisher.bind("tcp://127.0.0.1:*");
  const sub = closing(t, new Subscriber({ reconnectInterval: -1 }));
  const reasons: (string | undefined)[] = [];
  publisher.events.on("disconnect", ({ reason }) => reasons.push((reason as { code?: string } | undefined)?.code));
  for (let count = 0; count < 20_000; count += 1) sub.subscribe(`topic ${count}`);
  sub.connect(publisher.lastEndpoint!);
  await until(() => reasons.length > 0, "the end of the connection");
  assert.deepEqual(reasons, ["ERR_ZMTP_SUBSCRIPTIONS_TOO_MANY"]);
});

async function turn(): Promise<false> {
  await new Promise(setImmediate);
  return false;
}
