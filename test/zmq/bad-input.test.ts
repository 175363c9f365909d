/**
 * Everything a broken or hostile peer can do to a socket. Each time: that connection ends with an event that says why, a good peer
 * of the same socket goes on undisturbed, and memory stays bounded.
 */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { test, type TestContext } from "node:test";
import { ManualClock } from "../../src/core/manual-clock.ts";
import { between, seeded } from "../../src/core/random.ts";
import { type CurveKeys, newKeys } from "../../src/zmtp/curve/curve-box.ts";
import { CurveClient } from "../../src/zmtp/curve/curve-client.ts";
import { encodeZ85 } from "../../src/zmtp/curve/z85.ts";
import { curveMath } from "../../src/zmq/transport/curve-math.ts";
import { Context, Dealer, Publisher, Router, Subscriber } from "../../src/zmq/index.ts";
import { frame, greeting, hex, RawPeer, ready } from "./raw-peer.ts";

const LIMIT = 100_000;

interface Ended {
  readonly type: string;
  readonly code: string | undefined;
  readonly detail: string;
}

interface Scene {
  readonly router: Router;
  /** Opens a hostile connection to it. */
  readonly attack: () => Promise<RawPeer>;
  /** How the last hostile connection ended; waits for it. */
  readonly ended: () => Promise<Ended>;
  /** The good peer asks and is answered: nothing has disturbed it. */
  readonly goodPeerStillServed: () => Promise<void>;
}

/** A router with a good peer, and an ear for how other connections end. */
async function scene(context: TestContext, options: object = {}, goodOptions: object = {}): Promise<Scene> {
  const router = new Router({ linger: 0, maxMessageSize: LIMIT, ...options });
  await router.bind("tcp://127.0.0.1:*");
  const ends: Ended[] = [];
  let wake = (): void => {};
  const heard = (type: string, error: (Error & { code?: string; detail?: string }) | undefined): void => {
    ends.push({ type, code: error?.code, detail: error?.detail ?? error?.message ?? "" });
    wake();
  };
  for (const type of ["handshake:error:protocol", "handshake:error:auth", "handshake:error:other"] as const) {
    router.events.on(type, ({ error }) => heard(type, error));
  }
  router.events.on("disconnect", ({ type, reason, socketType }) => {
    if (socketType !== undefined) heard(type, reason); // else the failed handshake has been told already
  });
  const good = new Dealer({ linger: 0, receiveTimeout: 5000, ...goodOptions });
  good.connect(router.lastEndpoint!);
  const raws: RawPeer[] = [];
  context.after(async () => {
    for (const raw of raws) raw.close();
    await Promise.all([good.close(), router.close()]);
  });
  return {
    router,
    async attack() {
      const raw = await RawPeer.connect(router.lastEndpoint!);
      raws.push(raw);
      return raw;
    },
    async ended() {
      while (ends.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return ends.shift()!;
    },
    async goodPeerStillServed() {
      await good.send("still there?");
      for (;;) {
        const [id, ...question] = await router.receive();
        if (question[0]?.toString() !== "still there?") continue; // what a hostile peer sent in good form
        await router.send([id!, "yes"]);
        break;
      }
      assert.deepEqual((await good.receive()).map(String), ["yes"]);
    },
  };
}

const DEALER = ready({ "Socket-Type": "DEALER", Identity: "" });

/** What a hostile peer sends → how its connection must end. */
const ATTACKS: readonly {
  readonly name: string;
  readonly octets: readonly Buffer[];
  readonly type: string;
  readonly code: string;
}[] = [
  {
    name: "chance behind the greeting",
    octets: [greeting(), hex("f1 7c 3a 99 00 12 45")],
    type: "handshake:error:protocol",
    code: "ERR_ZMTP_UNSPECIFIED",
  },
  {
    name: "a mechanism that the socket is not set to",
    octets: [greeting({ mechanism: "PLAIN" })],
    type: "handshake:error:protocol",
    code: "ERR_ZMTP_MECHANISM_MISMATCH",
  },
  {
    name: "a mechanism that nobody knows",
    octets: [greeting({ mechanism: "GSSAPI-but-not-quite" })],
    type: "handshake:error:protocol",
    code: "ERR_ZMTP_MECHANISM_MISMATCH",
  },
  {
    name: "a socket type that a ROUTER does not talk to",
    octets: [greeting(), ready({ "Socket-Type": "SUB" })],
    type: "handshake:error:protocol",
    code: "ERR_ZMTP_INVALID_METADATA",
  },
  {
    name: "no socket type at all",
    octets: [greeting(), ready({})],
    type: "handshake:error:protocol",
    code: "ERR_ZMTP_INVALID_METADATA",
  },
  {
    name: "metadata that claims more than it has",
    octets: [greeting(), frame(4, Buffer.concat([Buffer.from("\u0005READY\u000bSocket-Type"), hex("7fffffff")]))],
    type: "handshake:error:protocol",
    code: "ERR_ZMTP_INVALID_METADATA",
  },
  {
    name: "a command that no mechanism has",
    octets: [greeting(), frame(4, "\u0006HELLO!")],
    type: "handshake:error:protocol",
    code: "ERR_ZMTP_UNEXPECTED_COMMAND",
  },
  {
    name: "a command whose name is cut off",
    octets: [greeting(), frame(4, "\u00ffREADY")],
    type: "handshake:error:protocol",
    code: "ERR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED",
  },
  {
    name: "a message before the handshake's end",
    octets: [greeting(), frame(0, "hello")],
    type: "handshake:error:protocol",
    code: "ERR_ZMTP_UNEXPECTED_COMMAND",
  },
  {
    name: "a READY of 20,000 octets",
    octets: [greeting(), ready({ "X-Padding": "x".repeat(20_000), "Socket-Type": "DEALER" })],
    type: "handshake:error:protocol",
    code: "ERR_ZMTP_MESSAGE_TOO_LONG",
  },
  {
    name: "an ERROR in place of READY",
    octets: [greeting(), frame(4, "\u0005ERROR\u0003400")],
    type: "handshake:error:auth",
    code: "ERR_ZMTP_REFUSED",
  },
  {
    name: "a routing id of 256 octets",
    octets: [greeting(), ready({ "Socket-Type": "DEALER", Identity: "x".repeat(256) })],
    type: "handshake:error:protocol",
    code: "ERR_ZMTP_INVALID_METADATA",
  },
  {
    name: "a frame that claims 2^63 octets",
    octets: [greeting(), DEALER, hex("02 8000000000000000"), Buffer.alloc(1000)],
    type: "disconnect",
    code: "ERR_ZMTP_MESSAGE_TOO_LONG",
  },
  {
    name: "a frame one octet above maxMessageSize",
    octets: [greeting(), DEALER, frame(0, Buffer.alloc(LIMIT + 1))],
    type: "disconnect",
    code: "ERR_ZMTP_MESSAGE_TOO_LONG",
  },
  {
    name: "parts that exceed maxMessageSize together",
    octets: [greeting(), DEALER, ...Array.from({ length: 11 }, () => frame(1, Buffer.alloc(10_000)))],
    type: "disconnect",
    code: "ERR_ZMTP_MESSAGE_TOO_LONG",
  },
  {
    name: "endless MORE of empty parts",
    octets: [greeting(), DEALER, Buffer.alloc(2 * 65_536 + 2, hex("01 00"))],
    type: "disconnect",
    code: "ERR_ZMTP_MESSAGE_TOO_LONG",
  },
  {
    name: "reserved flags in the traffic",
    octets: [greeting(), DEALER, hex("81 01 61")],
    type: "disconnect",
    code: "ERR_ZMTP_UNSPECIFIED",
  },
  {
    name: "a command with MORE",
    octets: [greeting(), DEALER, frame(5, "\u0004PING\u0000\u0000")],
    type: "disconnect",
    code: "ERR_ZMTP_UNEXPECTED_COMMAND",
  },
  {
    name: "a PING without its TTL",
    octets: [greeting(), DEALER, frame(4, "\u0004PING")],
    type: "disconnect",
    code: "ERR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED",
  },
];

/** How a text that names the peer's fault begins. */
const WHAT_WAS_WRONG =
  /^(Cannot|Peer|Protocol violation:|Security mechanisms differ:|Incompatible socket types:|Frame too long:|Message too long:|NULL handshake failed:) ?/;

for (const { name, octets, type, code } of ATTACKS) {
  test(`${name}: the connection ends with ${code}, a good peer notices nothing`, async (context) => {
    const { attack, ended, goodPeerStillServed } = await scene(context);
    await goodPeerStillServed();
    const raw = await attack();
    raw.send(...octets);
    await raw.ended();
    const how = await ended();
    assert.deepEqual({ type: how.type, code: how.code }, { type, code }, how.detail);
    assert.match(how.detail, WHAT_WAS_WRONG);
    await goodPeerStillServed();
  });
}

test("chance before the greeting, 300 times: good peers notice nothing, and nothing is kept", async (context) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  context.diagnostic(`seed ${seed}`);
  const random = seeded(seed);
  const { attack, goodPeerStillServed } = await scene(context);
  await goodPeerStillServed();
  for (let round = 0; round < 300; round += 1) {
    const raw = await attack();
    raw.send(Buffer.from(Array.from({ length: between(random, 1, 300) }, () => between(random, 0, 255))));
    if (round % 3 === 0) raw.close();
    else raw.socket.end();
    if (round % 50 === 0) await goodPeerStillServed();
  }
  await goodPeerStillServed();
});

test("a peer that stops anywhere in its handshake is cut off after handshakeInterval, 30 s by default, and not before", async (context) => {
  const clock = new ManualClock();
  const own = new Context();
  Object.defineProperty(own, "clock", { value: clock });
  const { router, attack, ended, goodPeerStillServed } = await scene(context, { context: own });
  assert.equal(router.handshakeInterval, 30_000);
  await goodPeerStillServed();
  const whole = Buffer.concat([greeting(), DEALER]);
  for (const stop of [0, 1, 9, 10, 11, 12, 40, 64, 65, whole.length - 1]) {
    const raw = await attack();
    raw.send(whole.subarray(0, stop));
    await raw.read(10); // our signature: the connection has been accepted
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(29_999);
    assert.equal(raw.socket.readableEnded, false);
    clock.advance(1);
    await raw.ended();
    const { type, code } = await ended();
    assert.deepEqual({ type, code }, { type: "handshake:error:other", code: "ERR_ZMTP_HANDSHAKE_TIMEOUT" });
  }
  await goodPeerStillServed();
});

test("a peer that connects and says nothing costs no more than its connection: 500 at once, and a good one gets through", async (context) => {
  const { attack, goodPeerStillServed } = await scene(context);
  await Promise.all(Array.from({ length: 500 }, () => attack()));
  await goodPeerStillServed();
});

test("a frame that claims 60 MB and never comes holds no 60 MB", async (context) => {
  const { attack, goodPeerStillServed } = await scene(context, { maxMessageSize: -1 });
  await goodPeerStillServed();
  const before = process.memoryUsage().arrayBuffers;
  for (let peer = 0; peer < 50; peer += 1) {
    const raw = await attack();
    raw.send(greeting(), DEALER, hex("02 0000000003938700"), Buffer.alloc(10));
    await raw.read(64);
  }
  await goodPeerStillServed();
  const grownMib = (process.memoryUsage().arrayBuffers - before) / 2 ** 20;
  assert.ok(grownMib < 100, `50 such peers hold ${grownMib} MiB`);
});

test("a CURVE message sent twice ends the connection as a replay", async (context) => {
  const [serverKeys, clientKeys] = [newKeys(curveMath), newKeys(curveMath)];
  const z85 = ({ publicKey, secretKey }: CurveKeys): { curvePublicKey: string; curveSecretKey: string } => ({
    curvePublicKey: encodeZ85(publicKey),
    curveSecretKey: encodeZ85(secretKey),
  });
  const { router, attack, ended, goodPeerStillServed } = await scene(
    context,
    { curveServer: true, ...z85(serverKeys) },
    { ...z85(clientKeys), curveServerKey: encodeZ85(serverKeys.publicKey) },
  );
  await goodPeerStillServed();
  const raw = await attack();
  const client = new CurveClient({
    serverKey: serverKeys.publicKey,
    keys: clientKeys,
    math: curveMath,
    properties: [
      ["Socket-Type", "DEALER"],
      ["Identity", "thief"],
    ],
  });
  raw.send(greeting({ mechanism: "CURVE" }), frame(4, client.next()!));
  await raw.read(64);
  client.receive(await readCommand(raw));
  raw.send(frame(4, client.next()!));
  client.receive(await readCommand(raw));
  const body = Buffer.alloc(client.cipher!.overheadBytes + 6);
  client.cipher!.seal(0, Buffer.from("pay 10"), body, 0);
  const message = frame(0, body);
  raw.send(message);
  assert.deepEqual((await router.receive()).map(String), ["thief", "pay 10"]);
  raw.send(message);
  await raw.ended();
  assert.deepEqual((await ended()).code, "ERR_ZMTP_INVALID_SEQUENCE");
  await goodPeerStillServed();
});

test("a subscriber that never reads loses messages; the others get all, and what waits for it is bounded", async (context) => {
  const publisher = new Publisher({ linger: 0, sendHighWaterMark: 100 });
  await publisher.bind("tcp://127.0.0.1:*");
  const good = new Subscriber({ linger: 0, receiveTimeout: 5000 });
  good.subscribe("");
  good.connect(publisher.lastEndpoint!);
  const raw = await RawPeer.connect(publisher.lastEndpoint!);
  context.after(async () => {
    raw.close();
    await Promise.all([publisher.close(), good.close()]);
  });
  raw.send(greeting(), ready({ "Socket-Type": "SUB" }), frame(4, "\u0009SUBSCRIBE"));
  await raw.read(64 + ready({ "Socket-Type": "XPUB" }).length - 1);
  raw.socket.pause();
  await untilSubscribed(publisher, good);

  const body = Buffer.alloc(10_000, "x");
  const before = externalBytes();
  for (let sent = 0; sent < 5000; sent += 1) {
    await publisher.send([String(sent), body]);
    const [topic] = await good.receive();
    assert.equal(String(topic), String(sent));
  }
  const heldMib = (externalBytes() - before) / 2 ** 20;
  assert.ok(heldMib < 40, `50 MB were published; ${heldMib} MiB are held`);
});

/** Memory of buffers that are in use, garbage collected. */
function externalBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().external;
}

async function readCommand(raw: RawPeer): Promise<Buffer> {
  const [flags, length] = await raw.read(2);
  assert.equal(flags, 4);
  return raw.read(length!);
}

/** Publishes until the subscriber has heard something, and takes all that. */
async function untilSubscribed(publisher: Publisher, subscriber: Subscriber): Promise<void> {
  const heard = subscriber.receive();
  const timer = setInterval(() => void publisher.send("sync"), 2);
  await heard;
  clearInterval(timer);
  while (subscriber.tryReceive()) continue;
}
