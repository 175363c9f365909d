/**
 * ZeroMQ's sockets and the cache client in a runtime that package.test.ts names, against Node's side there. Arguments: the addresses as JSON.
 * Prints what came of each step as JSON; one that waits for more than its deadline is a failure.
 */
import { CacheClient } from "holdfast/cache";
import * as zmq from "holdfast/zmq";

interface Addresses {
  readonly echo: string;
  readonly curve: string;
  readonly curveKey: string;
  readonly router: string;
  readonly pull: string;
  readonly publisher: string;
  readonly cache: string;
  /** An echo at an ipc path. */
  readonly ipc: string;
  /** Asks "q" of a REP whose endpoint it is told, and answers with the reply: [who asks, endpoint]. */
  readonly visitor: string;
  /** An echo in pyzmq, where that is installed. */
  readonly pyzmq?: string;
}

const at = JSON.parse(process.argv[2]!) as Addresses;
const said: Record<string, unknown> = {};
const DEADLINE_MS = 20_000;
const waits = { receiveTimeout: DEADLINE_MS, sendTimeout: DEADLINE_MS };

async function step(name: string, act: () => Promise<unknown>): Promise<void> {
  said[name] = await act().catch((error: unknown) => `${(error as { code?: string }).code}: ${String(error)}`);
}

const words = (parts: readonly Uint8Array[]): string => parts.map(String).join(" ");

async function asked(socket: zmq.Request | zmq.Dealer, text: string): Promise<string> {
  await socket.send(text);
  return words(await socket.receive());
}

async function connected<S extends zmq.Request | zmq.Dealer | zmq.Push | zmq.Subscriber>(
  socket: S,
  address: string,
  act: (socket: S) => Promise<unknown>,
): Promise<unknown> {
  try {
    socket.connect(address);
    return await act(socket);
  } finally {
    await socket.close();
  }
}

await step("REQ", () => connected(new zmq.Request(waits), at.echo, (socket) => asked(socket, "q")));
await step("DEALER", () => connected(new zmq.Dealer({ ...waits, routingId: "me" }), at.router, (socket) => asked(socket, "q")));
await step("PUSH", () =>
  connected(new zmq.Push({ sendTimeout: DEADLINE_MS }), at.pull, async (socket) => {
    await socket.send(["two", "parts"]);
    await socket.send(Buffer.alloc(1_000_000, "x"));
    // Not before both were taken: the test waits for them.
    await connected(new zmq.Request(waits), at.echo, (request) => asked(request, "sent"));
    return "sent";
  }),
);
await step("SUB", () =>
  connected(new zmq.Subscriber({ receiveTimeout: DEADLINE_MS }), at.publisher, async (socket) => {
    socket.subscribe("topic");
    return words(await socket.receive());
  }),
);
await step("CURVE", () => {
  const own = zmq.curveKeyPair();
  const keys = { curveServerKey: at.curveKey, curvePublicKey: own.publicKey, curveSecretKey: own.secretKey };
  return connected(new zmq.Request({ ...waits, ...keys }), at.curve, (socket) => asked(socket, "q"));
});
await step("heartbeats", () =>
  connected(new zmq.Request({ ...waits, heartbeatInterval: 20, heartbeatTimeout: DEADLINE_MS }), at.echo, async (socket) => {
    await asked(socket, "before");
    await new Promise((resolve) => setTimeout(resolve, 200));
    return await asked(socket, "after");
  }),
);
await step("REQ over ipc", () => connected(new zmq.Request(waits), at.ipc, (socket) => asked(socket, "q")));
const visitors = at.pyzmq === undefined ? ["Node"] : ["Node", "pyzmq"];
if (at.pyzmq !== undefined)
  await step("REQ to pyzmq", () => connected(new zmq.Request(waits), at.pyzmq!, (socket) => asked(socket, "q")));
for (const [name, address] of [
  ["tcp", "tcp://127.0.0.1:*"],
  ["ipc", "ipc://*"],
] as const)
  for (const visitor of visitors)
    await step(`REP, bound to ${name}, asked by ${visitor}`, async () => {
      const reply = new zmq.Reply(waits);
      const serving = (async () => {
        for await (const parts of reply) await reply.send(parts);
      })();
      try {
        await reply.bind(address);
        return await connected(new zmq.Request(waits), at.visitor, async (request) => {
          await request.send([visitor, reply.lastEndpoint!]);
          return words(await request.receive());
        });
      } finally {
        await reply.close();
        await serving;
      }
    });
for (const [name, address] of [
  ["inproc", "inproc://trial"],
  ["tcp", "tcp://127.0.0.1:*"],
  ["ipc", "ipc://*"],
] as const)
  await step(`REP, bound to ${name}`, async () => {
    const reply = new zmq.Reply(waits);
    try {
      await reply.bind(address);
      return await connected(new zmq.Request(waits), reply.lastEndpoint!, async (request) => {
        await request.send("q");
        await reply.send(await reply.receive());
        return words(await request.receive());
      });
    } finally {
      await reply.close();
    }
  });
await step("close ends a wait", async () => {
  const pull = new zmq.Pull();
  await pull.bind("tcp://127.0.0.1:*");
  const waiting = pull.receive().then(words, ({ code }: { code: string }) => code);
  await pull.close();
  return await waiting;
});
await step("a transport that is not there is refused", () =>
  new zmq.Pull().bind("udp://127.0.0.1:1").then(
    () => "bound",
    ({ code }: { code: string }) => code,
  ),
);
await step("cache", async () => {
  const cache = new CacheClient({ servers: [at.cache] });
  try {
    await cache.set("key", { a: 1 });
    return [
      await cache.get("key"),
      (await cache.get("none")) === undefined,
      await cache.fetch("made", async () => "here"),
      await cache.get("made"),
    ];
  } finally {
    await cache.close();
  }
});
process.stdout.write(JSON.stringify(said));
