/**
 * Records real connections into test/zmtp/transcripts/, through a proxy between two libzmq (pyzmq), and for CURVE between libzmq
 * and Holdfast with chance that a seed decides. Run by hand: `node --conditions=holdfast-source test/zmtp/record-transcripts.ts`.
 */
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { CurveKeys } from "../../src/zmtp/curve/curve-box.ts";
import { FrameWriter } from "../../src/zmtp/frame-writer.ts";
import type { SocketTypeName } from "../../src/zmtp/socket-type.ts";
import { encodeZ85 } from "../../src/zmtp/curve/z85.ts";
import type { Options, Peer as Driver, SocketType, Step } from "../zmq/interop/peer.ts";
import { pyzmqPeer } from "../zmq/interop/process-peer.ts";
import { CURVE_KEYS, peerOn } from "./replay.ts";
import { type Letter, type Transcript, writeTranscript } from "./transcript.ts";

const directory = join(import.meta.dirname, "transcripts");

/** 300 octets: the long form of a frame's length. */
const LONG = "x".repeat(300);

const TYPE_NAMES: Partial<Record<SocketType, SocketTypeName>> = {
  Request: "REQ",
  Reply: "REP",
  Dealer: "DEALER",
  Router: "ROUTER",
  Push: "PUSH",
  Pull: "PULL",
  Subscriber: "SUB",
  XPublisher: "XPUB",
};

const KEYS = { c: z85(CURVE_KEYS.c), b: z85(CURVE_KEYS.b) };

function z85({ publicKey, secretKey }: CurveKeys): { publicKey: string; secretKey: string } {
  return { publicKey: encodeZ85(publicKey), secretKey: encodeZ85(secretKey) };
}

interface Scene {
  readonly name: string;
  readonly c: SocketType;
  readonly b: SocketType;
  readonly options?: Partial<Record<Letter, Options>>;
  readonly mechanism?: "NULL" | "PLAIN" | "CURVE";
  /** Steps by side; played at once. */
  readonly steps: Partial<Record<Letter, readonly Step[]>>;
  /** Messages on the wire, as the side that receives them must read them. */
  readonly received: Readonly<Record<Letter, readonly string[][]>>;
  /** Time for what the sides say unasked: heartbeats. */
  readonly lastsMs?: number;
}

const CONVERSATION: Pick<Scene, "steps" | "received"> = {
  steps: {
    c: [["send", ["one"]], ["receive"], ["send", ["", "two", LONG]], ["receive"]],
    b: [["receive"], ["reply", 1, [LONG]], ["receive"], ["reply", 1, ["", ""]]],
  },
  received: { b: [["one"], ["", "two", LONG]], c: [[LONG], ["", ""]] },
};

const SCENES: readonly Scene[] = [
  {
    name: "null-request-reply",
    c: "Request",
    b: "Reply",
    steps: {
      c: [["send", ["question"]], ["receive"], ["send", [LONG, ""]], ["receive"]],
      b: [["receive"], ["reply", 0, ["answer"]], ["receive"], ["reply", 0, ["", LONG]]],
    },
    received: {
      b: [
        ["", "question"],
        ["", LONG, ""],
      ],
      c: [
        ["", "answer"],
        ["", "", LONG],
      ],
    },
  },
  { name: "null-dealer-router", c: "Dealer", b: "Router", options: { c: { routingId: "worker 7" } }, ...CONVERSATION },
  {
    name: "null-subscriber-publisher",
    c: "Subscriber",
    b: "XPublisher",
    steps: { c: [["subscribe", "a"], ["receive"]], b: [["receive"], ["send", ["b", "not asked for"]], ["send", ["a", LONG]]] },
    received: { b: [["\u0001a"]], c: [["a", LONG]] },
  },
  {
    name: "null-push-pull",
    c: "Push",
    b: "Pull",
    steps: {
      c: [
        ["send", ["x"]],
        ["send", [LONG, LONG]],
      ],
      b: [["receive"], ["receive"]],
    },
    received: { b: [["x"], [LONG, LONG]], c: [] },
  },
  {
    name: "null-heartbeats",
    c: "Dealer",
    b: "Router",
    options: { c: { heartbeatInterval: 20, heartbeatTimeToLive: 500 }, b: { heartbeatInterval: 30 } },
    ...CONVERSATION,
    lastsMs: 100,
  },
  {
    name: "plain-dealer-router",
    c: "Dealer",
    b: "Router",
    mechanism: "PLAIN",
    options: { c: { plainUsername: "ada", plainPassword: "lovelace" }, b: { plainServer: true } },
    ...CONVERSATION,
  },
];

/** Two libzmq talk through a proxy. */
async function record(scene: Scene, drivers: Record<Letter, Driver>): Promise<Transcript> {
  const endpoint = await openAndBind(scene, drivers.b);
  const proxy = await startProxy(Number(endpoint.split(":").at(-1)));
  await drivers.c.open(scene.name, scene.c, { linger: 0, ...scene.options?.c });
  await drivers.c.connect(scene.name, `tcp://127.0.0.1:${proxy.port}`);
  await Promise.all((["c", "b"] as const).map((letter) => drivers[letter].run(scene.name, scene.steps[letter] ?? [])));
  await sleep(scene.lastsMs ?? 20);
  const sent = { c: [Buffer.concat(proxy.sent.c)], b: [Buffer.concat(proxy.sent.b)] };
  await drivers.c.close(scene.name);
  await drivers.b.close(scene.name);
  proxy.close();
  return { header: headerOf(scene), sent, received: messagesOf(scene) };
}

async function openAndBind(scene: Scene, driver: Driver): Promise<string> {
  await driver.open(scene.name, scene.b, { linger: 0, ...scene.options?.b });
  return driver.bind(scene.name, "tcp://127.0.0.1:*");
}

interface Proxy {
  readonly port: number;
  readonly sent: Record<Letter, Buffer[]>;
  close(): void;
}

/** Passes one connection on, and remembers what each side sent. */
async function startProxy(port: number): Promise<Proxy> {
  const sent: Record<Letter, Buffer[]> = { c: [], b: [] };
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    const pass = (from: Socket, to: Socket, letter: Letter): void => {
      from.on("data", (octets: Buffer) => {
        sent[letter].push(octets);
        to.write(octets);
      });
      from.on("end", () => to.end()).on("error", () => to.destroy());
    };
    pass(near, far, "c");
    pass(far, near, "b");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, sent, close: () => server.close() };
}

/** Holdfast's protocol core plays one side of CURVE against libzmq, so that its secrets can be known when it is replayed. */
async function recordCurve(ours: Letter, driver: Driver): Promise<Transcript> {
  const theirs: Letter = ours === "c" ? "b" : "c";
  const scene: Scene = { name: `curve-dealer-router-${ours}`, c: "Dealer", b: "Router", mechanism: "CURVE", ...CONVERSATION };
  const sent: Record<Letter, Buffer[]> = { c: [], b: [] };
  const peer = peerOn(ours, { mechanism: "CURVE", type: TYPE_NAMES[scene[ours]]! });
  const talk = async (socket: Socket): Promise<void> => {
    const writer = new FrameWriter();
    const outgoing = (ours === "c" ? scene.received.b : scene.received.c).map((frames) =>
      frames.map((frame) => Buffer.from(frame, "latin1")),
    );
    const flush = (): void => {
      peer.writeControl(writer);
      if (peer.state === "traffic") while (outgoing.length > 0) peer.writeMessage(writer, outgoing.shift()!);
      for (const chunk of writer.take().chunks) {
        sent[ours].push(Buffer.from(chunk));
        socket.write(chunk);
      }
    };
    flush();
    for await (const octets of socket) {
      sent[theirs].push(octets as Buffer);
      peer.receive(octets as Buffer);
      while (peer.next());
      flush();
    }
  };
  if (ours === "c") {
    await driver.open(scene.name, scene.b, { linger: 0, curveServer: true, curveSecretKey: KEYS.b.secretKey });
    const endpoint = await driver.bind(scene.name, "tcp://127.0.0.1:*");
    const socket = connect(Number(endpoint.split(":").at(-1)), "127.0.0.1");
    void talk(socket);
    await driver.run(scene.name, scene.steps.b!);
    await sleep(20);
    await driver.close(scene.name);
  } else {
    const server = createServer((socket) => void talk(socket)).listen(0, "127.0.0.1");
    await once(server, "listening");
    await driver.open(scene.name, scene.c, {
      linger: 0,
      curvePublicKey: KEYS.c.publicKey,
      curveSecretKey: KEYS.c.secretKey,
      curveServerKey: KEYS.b.publicKey,
    });
    await driver.connect(scene.name, `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await driver.run(scene.name, scene.steps.c!);
    await sleep(20);
    await driver.close(scene.name);
    server.close();
  }
  return { header: { ...headerOf(scene), ours }, sent, received: messagesOf(scene) };
}

function headerOf({ c, b, mechanism = "NULL" }: Scene): Record<string, string> {
  return { libzmq: "4.3.4", connector: TYPE_NAMES[c]!, binder: TYPE_NAMES[b]!, mechanism };
}

function messagesOf({ received }: Scene): Transcript["received"] {
  const octets = (messages: readonly string[][]): Buffer[][] =>
    messages.map((frames) => frames.map((frame) => Buffer.from(frame, "latin1")));
  return { c: octets(received.c), b: octets(received.b) };
}

mkdirSync(directory, { recursive: true });
const temporary = mkdtempSync(join(tmpdir(), "holdfast-record-"));
const file = join(temporary, "octets");
writeFileSync(file, "");
const drivers = { c: pyzmqPeer(file), b: pyzmqPeer(file) };
await drivers.b.authenticate({ ada: "lovelace" }, [KEYS.c.publicKey]);
for (const scene of SCENES) writeFileSync(join(directory, `${scene.name}.txt`), writeTranscript(await record(scene, drivers)));
for (const ours of ["c", "b"] as const) {
  const driver = ours === "c" ? drivers.b : drivers.c;
  writeFileSync(join(directory, `curve-dealer-router-${ours}.txt`), writeTranscript(await recordCurve(ours, driver)));
}
await Promise.all([drivers.c.end(), drivers.b.end()]);
rmSync(temporary, { recursive: true });
