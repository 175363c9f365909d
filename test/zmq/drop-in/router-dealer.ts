import { Dealer, Router } from "zeromq";

const router = new Router({ mandatory: true, handover: true });
await router.bind("tcp://127.0.0.1:*");
const dealer = new Dealer({ routingId: "worker" });
dealer.connect(router.lastEndpoint!);
await dealer.send(["hello", ""]);
const [id, ...frames] = await router.receive();
console.log(id!.toString(), frames.map(String));
await router.send([id!, "work"]);
console.log((await dealer.receive()).map(String));
try {
  await router.send(["nobody", "work"]);
} catch (error) {
  const { code, errno } = error as { code: string; errno: number };
  console.log(code, errno);
}
const anonymous = new Dealer();
anonymous.connect(router.lastEndpoint!);
await anonymous.send("hi");
const [made] = await router.receive();
console.log(made!.length, made![0]);
for (const socket of [router, dealer, anonymous]) socket.close();
