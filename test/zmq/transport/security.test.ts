/** Who may come in: NULL, PLAIN and CURVE, the `authenticate` option and ZAP handlers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { codeOf } from "../../../src/core/errors.ts";
import { Context, Dealer, Pull, Push, Reply, Router, curveKeyPair, type AuthRequest } from "../../../src/zmq/index.ts";
import { curveMath } from "../../../src/zmq/transport/curve-math.ts";
import { requires } from "../../support/requires.ts";
import { closing, nextEvent, python } from "../../support/zmq.ts";

test("PLAIN lets in whom the authenticator knows, and shows the user with the peer", async (t) => {
  const asked: AuthRequest[] = [];
  const router = closing(
    t,
    new Router({
      plainServer: true,
      zapDomain: "farm",
      authenticate: (request) => {
        asked.push(request);
        return request.password === "right" ? { userId: `user ${request.username}` } : false;
      },
    }),
  );
  await router.bind("tcp://127.0.0.1:*");
  const handshake = nextEvent(router, "handshake");
  const dealer = closing(t, new Dealer({ plainUsername: "ann", plainPassword: "right", routingId: "a" }));
  dealer.connect(router.lastEndpoint!);
  await dealer.send("hello");
  assert.deepEqual((await router.receive()).map(String), ["a", "hello"]);
  const { userId, mechanism } = await handshake;
  assert.deepEqual([userId, mechanism], ["user ann", "PLAIN"]);
  assert.equal(router.peer("a")?.userId, "user ann");
  assert.equal(asked[0]?.domain, "farm");
  assert.equal(asked[0]?.address, "127.0.0.1");

  const refused = nextEvent(router, "handshake:error:auth");
  const stranger = closing(t, new Dealer({ plainUsername: "bob", plainPassword: "wrong" }));
  const told = nextEvent(stranger, "handshake:error:auth");
  stranger.connect(router.lastEndpoint!);
  const { error } = await refused;
  assert.deepEqual(
    [error.message, error.detail, error.status],
    ["Authentication failure", "The authenticator refused the peer", 400],
  );
  assert.equal((await told).error.status, 400);
});

test("PLAIN without an authenticator lets nobody in", async (t) => {
  const pull = closing(t, new Pull({ plainServer: true }));
  await pull.bind("tcp://127.0.0.1:*");
  const push = closing(t, new Push({ plainUsername: "ann", plainPassword: "any" }));
  const told = nextEvent(push, "handshake:error:auth");
  push.connect(pull.lastEndpoint!);
  assert.equal((await told).error.status, 500);
});

test("a CURVE server without a key lets nobody in and tells who speaks another mechanism so", async (t) => {
  const own = curveKeyPair();
  const pull = closing(t, new Pull({ curveServer: true }));
  await pull.bind("tcp://127.0.0.1:*");
  const ofZeros = curveMath.x25519.publicKey(new Uint8Array(32)); // what libzmq has where no key is set: everyone knows it
  const guessed = { curveServerKey: ofZeros, curvePublicKey: own.publicKey, curveSecretKey: own.secretKey };
  for (const [options, code] of [
    [{ plainUsername: "ann" }, "ERR_ZMTP_MECHANISM_MISMATCH"],
    [guessed, "ERR_ZMTP_CRYPTOGRAPHIC"],
  ] as const) {
    const push = closing(t, new Push(options));
    const told = nextEvent(pull, "handshake:error:protocol");
    push.connect(pull.lastEndpoint!);
    assert.equal(codeOf((await told).error), code);
    push.disconnect(pull.lastEndpoint!);
  }
});

test("an authenticator that throws refuses with 500 and harms nobody else", async (t) => {
  const router = closing(
    t,
    new Router({
      authenticate: ({ mechanism }) => {
        assert.equal(mechanism, "NULL");
        throw new Error("database away");
      },
    }),
  );
  await router.bind("tcp://127.0.0.1:*");
  const dealer = closing(t, new Dealer());
  const told = nextEvent(dealer, "handshake:error:auth");
  dealer.connect(router.lastEndpoint!);
  assert.equal((await told).error.status, 500);
});

test("the temporary 300 ends the connection without a word, and the client tries again", async (t) => {
  let asked = 0;
  const pull = closing(
    t,
    new Pull({
      authenticate: () => {
        asked += 1;
        return { status: asked === 1 ? 300 : 200 };
      },
    }),
  );
  await pull.bind("tcp://127.0.0.1:*");
  const push = closing(t, new Push({ reconnectInterval: 1 }));
  push.connect(pull.lastEndpoint!);
  await push.send("at last");
  assert.deepEqual((await pull.receive()).map(String), ["at last"]);
  assert.equal(asked, 2);
});

test("CURVE lets in the key that the authenticator knows", async (t) => {
  const server = curveKeyPair();
  const client = curveKeyPair();
  const router = closing(
    t,
    new Router({
      curveServer: true,
      curveSecretKey: server.secretKey,
      authenticate: ({ publicKey }) => publicKey === client.publicKey && { userId: "worker 1" },
    }),
  );
  await router.bind("tcp://127.0.0.1:*");
  const keys = { curveServerKey: server.publicKey, curveSecretKey: client.secretKey, curvePublicKey: client.publicKey };
  const dealer = closing(t, new Dealer({ ...keys, routingId: "w" }));
  assert.equal(dealer.securityMechanism, "curve");
  dealer.connect(router.lastEndpoint!);
  await dealer.send(["sealed", Buffer.alloc(100_000, 7)]);
  const [id, word, body] = await router.receive();
  assert.deepEqual([String(id), String(word), body!.length, body![99_999]], ["w", "sealed", 100_000, 7]);
  assert.equal(router.peer(id!)?.userId, "worker 1");
  await router.send([id!, "back"]);
  assert.equal(String((await dealer.receive())[0]), "back");

  const other = curveKeyPair();
  const stranger = closing(t, new Dealer({ ...keys, curveSecretKey: other.secretKey, curvePublicKey: other.publicKey }));
  const told = nextEvent(stranger, "handshake:error:auth");
  stranger.connect(router.lastEndpoint!);
  assert.equal((await told).error.status, 400);
});

test("a CURVE key that is none is refused where it is set, without being repeated; a missing or weak one at connect", (t) => {
  const wrong = `${curveKeyPair().secretKey}~`;
  const isSilent = (error: Error) => codeOf(error) === "EINVAL" && !inspect(error).includes(wrong);
  assert.throws(() => new Push({ curveServerKey: curveKeyPair().publicKey, curveSecretKey: wrong }), isSilent);
  const { publicKey: curveServerKey, secretKey: curveSecretKey } = curveKeyPair();
  for (const options of [{ curveServerKey }, { curveSecretKey, curveServerKey: new Uint8Array(32) }]) {
    const push = closing(t, new Push(options));
    assert.throws(() => push.connect("tcp://127.0.0.1:1"), { code: "EINVAL" });
  }
});

test("two sides set to different mechanisms part with a mismatch", async (t) => {
  const pull = closing(t, new Pull());
  await pull.bind("tcp://127.0.0.1:*");
  const failed = nextEvent(pull, "handshake:error:protocol");
  const push = closing(t, new Push({ plainUsername: "ann" }));
  push.connect(pull.lastEndpoint!);
  const { error } = await failed;
  assert.equal(error.message, "ZMTP protocol error");
  assert.equal(error.detail, 'Security mechanisms differ: the peer uses "PLAIN", this side NULL');
});

test("a ZAP handler at inproc://zeromq.zap.01 decides, as in libzmq", async (t) => {
  const context = new Context();
  const handler = closing(t, new Reply({ context }));
  await handler.bind("inproc://zeromq.zap.01");
  const pull = closing(t, new Pull({ context, plainServer: true, zapDomain: "farm" }));
  await pull.bind("tcp://127.0.0.1:*");
  const push = closing(t, new Push({ context, plainUsername: "ann", plainPassword: "right" }));
  push.connect(pull.lastEndpoint!);
  const handshake = nextEvent(pull, "handshake");
  const [version, id, domain, address, , mechanism, username, password] = await handler.receive();
  assert.deepEqual([version, domain, address, mechanism, username, password].map(String), [
    "1.0",
    "farm",
    "127.0.0.1",
    "PLAIN",
    "ann",
    "right",
  ]);
  await handler.send([version!, id!, "200", "OK", "user ann", ""]);
  assert.equal((await handshake).userId, "user ann");
});

test("pyzmq's PLAIN and CURVE clients are let in", requires("python3-zmq"), async (t) => {
  const server = curveKeyPair();
  const client = curveKeyPair();
  const plain = closing(t, new Pull({ plainServer: true, authenticate: ({ password }) => password === "pw" }));
  const curve = closing(t, new Pull({ curveServer: true, curveSecretKey: server.secretKey }));
  for (const pull of [plain, curve]) await pull.bind("tcp://127.0.0.1:*");
  const script = `
push = context.socket(zmq.PUSH)
push.plain_username, push.plain_password = b"u", b"pw"
push.connect(sys.argv[1])
push.send(b"plain")
push = context.socket(zmq.PUSH)
push.curve_publickey, push.curve_secretkey, push.curve_serverkey = [key.encode() for key in sys.argv[3:6]]
push.connect(sys.argv[2])
push.send_multipart([b"curve", b"c" * 100000])
`;
  const endpoints = [plain, curve].map(({ lastEndpoint }) => lastEndpoint!);
  const done = python(script, ...endpoints, client.publicKey, client.secretKey, server.publicKey);
  assert.equal(String((await plain.receive())[0]), "plain");
  assert.deepEqual(
    (await curve.receive()).map(({ length }) => length),
    [5, 100_000],
  );
  await done;
});
