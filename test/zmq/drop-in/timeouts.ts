import { Dealer, Pull, Push, Reply, Request } from "zeromq";

async function codeOf(doing: () => unknown): Promise<void> {
  try {
    await doing();
    console.log("done");
  } catch (error) {
    const { code, errno } = error as { code: string; errno: number };
    console.log(code, errno);
  }
}

const pull = new Pull({ receiveTimeout: 20 });
await pull.bind("tcp://127.0.0.1:*");
await codeOf(() => pull.receive());
pull.receiveTimeout = 0;
await codeOf(() => pull.receive());

const push = new Push({ sendTimeout: 20 });
await codeOf(() => push.send("nobody is there"));

const second = new Pull();
await codeOf(() => second.bind(pull.lastEndpoint!));
await codeOf(() => second.bind("tcp://no port"));
await codeOf(() => second.bind("foo://127.0.0.1:1"));
await codeOf(() => second.unbind("tcp://127.0.0.1:1"));
await codeOf(() => second.disconnect("tcp://127.0.0.1:1"));

const request = new Request({ receiveTimeout: 20, sendTimeout: 20 });
await codeOf(() => request.receive());
const reply = new Reply({ sendTimeout: 20 });
await codeOf(() => reply.send("unasked"));

const waiting = new Dealer();
const receiving = codeOf(() => waiting.receive());
waiting.close();
await receiving;
await codeOf(() => waiting.receive());
await codeOf(() => waiting.bind("tcp://127.0.0.1:*"));
await codeOf(() => waiting.close());
for (const socket of [pull, push, second, request, reply]) socket.close();
