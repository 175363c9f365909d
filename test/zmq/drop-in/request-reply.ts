import * as zmq from "zeromq";

const reply = new zmq.Reply();
await reply.bind("tcp://127.0.0.1:*");
const request = new zmq.Request();
request.connect(reply.lastEndpoint!);

void (async () => {
  for await (const [question] of reply) await reply.send(String(2 * Number(question)));
})();

for (const question of ["4", "21"]) {
  await request.send(question);
  const [answer] = await request.receive();
  console.log(question, "->", answer!.toString());
}
for (const value of ["text", 7, null, Buffer.from("bytes"), new Uint16Array([7, 8])]) {
  await request.send([value, "second"]);
  console.log(Buffer.isBuffer((await request.receive())[0]));
}
request.close();
reply.close();
console.log(request.closed, reply.closed);
