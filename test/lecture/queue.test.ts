/** The lecture's message queue: a pyzmq worker takes tasks from ours, and our socket asks a pyzmq server. Ports as in the lecture. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { Holdfast } from "../support/holdfast.ts";
import { Namespace } from "../support/namespace.ts";
import { requires } from "../support/requires.ts";

const WORKER = `
import sys, zmq
socket = zmq.Context().socket(zmq.REQ)
socket.connect("tcp://localhost:5555")
for _ in range(int(sys.argv[1])):
    socket.send(b"Ready")
    print(socket.recv().decode(), flush=True)
    assert not socket.getsockopt(zmq.RCVMORE)
`;

const SERVER = `
import zmq
socket = zmq.Context().socket(zmq.REP)
socket.bind("tcp://*:5555")
print("bound", flush=True)
while True:
    message = socket.recv()
    socket.send(b"Send email to " + message)
`;

suite("the lecture's queue", requires("root", "iproute2", "python3-zmq"), () => {
  let namespace: Namespace;
  let folder: string;

  before(() => {
    namespace = new Namespace();
    folder = mkdtempSync(join(tmpdir(), "holdfast-lecture-"));
  });
  after(() => {
    namespace[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  test("a pyzmq REQ worker sends Ready ten times and receives the ten tasks in order; an empty queue makes it wait", async () => {
    await using up = new Holdfast(
      ["up", "--cache", "off", "--link", "off", "--dashboard", "off", "--data", join(folder, "data")],
      { namespace },
    );
    await up.printed(/^queue/m);
    const tasks = Array.from({ length: 11 }, (_, index) => `Send email to user${index}@example.com`);
    const add = async (body: string): Promise<void> => {
      const added = await new Holdfast(["queue", "add", "default", body], { namespace }).ended();
      assert.equal(added.code, 0, added.stderr);
    };
    for (const body of tasks.slice(0, 10)) await add(body);

    assert.deepEqual(namespace.run("/usr/bin/python3", ["-c", WORKER, "10"]).trim().split("\n"), tasks.slice(0, 10));

    // Its connection ended without acknowledging the tenth task, so that one comes back first; then the reply waits.
    const waiting = namespace.spawn("/usr/bin/python3", ["-c", WORKER, "2"], { stdio: ["ignore", "pipe", "inherit"] });
    const waitingEnd = once(waiting, "close");
    let received = "";
    waiting.stdout!.setEncoding("utf8").on("data", (text: string) => (received += text));
    while (received.split("\n").length < 2) await once(waiting.stdout!, "data");
    assert.equal(received.trim(), tasks[9]);
    await add(tasks[10]!);
    await waitingEnd;
    assert.deepEqual(received.trim().split("\n"), [tasks[9], tasks[10]]);
  });

  test("our REQ socket gets an answer to every request from a pyzmq REP server", async () => {
    const server = namespace.spawn("/usr/bin/python3", ["-c", SERVER], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      await once(server.stdout!, "data");
      const script = `
        import { Request } from "holdfast/zmq";
        const socket = new Request();
        socket.connect("tcp://localhost:5555");
        for (let index = 0; index < 10; index += 1) {
          await socket.send("user" + index);
          const [reply] = await socket.receive();
          console.log(reply.toString());
        }
        socket.close();`;
      const root = join(import.meta.dirname, "../..");
      const node = namespace.spawn(process.execPath, ["--conditions=holdfast-source", "--input-type=module", "-e", script], {
        cwd: root,
        stdio: ["ignore", "pipe", "inherit"],
      });
      let printed = "";
      node.stdout!.setEncoding("utf8").on("data", (text: string) => (printed += text));
      const [code] = (await once(node, "close")) as [number];
      assert.equal(code, 0);
      assert.deepEqual(
        printed.trim().split("\n"),
        Array.from({ length: 10 }, (_, index) => `Send email to user${index}`),
      );
    } finally {
      server.kill("SIGKILL");
    }
  });
});
