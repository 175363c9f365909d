/** The five programs of the lecture work with each other and with their Python twins, and stay under 40 lines. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { CacheServer } from "../../src/cache/index.ts";
import { Example } from "../support/example.ts";
import { requires } from "../support/requires.ts";

const folder = join(import.meta.dirname, "../../examples/lecture");
const tasks = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `Send email to user${index + 1}@example.com`);

const PYTHON_WORKER = `
import sys, zmq
socket = zmq.Context().socket(zmq.REQ)
socket.connect(sys.argv[1])
for _ in range(3):
    socket.send(b"Ready")
    print(socket.recv().decode(), flush=True)
`;

const PYTHON_SERVER = `
import zmq
socket = zmq.Context().socket(zmq.REP)
port = socket.bind_to_random_port("tcp://127.0.0.1")
print("port", port, flush=True)
count = 0
while True:
    assert socket.recv() == b"Ready"
    count += 1
    socket.send(f"Send email to user{count}@example.com".encode())
`;

test("each program has fewer than 40 lines", () => {
  for (const file of globSync("*.ts", { cwd: folder }))
    assert.ok(readFileSync(join(folder, file), "utf8").split("\n").length < 40, file);
});

test("the queue server gives tasks to our client and to a pyzmq client", requires("python3-zmq"), async () => {
  await using server = new Example("lecture/queue-server.ts", ["0"]);
  const [, url] = await server.printed(/queue server on (\S+)/);
  const client = new Example("lecture/queue-client.ts", [url!, "3"]);
  assert.equal(await client.ended(), 0, client.output);
  assert.equal(client.output, `${tasks(3).join("\n")}\n`);
  const python = new Example("/usr/bin/python3", ["-c", PYTHON_WORKER, url!]);
  assert.equal(await python.ended(), 0, python.output);
  assert.equal(python.output, `${tasks(6).slice(3).join("\n")}\n`);
});

test("the queue client works for a pyzmq server", requires("python3-zmq"), async () => {
  await using server = new Example("/usr/bin/python3", ["-c", PYTHON_SERVER]);
  const [, port] = await server.printed(/port (\d+)/);
  const client = new Example("lecture/queue-client.ts", [`tcp://localhost:${port}`, "3"]);
  assert.equal(await client.ended(), 0, client.output);
  assert.equal(client.output, `${tasks(3).join("\n")}\n`);
});

test("the keep-alive server prints what the client reads from stdin, and says when a dead peer would be found", async () => {
  await using server = new Example("lecture/keep-alive-server.ts", ["0"]);
  const [, port] = await server.printed(/:(\d+); a dead peer is found in 40 s at worst/);
  const client = new Example("lecture/keep-alive-client.ts", ["127.0.0.1", port!]);
  client.child.stdin!.end("first line\nsecond line\n");
  assert.equal(await client.ended(), 0, client.output);
  await server.printed(/first line\nsecond line\n/);
  await server.printed(/ended: fin/);
});

test("the dictionary keeps, finds and forgets", async () => {
  const server = new CacheServer({ listen: "127.0.0.1:0", memory: "8m" });
  await server.listen();
  after(() => server.close());
  const program = new Example("lecture/dictionary.ts", [server.address]);
  assert.equal(await program.ended(), 0, program.output);
  assert.equal(
    program.output,
    "Kenya: Nairobi\nAtlantis: undefined\nAustria=Vienna Kenya=Nairobi Peru=Lima\nPeru: undefined\n",
  );
});
