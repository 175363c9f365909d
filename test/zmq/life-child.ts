/** `life-child.ts KIND [ENDPOINT]`: a program that does one thing and then has nothing more to do. For process-life.test.ts. */
import { Context, context, Dealer, Publisher, Pull, Push, Router } from "../../src/zmq/index.ts";

const [kind, endpoint = "tcp://127.0.0.1:1"] = process.argv.slice(2) as [string, string | undefined];

async function bound(): Promise<Pull> {
  const pull = new Pull();
  await pull.bind("tcp://127.0.0.1:*");
  return pull;
}

function queued(linger: number): void {
  const dealer = new Dealer({ linger });
  dealer.connect(endpoint);
  void dealer.send("queued");
}

const KINDS: Readonly<Record<string, () => unknown>> = {
  "open sockets": async () => {
    const pull = await bound();
    const push = new Push();
    push.connect(pull.lastEndpoint!);
    await push.send("x");
    await pull.receive();
    new Dealer().connect(endpoint);
    return [new Router(), new Router({ context: new Context() })];
  },
  "closed sockets": async () => {
    const pull = await bound();
    void pull.close();
    void new Dealer().close();
  },
  "a message to nobody": () => new Publisher().send("x"),
  "events of a closed socket": () => {
    const dealer = new Dealer();
    dealer.events.on("end", () => {});
    void (async () => {
      for await (const _ of new Dealer().events) break;
    });
    void dealer.close();
  },
  "a receive that waits": async () => (await bound()).receive(),
  "a receive that waits at inproc": () => {
    const dealer = new Dealer();
    dealer.connect("inproc://nowhere");
    return dealer.receive();
  },
  "a send that waits": () => new Dealer().send("x"),
  "events that are awaited": () => new Dealer().events.receive(),
  "events that are listened to": () => new Dealer().events.on("connect", () => {}),
  queued: () => queued(-1),
  "queued for a second": () => queued(1000),
  "queued for a moment": () => queued(50),
  "queued for a second, not blocky": () => {
    context.blocky = false;
    queued(1000);
  },
};

void KINDS[kind]!();
process.stdout.write("began\n");
