import { Publisher, Subscriber, XPublisher, XSubscriber } from "zeromq";

const xpub = new XPublisher({ verbosity: "allSubsUnsubs" });
await xpub.bind("tcp://127.0.0.1:*");
const sub = new Subscriber();
sub.connect(xpub.lastEndpoint!);
sub.subscribe("kitty", "cats");
console.log((await xpub.receive()).map(String), (await xpub.receive()).map(String));
await xpub.send(["dogs", "woof"]);
await xpub.send(["kitty cats", "meow!"]);
console.log((await sub.receive()).map(String));
sub.unsubscribe("kitty");
console.log((await xpub.receive()).map((frame) => JSON.stringify(frame.toString())));
sub.close();

const pub = new Publisher();
await pub.bind("tcp://127.0.0.1:*");
const xsub = new XSubscriber();
xsub.connect(pub.lastEndpoint!);
await xsub.send("\u0001a");
const heard = xsub.receive();
const timer = setInterval(() => void pub.send(["all", "there"]), 5);
console.log((await heard).map(String));
clearInterval(timer);
for (const socket of [xpub, pub, xsub]) socket.close();
