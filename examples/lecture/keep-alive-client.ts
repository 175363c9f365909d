/** The keep-alive client of the lecture: sends each line typed, and lets the connection rest in between, for days if need be. */
import { createInterface } from "node:readline";
import { connect } from "holdfast/link";

const [host = "127.0.0.1", port = "12345"] = process.argv.slice(2);
const client = await connect({ host, port: Number(port), idle: "5s", interval: "10s", count: 3 });
client.on("end", ({ message }) => console.error(`ended: ${message}`));

for await (const line of createInterface({ input: process.stdin })) await client.send(`${line}\n`);
await client.close();
