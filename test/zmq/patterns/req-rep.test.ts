/** REQ and REP by libzmq's rules (RFC 28; zmq_socket's text; reference tests test_spec_req, test_spec_rep, test_req_correlate …). */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { Context, Dealer, Reply, Request, Router } from "../../../src/zmq/index.ts";
import { closing, nextEvent, until } from "../../support/zmq.ts";

const text = (message: readonly Buffer[] | undefined): string[] | undefined => message?.map(String);

/** Sockets of one context, so that inproc names of tests do not meet. */
function inproc(t: TestContext) {
  const context = new Context();
  return {
    context,
    request: (options = {}) => closing(t, new Request({ context, ...options })),
    reply: () => closing(t, new Reply({ context })),
    router: (options = {}) => closing(t, new Router({ context, ...options })),
    dealer: (options = {}) => closing(t, new Dealer({ context, ...options })),
  };
}

test("a REQ puts an empty delimiter before its request and takes it off the reply", async (t) => {
  const make = inproc(t);
  const router = make.router();
  const request = make.request();
  await router.bind("inproc://a");
  request.connect("inproc://a");
  assert.equal(request.trySend(["x", "y"]), "sent");
  const [id, ...rest] = router.tryReceive()!;
  assert.deepEqual(text(rest), ["", "x", "y"]);
  router.trySend([id!, "", "back"]);
  assert.deepEqual(text(request.tryReceive()), ["back"]);
});

test("a REQ sends to its peers in turn", async (t) => {
  const make = inproc(t);
  const request = make.request();
  const replies = [make.reply(), make.reply(), make.reply()];
  for (const [index, reply] of replies.entries()) {
    await reply.bind(`inproc://${index}`);
    request.connect(`inproc://${index}`);
  }
  for (let round = 0; round < 6; round += 1) {
    await request.send(`${round}`);
    const reply = replies[round % 3]!;
    assert.deepEqual(text(reply.tryReceive()), [`${round}`]);
    reply.trySend("ok");
    assert.deepEqual(text(request.tryReceive()), ["ok"]);
  }
});

test("a REQ takes a reply only from the peer that it asked", async (t) => {
  const make = inproc(t);
  const request = make.request({ routingId: "me" });
  const asked = make.router();
  const other = make.router();
  await asked.bind("inproc://asked");
  await other.bind("inproc://other");
  request.connect("inproc://asked");
  request.connect("inproc://other");
  await request.send("question");
  assert.deepEqual(text(asked.tryReceive()), ["me", "", "question"]);
  assert.equal(other.trySend(["me", "", "false answer"]), "sent");
  assert.equal(request.tryReceive(), undefined);
  asked.trySend(["me", "", "answer"]);
  assert.deepEqual(text(request.tryReceive()), ["answer"]);
});

test("a REQ throws away replies that came before its next request", async (t) => {
  const make = inproc(t);
  const request = make.request({ relaxed: true });
  const router = make.router();
  await router.bind("inproc://a");
  request.connect("inproc://a");
  await request.send("first");
  const [id] = router.tryReceive()!;
  router.trySend([id!, "", "late answer to the first"]);
  await request.send("second");
  assert.equal(request.tryReceive(), undefined);
  router.tryReceive();
  router.trySend([id!, "", "answer to the second"]);
  assert.deepEqual(text(request.tryReceive()), ["answer to the second"]);
});

test("a correlating REQ skips replies with another request's id", async (t) => {
  const make = inproc(t);
  const request = make.request({ correlate: true, relaxed: true });
  const router = make.router();
  await router.bind("inproc://a");
  request.connect("inproc://a");
  await request.send("first");
  const [peer, firstId, delimiter, body] = router.tryReceive()!;
  assert.deepEqual([firstId!.length, delimiter!.length, String(body)], [4, 0, "first"]);
  await request.send("second");
  const [, secondId] = router.tryReceive()!;
  assert.notDeepEqual(firstId, secondId);
  router.trySend([peer!, firstId!, "", "to the first"]);
  router.trySend([peer!, secondId!, "", "to the second"]);
  assert.deepEqual(text(request.tryReceive()), ["to the second"]);
});

test("a reply without a delimiter ends the connection that it came on", async (t) => {
  const router = closing(t, new Router());
  await router.bind("tcp://127.0.0.1:*");
  const request = closing(t, new Request({ reconnectInterval: 1 }));
  request.connect(router.lastEndpoint!);
  await request.send("x");
  const [id] = await router.receive();
  const disconnected = nextEvent(request, "disconnect");
  await router.send([id!, "no delimiter"]);
  assert.match((await disconnected).reason!.message, /no empty delimiter/);
});

test("a REQ out of turn waits for its turn, in send and in receive", async (t) => {
  const make = inproc(t);
  const request = make.request();
  const reply = make.reply();
  await reply.bind("inproc://a");
  request.connect("inproc://a");
  const answers = [request.receive(), request.receive()];
  const sends = [request.send("1"), request.send("2")];
  for (const number of ["1", "2"]) {
    assert.equal(String((await reply.receive())[0]), number);
    await reply.send(`answer ${number}`);
  }
  await Promise.all(sends);
  assert.deepEqual((await Promise.all(answers)).map(String), ["answer 1", "answer 2"]);
});

test("a REP whose loop does not await its handler answers every request", async (t) => {
  const make = inproc(t);
  const request = make.request();
  const reply = make.reply();
  await reply.bind("inproc://a");
  request.connect("inproc://a");
  const loop = (async () => {
    for await (const [question] of reply) setImmediate(() => void reply.send(`answer ${String(question)}`));
  })();
  for (let number = 0; number < 20; number += 1) {
    await request.send(`${number}`);
    assert.equal(String((await request.receive())[0]), `answer ${number}`);
  }
  void reply.close();
  await loop;
});

test("out of turn a call that may not wait, or not for ever, is told EFSM", async (t) => {
  const make = inproc(t);
  const request = make.request();
  const reply = make.reply();
  await reply.bind("inproc://a");
  request.connect("inproc://a");
  const turn = { code: "EFSM", errno: 156384763, message: "Operation cannot be accomplished in current state" };
  assert.throws(() => request.tryReceive(), turn);
  assert.equal(reply.trySend("x"), "EFSM");
  for (const timeout of [0, 1]) {
    request.receiveTimeout = timeout;
    reply.sendTimeout = timeout;
    await assert.rejects(request.receive(), turn);
    await assert.rejects(reply.send("x"), turn);
  }
  request.receiveTimeout = -1;
  const waiting = assert.rejects(request.receive(), turn);
  void request.close();
  await waiting;
});

test("a REQ without a peer waits, and does not lose its request", async (t) => {
  const make = inproc(t);
  const request = make.request();
  const reply = make.reply();
  const sent = request.send("patience");
  request.connect("inproc://a");
  await reply.bind("inproc://a");
  await sent;
  assert.deepEqual(text(await reply.receive()), ["patience"]);
});

test("a REP keeps the envelope and puts it back", async (t) => {
  const make = inproc(t);
  const reply = make.reply();
  const dealer = make.dealer();
  await reply.bind("inproc://a");
  dealer.connect("inproc://a");
  await dealer.send(["hop 2", "hop 1", "", "question"]);
  assert.deepEqual(text(reply.tryReceive()), ["question"]);
  reply.trySend(["an", "swer"]);
  assert.deepEqual(text(dealer.tryReceive()), ["hop 2", "hop 1", "", "an", "swer"]);
});

test("a REP drops a request without a delimiter and goes on to the next", async (t) => {
  const make = inproc(t);
  const reply = make.reply();
  const dealer = make.dealer();
  await reply.bind("inproc://a");
  dealer.connect("inproc://a");
  await dealer.send("no delimiter");
  await dealer.send(["", "good"]);
  assert.deepEqual(text(reply.tryReceive()), ["good"]);
});

test("a REP's answer to a requester that is gone is dropped, and it goes on", async (t) => {
  const make = inproc(t);
  const reply = make.reply();
  await reply.bind("inproc://a");
  const gone = make.dealer();
  gone.connect("inproc://a");
  await gone.send(["", "question"]);
  assert.deepEqual(text(reply.tryReceive()), ["question"]);
  await gone.close();
  assert.equal(reply.trySend("answer"), "sent");
  const next = make.dealer();
  next.connect("inproc://a");
  await next.send(["", "next"]);
  assert.deepEqual(text(reply.tryReceive()), ["next"]);
});

test("a REP takes requests of all its peers in turn", async (t) => {
  const make = inproc(t);
  const reply = make.reply();
  await reply.bind("inproc://a");
  const dealers = [make.dealer(), make.dealer(), make.dealer()];
  for (const [index, dealer] of dealers.entries()) {
    dealer.connect("inproc://a");
    for (let count = 0; count < 3; count += 1) await dealer.send(["", `${index}`]);
  }
  const seen: string[] = [];
  for (let count = 0; count < 9; count += 1) {
    seen.push(String(reply.tryReceive()![0]));
    reply.trySend("ok");
  }
  assert.deepEqual(seen.slice(0, 3).toSorted(), ["0", "1", "2"]);
  assert.deepEqual(seen.toSorted(), ["0", "0", "0", "1", "1", "1", "2", "2", "2"]);
});

test("two receives that wait on a REP are answered one request each", async (t) => {
  const make = inproc(t);
  const reply = make.reply();
  await reply.bind("inproc://a");
  const first = reply.receive();
  const second = reply.receive();
  const dealer = make.dealer();
  dealer.connect("inproc://a");
  await dealer.send(["", "1"]);
  await dealer.send(["", "2"]);
  assert.deepEqual(text(await first), ["1"]);
  await reply.send("answer to 1");
  assert.deepEqual(text(await second), ["2"]);
  await reply.send("answer to 2");
  await until(() => dealer.readable, "the answers");
  assert.deepEqual(text(dealer.tryReceive()), ["", "answer to 1"]);
});

test("8 callers of one REQ ask at once and each receives the reply to its own request, in whatever order they come", async (t) => {
  const router = closing(t, new Router());
  await router.bind("tcp://127.0.0.1:*");
  const request = closing(t, new Request({ concurrent: 8 }));
  request.connect(router.lastEndpoint!);
  const answering = (async () => {
    const asked: Buffer[][] = [];
    while (asked.length < 8) asked.push(await router.receive());
    for (const message of asked.toReversed()) await router.send(message);
  })();
  const ask = async (number: number): Promise<string> => {
    await request.send(`${number}`);
    return String((await request.receive())[0]);
  };
  const numbers = [1, 2, 3, 4, 5, 6, 7, 8];
  assert.deepEqual(await Promise.all(numbers.map(ask)), numbers.map(String));
  await answering;
});

test("a REQ with as many unanswered requests as it may have waits with the next; without `concurrent` that is one", async (t) => {
  const make = inproc(t);
  const router = make.router();
  await router.bind("inproc://a");
  const [two, one] = [make.request({ concurrent: 2 }), make.request()];
  for (const each of [two, one]) each.connect("inproc://a");
  assert.deepEqual(
    [1, 2, 3].map((number) => two.trySend(`${number}`)),
    ["sent", "sent", "EFSM"],
  );
  assert.deepEqual(
    [1, 2].map((number) => one.trySend(`${number}`)),
    ["sent", "EFSM"],
  );
  const third = two.send("3");
  router.trySend(router.tryReceive()!);
  assert.deepEqual(text(await two.receive()), ["1"]);
  await third;
});

test("with `concurrent`, who gives up gives up its own request: the reply is skipped, others get theirs", async (t) => {
  const make = inproc(t);
  const router = make.router();
  await router.bind("inproc://a");
  const request = make.request({ concurrent: 3 });
  request.connect("inproc://a");
  for (const name of ["a", "b", "c"]) request.trySend(name);
  const impatient = new AbortController();
  const replies = [request.receive(), request.receive({ signal: impatient.signal }), request.receive()];
  impatient.abort();
  await assert.rejects(replies[1]!, { code: "ABORTED" });
  const asked = [router.tryReceive()!, router.tryReceive()!, router.tryReceive()!];
  for (const message of asked.toReversed()) router.trySend(message);
  assert.deepEqual([text(await replies[0]), text(await replies[2])], [["a"], ["c"]]);
});

test("with `concurrent`, a peer that goes away fails the requests it was asked, and no others", async (t) => {
  const make = inproc(t);
  const [leaving, staying] = [make.router(), make.router()];
  await leaving.bind("inproc://leaving");
  await staying.bind("inproc://staying");
  const request = make.request({ concurrent: 2 });
  request.connect("inproc://leaving");
  request.connect("inproc://staying");
  for (const name of ["lost", "kept"]) request.trySend(name);
  const replies = [request.receive(), request.receive()] as const;
  await leaving.close();
  await assert.rejects(replies[0], { code: "EHOSTUNREACH" });
  staying.trySend(staying.tryReceive()!);
  assert.deepEqual(text(await replies[1]), ["kept"]);
});

test("with `concurrent`, replies that wait for earlier ones are charged, and released when the socket closes", async (t) => {
  const context = new Context();
  const router = closing(t, new Router({ context }));
  await router.bind("tcp://127.0.0.1:*");
  const request = new Request({ context, concurrent: 2 });
  request.connect(router.lastEndpoint!);
  for (const name of ["first", "second"]) await request.send(name);
  await router.receive();
  const [id, number, delimiter] = await router.receive();
  const reply = request.receive();
  await router.send([id!, number!, delimiter!, Buffer.alloc(1_000_000)]);
  await until(() => context.budget.bytes > 1_000_000, "the reply to be kept");
  const unanswered = assert.rejects(reply, { code: "EAGAIN" });
  await request.close();
  await unanswered;
  assert.ok(context.budget.bytes < 100_000, `${context.budget.bytes} bytes`);
});
