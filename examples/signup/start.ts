/**
 * Starts the whole example: `npm run example:signup -- [PORT] [FOLDER]`. Cache and broker run in this process, the workers are
 * processes of their own, as they would be on other machines.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join, resolve } from "node:path";
import { CacheClient, CacheServer } from "holdfast/cache";
import { Broker, queue } from "holdfast/queue";
import { Users } from "./users.ts";
import { signupServer, type Mail, type Receipt } from "./web.ts";

const [port = "8081", folder = ".holdfast/signup"] = process.argv.slice(2);
const data = resolve(folder);
await mkdir(data, { recursive: true });

const cacheServer = new CacheServer({ listen: "127.0.0.1:0", memory: "16m" });
await cacheServer.listen();
const broker = new Broker({ listen: "tcp://127.0.0.1:0", data });
await broker.listen();

const outbox = join(data, "outbox");
const here = import.meta.dirname;
const workers = [
  spawn(process.execPath, [...process.execArgv, join(here, "mail-worker.ts"), broker.address, outbox], { stdio: "inherit" }),
  spawn("/usr/bin/python3", [join(here, "mail_worker.py"), broker.address, outbox], { stdio: "inherit" }),
];
workers[1]!.on(
  "exit",
  (code) => code && console.error("the Python worker ended: is python3-zmq installed? The TypeScript worker goes on"),
);

const cache = new CacheClient({ servers: [cacheServer.address] });
const mails = queue<Mail, Receipt>("mails", { broker });
const users = new Users(join(data, "users.jsonl"));
const web = signupServer({ users, cache, mails }).listen(Number(port), "127.0.0.1");
await once(web, "listening");
console.log(`sign up at http://127.0.0.1:${(web.address() as AddressInfo).port}; mails go to ${outbox}`);

async function stop(): Promise<void> {
  web.close();
  web.closeAllConnections();
  for (const worker of workers) worker.kill("SIGTERM");
  await mails.close();
  await cache.close();
  await broker.close();
  await cacheServer.close();
  console.log(`the database was asked ${users.lookups} times`);
}
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void stop());
