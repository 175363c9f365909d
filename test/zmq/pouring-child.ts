/** `pouring-child.ts ENDPOINT COUNT`: so many PUSH sockets that send without end, for fairness.test.ts. */
import { Push } from "../../src/zmq/index.ts";

for (let peer = 0; peer < Number(process.argv[3]); peer += 1) {
  const push = new Push({ linger: 0 });
  push.connect(process.argv[2]!);
  void (async () => {
    for (;;) await push.send("x".repeat(100));
  })();
}
