import { Dealer, Router } from "zeromq";

const router = new Router();
const dealer = new Dealer({ reconnectInterval: 20 });
const events = { router: router.events, dealer: dealer.events };
const seen: string[] = [];
const bound = (async () => {
  for await (const { type } of router.events) {
    seen.push(type);
    if (type === "disconnect") break;
  }
})();
await router.bind("tcp://127.0.0.1:*");
const handshake = new Promise<string>((resolve) => dealer.events.on("handshake", ({ address }) => resolve(address)));
dealer.connect(router.lastEndpoint!);
console.log((await handshake) === router.lastEndpoint);
await dealer.send("hello");
await router.receive();
dealer.close();
await bound;
while (!events.dealer.closed) await new Promise((resolve) => setTimeout(resolve, 5)); // at once there, after the last bytes here
console.log(seen.join(" "), events.dealer.closed);
const second = new Router();
const failed = new Promise<string>((resolve) => second.events.on("bind:error", ({ address }) => resolve(address)));
const taken = router.lastEndpoint!;
await second.bind(taken).catch((error: { code: string; address: string }) => console.log(error.code, error.address === taken));
console.log((await failed).replace(/\d+$/, "port"));
second.close();
router.close();
console.log(events.router.closed);
