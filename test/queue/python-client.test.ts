/** clients/python against the real broker, as a user has it: built as a wheel, on Debian's pyzmq, beside TypeScript's client. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { promisify } from "node:util";
import { Broker, queue, worker } from "../../src/queue/index.ts";
import { programsOf } from "../support/python-programs.ts";
import { requires } from "../support/requires.ts";

const execute = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const PYTHON = "/usr/bin/python3";

suite("the Python client", requires("python3-zmq", "python3-build"), () => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-python-"));
  const installed = join(folder, "installed");
  const env = { ...process.env, PYTHONPATH: installed, PYTHONDONTWRITEBYTECODE: "1" };

  test("it is built as a wheel that holds nothing but itself", async () => {
    cpSync(join(root, "clients/python"), join(folder, "source"), { recursive: true });
    await execute(PYTHON, ["-m", "build", "--no-isolation", "--wheel", "--outdir", folder, join(folder, "source")]);
    const [wheel] = globSync(join(folder, "*.whl"));
    await execute(PYTHON, ["-m", "zipfile", "-e", wheel!, installed]);
    const files = globSync("**/*.*", { cwd: installed }).filter((path) => !path.includes(".dist-info"));
    assert.ok(files.includes("holdfast/py.typed") && files.includes("holdfast/queue.py"));
    assert.deepEqual(
      files.filter((path) => !/^holdfast\/\w+\.(py|typed)$/.test(path)),
      [],
    );
  });

  test("its tests pass against the broker, beside a worker and a producer in TypeScript", async (t) => {
    const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false, signals: [] });
    await broker.listen();
    t.after(() => broker.close());
    const upper = queue("upper", { url: broker.address });
    const working = worker(
      upper,
      (heard) => (heard === null || heard === undefined ? undefined : { heard, by: "TypeScript" }),
      {
        signals: [],
      },
    );
    t.after(() => Promise.all([working.close(), upper.close()]));
    // Does a step and sleeps, once: another worker goes on.
    const mixed = queue("mixed", { url: broker.address });
    const charging = worker(
      mixed,
      async (_payload, task) => {
        await task.step("charge", () => "charged in TypeScript");
        void charging.close();
        await task.sleep("50ms");
      },
      { signals: [] },
    );
    t.after(() => Promise.all([charging.close(), mixed.close()]));
    const tests = join(root, "clients/python/tests");
    const { stderr } = await execute(
      PYTHON,
      ["-W", "error", "-m", "unittest", "discover", "-s", tests, "-p", "test_queue*.py"],
      {
        env: {
          ...env,
          HOLDFAST_QUEUE_URL: broker.address,
          HOLDFAST_QUEUE_CASES: join(root, "test/queue/protocols/cases.json"),
        },
        timeout: 100_000,
      },
    ).catch((error: { stderr: string }) => assert.fail(error.stderr));
    assert.match(stderr, /^OK$/m);
  });

  test("calls go on over a restart of the broker, and a worker in Python keeps its tasks", async (t) => {
    const data = join(folder, "data");
    const open = async (listen: string): Promise<Broker> => {
      const broker = new Broker({ listen, data, signals: [] });
      await broker.listen();
      return broker;
    };
    let broker = await open("tcp://127.0.0.1:0");
    const { address } = broker;
    t.after(() => broker.close());
    const program = `
import asyncio, sys
from holdfast.queue_async import Client, Queue, Worker
async def slow(number, task):
    print("began", number, task.attempt, flush=True)
    await asyncio.sleep(1.5)
    return number * 2
async def main():
    async with Client(sys.argv[1]) as client:
        numbers = Queue("numbers", client)
        begin = await numbers.cursor()
        async def listen():
            ended = set()
            async for event in numbers.events(events=["completed"], after=begin):
                ended.add(event["id"] if event["event"] == "completed" else "gap")
                if len(ended) == 5:
                    return "gap" not in ended
        listening = asyncio.create_task(listen())
        async with Worker(numbers, slow, concurrency=5):
            print(await asyncio.gather(*(numbers.call(number, attempts=1) for number in range(5))), await listening, flush=True)
asyncio.run(main())`;
    const running = execute(PYTHON, ["-W", "error", "-c", program, address], { env, timeout: 60_000 });
    let began = 0;
    running.child.stdout!.on("data", (chunk: Buffer | string) => (began += String(chunk).split("began").length - 1));
    await new Promise<void>((resolve) => {
      const look = setInterval(() => {
        if (began < 5) return;
        clearInterval(look);
        resolve();
      }, 10);
    });
    await broker.close();
    broker = await open(address);
    const { stdout } = await running;
    assert.equal(stdout.trim().split("\n").at(-1), "[0, 2, 4, 6, 8] True", "and its listener heard of each end");
    assert.equal(stdout.split("began").length - 1, 5, "each was begun once");
  });

  test("the README's programs are whole", async () => {
    const readme = readFileSync(join(root, "clients/python/README.md"), "utf8");
    const programs = programsOf(readme).filter(({ code }) => code.includes("holdfast.queue"));
    assert.ok(programs.length >= 2);
    await Promise.all(
      programs.map(async ({ code, claimed }) => {
        const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false, signals: [] });
        await broker.listen();
        const { stdout } = await execute(
          PYTHON,
          ["-W", "error", "-c", code.replaceAll("tcp://127.0.0.1:5555", broker.address)],
          {
            env,
            timeout: 30_000,
          },
        );
        await broker.close();
        assert.deepEqual(stdout.trim().split("\n"), claimed);
      }),
    );
  });

  test("nothing of it is left", () => rmSync(folder, { recursive: true }));
});
