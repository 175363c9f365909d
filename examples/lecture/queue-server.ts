/** The queue server of the lecture: each worker that says Ready gets the next task. */
import { Reply } from "holdfast/zmq";

const socket = new Reply();
await socket.bind(`tcp://127.0.0.1:${process.argv[2] ?? 5555}`);
console.log(`queue server on ${socket.lastEndpoint}`);

let task = 0;
for await (const [request] of socket) {
  if (request?.toString() !== "Ready") {
    await socket.send("Say Ready");
    continue;
  }
  task += 1;
  await socket.send(`Send email to user${task}@example.com`);
}
