/** A thread of threads.test.ts: does what its `workerData` names with the sockets of the default context. */
import { parentPort, workerData } from "node:worker_threads";
import { Pair, Pull, Push, Reply } from "../../src/zmq/index.ts";

const { role, name } = workerData as { role: string; name: string };
const address = `inproc://${name}`;
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is a window's, which this is not
const say = (what: unknown): void => parentPort!.postMessage(what);

switch (role) {
  case "echo": {
    const reply = new Reply();
    await reply.bind(address);
    say("bound");
    for await (const message of reply) await reply.send(message);
    break;
  }
  case "send and close": {
    const push = new Push();
    push.connect(address);
    await push.send(["last", "words"]);
    await push.close();
    break;
  }
  case "pour": {
    const push = new Push({ sendHighWaterMark: 100 });
    push.connect(address);
    for (let number = 0; number < 20_000; number += 1) await push.send([`${number}`, "x".repeat(number % 300)]);
    await push.close();
    break;
  }
  case "count": {
    const pull = new Pull({ receiveHighWaterMark: 10 });
    pull.connect(address);
    let sum = 0;
    for (let count = 0; count < 3; count += 1) for (const octet of (await pull.receive())[0]!) sum += octet;
    say(sum);
    break;
  }
  default: {
    const pair = new Pair();
    if (role === "bind") await pair.bind(address);
    else pair.connect(address);
    await pair.send(`from ${role}`);
    say(String((await pair.receive())[0]));
  }
}
