import { Dealer, Proxy, Reply, Request, Router } from "zeromq";

const proxy = new Proxy(new Router(), new Dealer());
await proxy.frontEnd.bind("tcp://127.0.0.1:*");
await proxy.backEnd.bind("tcp://127.0.0.1:*");
const running = proxy.run();
const worker = new Reply();
worker.connect(proxy.backEnd.lastEndpoint!);
const client = new Request();
client.connect(proxy.frontEnd.lastEndpoint!);
await client.send("through the middle");
const [question] = await worker.receive();
await worker.send([question!, "and back"]);
console.log((await client.receive()).map(String));
proxy.terminate();
await running;
console.log("ended", proxy.frontEnd.closed, proxy.backEnd.closed);
worker.close();
client.close();
