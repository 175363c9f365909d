import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Broker, bytesCodec, queue } from "../../src/queue/index.ts";
import { requires } from "../support/requires.ts";

const root = join(import.meta.dirname, "../..");
const NODE = [process.execPath, "--conditions=holdfast-source", "--disable-warning=ExperimentalWarning"] as const;

/** The lecture's worker: a REQ that says Ready; its result is the task in capitals. */
const LECTURE = `
import sys, time, zmq
socket = zmq.Context().socket(zmq.REQ)
socket.connect(sys.argv[1])
socket.send(b"Ready")
while True:
    task = socket.recv()
    time.sleep(0.002)
    socket.send_multipart([b"Ready", task.upper()])
`;

/** A worker as in the Guide's chapter on Majordomo 0.1: DEALER, heartbeats while idle, a new socket after DISCONNECT. */
const MAJORDOMO_WORKER = `
import sys, time, zmq
context = zmq.Context()
def connect():
    socket = context.socket(zmq.DEALER)
    socket.linger = 0
    socket.connect(sys.argv[1])
    socket.send_multipart([b"", b"MDPW01", b"\\x01", b"default"])
    return socket
socket = connect()
while True:
    if not socket.poll(1000):
        socket.send_multipart([b"", b"MDPW01", b"\\x04"])
        continue
    empty, header, command, *rest = socket.recv_multipart()
    if command == b"\\x02":
        client, empty, body = rest
        time.sleep(0.002)
        socket.send_multipart([b"", b"MDPW01", b"\\x03", client, b"", body.upper()])
    elif command == b"\\x05":
        socket.close()
        socket = connect()
`;

/** A Majordomo 0.1 client: ten requests, each answer checked. */
const MAJORDOMO_CLIENT = `
import sys, zmq
socket = zmq.Context().socket(zmq.REQ)
socket.connect(sys.argv[1])
socket.RCVTIMEO = 60000
for number in range(int(sys.argv[2])):
    body = b"majordomo %d" % number
    socket.send_multipart([b"MDPC01", b"default", body])
    header, service, answer = socket.recv_multipart()
    assert (header, service, answer) == (b"MDPC01", b"default", body.upper()), answer
`;

const OURS = `
import { bytesCodec, queue, worker } from "${join(root, "src/queue/index.ts")}";
const tasks = queue("default", { url: process.argv[2], codec: bytesCodec });
worker(tasks, async (body) => {
  await new Promise((resolve) => setTimeout(resolve, 2));
  return Buffer.from(Buffer.from(body).toString().toUpperCase());
}, { concurrency: 2, prefetch: 2 });
`;

const TASKS = 600;
const REQUESTS = 40;
const REPLACED = 12;

test(
  "the lecture's worker, Majordomo's, ours and a shell command work on one queue while they are added, killed and replaced",
  requires("python3-zmq"),
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "holdfast-mixed-"));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const file = async (name: string, text: string): Promise<string> => {
      const path = join(folder, name);
      await writeFile(path, text);
      return path;
    };
    const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: join(folder, "data") });
    await broker.listen();
    const { address } = broker;
    const python = "/usr/bin/python3";
    const staff: Readonly<Record<string, readonly [string, ...string[]]>> = {
      lecture: [python, await file("lecture.py", LECTURE), address],
      majordomo: [python, await file("majordomo.py", MAJORDOMO_WORKER), address],
      ours: [...NODE, await file("ours.ts", OURS), address],
      shell: [...NODE, join(root, "src/cli/main.ts"), "work", "default", "--url", address, "--", "tr", "a-z", "A-Z"],
    };
    const kinds = Object.keys(staff);
    const running = new Map<string, ChildProcess>();
    const hire = (kind: string): void => {
      const [command, ...args] = staff[kind]!;
      running.set(kind, spawn(command, args, { stdio: ["ignore", "ignore", "inherit"] }));
    };
    for (const kind of kinds) hire(kind);
    t.after(async () => {
      for (const child of running.values()) child.kill("SIGKILL");
      await broker.close();
    });

    const tasks = queue<Uint8Array, Uint8Array>("default", { url: address, codec: bytesCodec });
    t.after(() => tasks.close());
    const submitted = await tasks.addMany(Array.from({ length: TASKS }, (_, index) => Buffer.from(`task ${index}`)));
    const client = spawn(python, [await file("client.py", MAJORDOMO_CLIENT), address, `${REQUESTS}`], { stdio: "inherit" });
    const clientEnded = new Promise((resolve) => client.once("exit", resolve));

    for (let replaced = 0; replaced < REPLACED; replaced += 1) {
      await sleep(60);
      const kind = kinds[replaced % kinds.length]!;
      running.get(kind)!.kill("SIGKILL");
      hire(kind);
    }
    const results = await Promise.all(submitted.map((task) => task.result({ timeout: "60s" })));
    assert.deepEqual(
      results.map((result) => Buffer.from(result).toString()),
      results.map((_, index) => `TASK ${index}`),
    );
    assert.equal(await clientEnded, 0);
  },
);
