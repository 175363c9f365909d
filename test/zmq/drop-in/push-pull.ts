import { Pull, Push } from "zeromq";

const push = new Push({ linger: 1000 });
await push.bind("tcp://127.0.0.1:*");
const pull = new Pull({ receiveHighWaterMark: 5 });
pull.connect(push.lastEndpoint!);
const sending = (async () => {
  for (let index = 0; index < 2500; index += 1) await push.send(`task ${index}`);
})();
let count = 0;
for await (const [task] of pull) {
  if (task!.toString() !== `task ${count}`) throw new Error(`out of order at ${count}`);
  count += 1;
  if (count === 2500) break;
}
await sending;
console.log("worked on", count, "closed by leaving the loop:", pull.closed);
push.close();
pull.close();
