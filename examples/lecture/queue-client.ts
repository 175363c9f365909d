/** The queue client of the lecture: a worker that asks for tasks, does them, and asks again. */
import { setTimeout as sleep } from "node:timers/promises";
import { Request } from "holdfast/zmq";

const [url = "tcp://localhost:5555", count = "10"] = process.argv.slice(2);
const socket = new Request();
socket.connect(url);

for (let done = 0; done < Number(count); done += 1) {
  await socket.send("Ready");
  const [task] = await socket.receive();
  console.log(String(task));
  await sleep(10); // the work
}
await socket.close();
