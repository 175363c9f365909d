import { curveKeyPair, Dealer, Router } from "zeromq";

const server = curveKeyPair();
const client = curveKeyPair();
console.log(server.publicKey.length, server.secretKey.length, server.publicKey === client.publicKey);
const router = new Router({ curveServer: true, curveSecretKey: server.secretKey });
console.log(router.securityMechanism);
await router.bind("tcp://127.0.0.1:*");
const dealer = new Dealer({
  curveServerKey: server.publicKey,
  curvePublicKey: client.publicKey,
  curveSecretKey: client.secretKey,
});
dealer.connect(router.lastEndpoint!);
await dealer.send(["secret", "message"]);
const [, ...frames] = await router.receive();
console.log(frames.map(String), dealer.securityMechanism);
const plain = new Dealer({ plainUsername: "ada", plainPassword: "lovelace" });
console.log(plain.securityMechanism, plain.plainUsername, new Dealer().securityMechanism);
for (const socket of [router, dealer, plain]) socket.close();
