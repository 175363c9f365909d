/**
 * ● The calls that docs/ARCHITECTURE.md tells the paths of, each made for real and traced. `calls.ts NAME` prints the trace
 * as JSON. Whoever is not to be traced (the client of a traced server, the server of a traced client) is another process,
 * or a bare socket.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CacheClient } from "../../src/cache/client/index.ts";
import { CacheServer } from "../../src/cache/server/index.ts";
import { connect as connectLink } from "../../src/link/index.ts";
import { Broker } from "../../src/queue/index.ts";
import { NatsServers } from "../../test/support/nats.ts";
import { type Trace, traced } from "./trace-hook.ts";

/** A timer of the process may fire in the middle of some repetitions, or before the call: of the most it does not. */
const REPETITIONS = 60;
/** Each takes a second: the shortest idle time that the kernel knows. */
const PROBES = 3;

const CALLS: Readonly<Record<string, () => Promise<Trace[]>>> = { getAtServer, getAtClient, task, taskAtLeader, probe };

async function getAtServer(): Promise<Trace[]> {
  const server = new CacheServer({ listen: "127.0.0.1:0" });
  await server.listen();
  const socket = connect(Number(server.address.split(":").at(-1)), "127.0.0.1");
  await once(socket, "connect");
  const ask = async (request: string): Promise<void> => {
    socket.write(request);
    await once(socket, "data");
  };
  await ask("set key 0 0 5\r\nvalue\r\n");
  await ask("get key\r\n");
  const traces = await repeated(REPETITIONS, () => ask("get key\r\n"));
  socket.destroy();
  await server.close();
  return traces;
}

/** A pool of two servers, bare sockets that answer whatever they are asked with the same item. */
async function getAtClient(): Promise<Trace[]> {
  const answer = (socket: Socket): void => {
    socket.on("data", () => socket.write("VALUE key 0 5\r\nvalue\r\nEND\r\n"));
  };
  const servers = [createServer(answer), createServer(answer)];
  const ports = await Promise.all(servers.map(listening));
  const client = new CacheClient({ servers: ports.map((port) => `127.0.0.1:${port}`) });
  await client.get("key");
  const traces = await repeated(REPETITIONS, () => client.get("key"));
  await client.close();
  for (const server of servers) server.close();
  return traces;
}

/** A task that one process calls and another works on, both through sockets; the broker's store is on disk. */
function task(): Promise<Trace[]> {
  return callsOfATask();
}

/** The same at the leader of a group whose tasks are on NATS. */
async function taskAtLeader(): Promise<Trace[]> {
  await using nats = await NatsServers.start();
  return await callsOfATask(nats.url);
}

async function callsOfATask(store?: string): Promise<Trace[]> {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-traced-"));
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: folder, ...(store !== undefined && { store }) });
  await broker.listen();
  const execArgv = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning"];
  const peers = fork(join(import.meta.dirname, "task-peers.ts"), [broker.address], { execArgv });
  const call = async (): Promise<void> => {
    peers.send("call");
    await once(peers, "message");
  };
  try {
    await call();
    return await repeated(REPETITIONS, call);
  } finally {
    peers.kill();
    await once(peers, "exit");
    await broker.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** From making a connection with keep-alive to the first probe that its peer's kernel has answered. */
async function probe(): Promise<Trace[]> {
  const server = createServer();
  const port = await listening(server);
  const traces = await repeated(PROBES, async () => {
    const client = await connectLink({ port, idle: "1s", interval: "1s", count: 3 });
    for await (const { kind } of client.link!.watch()) if (kind === "answered") break;
    await client.close();
  });
  server.close();
  return traces;
}

async function repeated(times: number, call: () => Promise<unknown>): Promise<Trace[]> {
  const traces: Trace[] = [];
  for (let time = 0; time < times; time += 1) traces.push(await traced(call));
  return traces;
}

async function listening(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as { port: number }).port;
}

/** What the most repetitions show: a timer in the middle adds files, one before the call changes their order. Of as many, the shortest. */
function commonest(lists: readonly (readonly string[])[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const list of lists) counts.set(list.join(), (counts.get(list.join()) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return lists.filter((list) => counts.get(list.join()) === most).sort((a, b) => a.length - b.length)[0]!;
}

const traces = await CALLS[process.argv[2]!]!();
const trace: Trace = {
  main: commonest(traces.map(({ main }) => main)),
  threads: commonest(traces.map(({ threads }) => threads)),
};
process.stdout.write(JSON.stringify(trace));
