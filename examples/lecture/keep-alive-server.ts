/** The keep-alive server of the lecture: prints what comes, and says when a silent peer would be found dead. */
import { bound, listen } from "holdfast/link";

const keepAlive = { idle: "5s", interval: "10s", count: 3 };
const server = await listen({ port: Number(process.argv[2] ?? 12345), ...keepAlive });
console.log(
  `keep-alive server on ${server.address}; a dead peer is found in ${bound(keepAlive).silentPeerMs / 1000} s at worst`,
);

server.on("open", (link, { actual }) => console.log(`${link.peer} connected, kernel says`, actual));
server.on("bytes", (_link, bytes) => process.stdout.write(bytes));
server.on("end", (link, { reason }) => console.log(`${link.peer} ended: ${reason}`));
