import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { codeOf } from "../../src/core/errors.ts";
import { Broker, flow as addFlow, GiveUp, queue, worker } from "../../src/queue/index.ts";

const CLI = [
  "--conditions=holdfast-source",
  "--disable-warning=ExperimentalWarning",
  join(import.meta.dirname, "../../src/cli/main.ts"),
];
const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });

before(() => broker.listen());
after(() => broker.close());

async function holdfast(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [...CLI, ...words]);
    return { code: 0, stdout, stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, stdout, stderr };
  }
}

const queueCommand = (...words: string[]): ReturnType<typeof holdfast> => holdfast("queue", ...words, "--url", broker.address);

/** Runs until `ended`, or until its test is over, however that goes. */
function start(t: TestContext, ...words: string[]): ChildProcess {
  const child = spawn(process.execPath, [...CLI, ...words], { stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  return child;
}

async function ended(child: ChildProcess): Promise<number> {
  child.kill("SIGTERM");
  const [code] = (await once(child, "exit")) as [number];
  return code;
}

test("add prints an id; show, ls, cancel and purge know it", async () => {
  const added = await queueCommand("add", "clerk", "a letter", "--priority", "3", "--group", "tenant");
  assert.equal(added.code, 0);
  const id = added.stdout.trim();
  const shown = await queueCommand("show", id, "--json");
  const task = JSON.parse(shown.stdout) as Record<string, unknown>;
  assert.deepEqual([task["id"], task["priority"], task["group"], task["body"]], [id, 3, "tenant", "a letter"]);
  assert.match((await queueCommand("ls", "clerk")).stdout, new RegExp(`${id} +waiting +3 +tenant`));
  assert.match((await queueCommand("ls")).stdout, /QUEUE +WAITING[^]*clerk +1/);
  assert.equal((await queueCommand("cancel", id)).code, 0);
  assert.equal((await queueCommand("cancel", id)).code, 1);
  assert.match((await queueCommand("purge", "clerk", "--state", "cancelled")).stdout, /removed 1/);
});

test("of tasks added under a key the first or the last wins, and the pauses of one may be listed", async () => {
  const add = async (...flags: string[]): Promise<string> => (await queueCommand("add", "bursts", ...flags)).stdout.trim();
  const last = await add("a", "--key", "k", "--debounce", "1h", "--backoff", "1s,10s,5m");
  assert.equal(await add("b", "--key", "k", "--debounce", "2h"), last);
  const task = JSON.parse((await queueCommand("show", last, "--json")).stdout) as Record<string, unknown>;
  assert.deepEqual(
    [task["body"], task["key"], task["unique"], task["pausesMs"]],
    ["b", "k", "waiting", [1000, 10_000, 300_000]],
  );
  const first = await add("c", "--key", "t", "--throttle", "1h");
  assert.equal(await add("d", "--key", "t", "--unique-while", "active"), first);
  assert.equal((await queueCommand("add", "bursts", "g", "--throttle", "1h")).code, 2);
});

test("--state takes the word of 0.1 for a state too, and says on stderr that it is deprecated", async () => {
  const id = (await queueCommand("add", "named", "x")).stdout.trim();
  const old = await queueCommand("ls", "named", "--state", "ready", "--json");
  assert.equal((JSON.parse(old.stdout) as { state: string }).state, "waiting");
  assert.equal(old.stderr, "The state 'ready' is called 'waiting' now; the old word is deprecated\n");
  assert.deepEqual(await queueCommand("ls", "named", "--state", "blocked", "--json"), { code: 0, stdout: "", stderr: "" });
  assert.equal((await queueCommand("ls", "named", "--state", "nonsense")).code, 2);
  assert.equal((await queueCommand("purge", "named", "--state", "waiting")).code, 2);
  const after = await queueCommand("add", "named", "y", "--after", id);
  const blocked = await queueCommand("ls", "named", "--state", "blocked");
  assert.match(blocked.stdout, new RegExp(`${after.stdout.trim()} +blocked`));
  assert.match(
    (await queueCommand("ls")).stdout,
    /WAITING +DELAYED +BLOCKED +ACTIVE +RETRYING +DEAD +COMPLETED[^]*named +1 +0 +1 /,
  );
});

test("work runs a command for each task: its stdout is the result, its exit code the verdict", async (t) => {
  const shell = `read word; case "$word" in bad) echo "cannot $word" >&2; exit 65;; *) printf '%s %s' "$word" "$HOLDFAST_ATTEMPT";; esac`;
  const worker = start(t, "work", "words", "--url", broker.address, "--", "sh", "-c", shell);
  assert.equal((await queueCommand("call", "words", "good")).stdout, "good 1");
  const bad = await queueCommand("call", "words", "bad");
  assert.equal(bad.code, 1);
  assert.match(bad.stderr, /cannot bad/);
  const [id] = (await queueCommand("ls", "words", "--state", "dead")).stdout.match(/^\w+-\d+(?= +dead)/m)!;
  assert.match((await queueCommand("show", id)).stdout, /^errors +\d{4}-\d\d-\d\dT[\d:.]+Z GiveUp: cannot bad$/m);
  assert.equal(await ended(worker), 0);
});

test("work that gets SIGHUP, as when its terminal is closed, waits for its command and ends with 0", async (t) => {
  const worker = start(t, "work", "naps", "--url", broker.address, "--", "sh", "-c", "sleep 0.5; echo slept");
  const called = queueCommand("call", "naps", "x");
  const naps = (): number => broker.stats().queues.find(({ name }) => name === "naps")?.states.active ?? 0;
  while (naps() === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  worker.kill("SIGHUP");
  assert.deepEqual(await once(worker, "exit"), [0, null]);
  assert.equal((await called).stdout, "slept\n");
});

test("work says so when its command cannot be run, and the task stays", async () => {
  await queueCommand("add", "nobody", "x");
  const failed = await holdfast("work", "nobody", "--url", broker.address, "--", "/no/such/command");
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /no\/such\/command/);
});

test("pause, resume, set and retry mend a queue", async (t) => {
  assert.equal((await queueCommand("pause", "mend")).code, 0);
  await queueCommand("add", "mend", "x", "--attempts", "1");
  const worker = start(t, "work", "mend", "--url", broker.address, "--", "false");
  assert.equal((await queueCommand("set", "mend", "--group-rate", "10/1s", "--concurrency", "3")).code, 0);
  assert.equal((await queueCommand("resume", "mend")).code, 0);
  const queue = broker.stats().queues.find(({ name }) => name === "mend")!;
  assert.deepEqual(queue.settings, { groupRate: { count: 10, perMs: 1000 }, concurrency: 3 });
  while (broker.stats().queues.find(({ name }) => name === "mend")!.states.dead === 0)
    await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(await ended(worker), 0);
  assert.match((await queueCommand("retry", "--queue", "mend")).stdout, /retried/);
  assert.match((await queueCommand("ls", "mend", "--state", "waiting")).stdout, /waiting/);
});

test("events prints what happened from a cursor on, and goes on until it is stopped", async (t) => {
  const [first, second] = [
    (await queueCommand("add", "told", "1")).stdout.trim(),
    (await queueCommand("add", "told", "2", "--delay", "1h")).stdout.trim(),
  ];
  const all = await queueCommand("events", "told", "--after", "oldest", "--limit", "2", "--json");
  const events = all.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { event: string; id: string; cursor: string });
  assert.deepEqual(
    events.map(({ event, id }) => [event, id]),
    [
      ["waiting", first],
      ["delayed", second],
    ],
  );
  const rest = await queueCommand("events", "told", "--after", events[0]!.cursor, "--limit", "1", "--event", "delayed");
  assert.match(rest.stdout, new RegExp(`^\\S+Z delayed +told ${second}\n$`));
  assert.equal((await queueCommand("events", "told", "--event", "done")).code, 2);
  assert.equal((await queueCommand("events", "told", "--after", "nonsense")).code, 2);
  const child = start(t, "queue", "events", "told", "--after", "oldest", "--url", broker.address);
  await once(child.stdout!, "data");
  assert.equal(await ended(child), 0);
});

test("cron lists what was scheduled, with the time of the next run", async () => {
  assert.equal(
    (await queueCommand("cron", "daily", "0 8 * * *", "report", "--queue", "reports", "--time-zone", "Europe/Berlin")).code,
    0,
  );
  const entry = JSON.parse((await queueCommand("cron")).stdout) as Record<string, unknown>;
  assert.equal(entry["name"], "daily");
  assert.ok(Number(entry["nextMs"]) > Date.now());
  const wrong = await queueCommand("cron", "wrong", "not cron", "x", "--queue", "reports");
  assert.equal(wrong.code, 2);
  assert.equal((await queueCommand("cron", "daily", "--remove")).code, 0);
  assert.equal((await queueCommand("cron")).stdout, "");
  const again = await queueCommand("cron", "daily", "--remove");
  assert.deepEqual([again.code, again.stderr], [1, "No schedule has the name 'daily'\n"]);
  assert.equal((await queueCommand("cron", "--remove")).code, 2);
});

test("serve reads the users again at SIGHUP, keeps those it has when the file is wrong, and without users ends", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-serve-"));
  t.after(() => rm(folder, { recursive: true }));
  const users = join(folder, "users");
  await writeFile(users, "ada:secret\n", { mode: 0o600 });
  const served = start(t, "queue", "serve", "--listen", "tcp://127.0.0.1:0", "--data", "memory", "--plain-users", users);
  const url = await address(served);
  const said = createInterface(served.stderr!)[Symbol.asyncIterator]();
  const told = async (event: string): Promise<string> => {
    for (;;) {
      const line = String((await said.next()).value);
      if (line.includes(` ${event}`)) return line;
    }
  };
  const add = async (username: string): Promise<unknown> => {
    const q = queue("q", { url, security: { plain: { username, password: "secret" } } });
    const outcome = await q.add("x", { timeout: 500 }).catch(codeOf);
    await q.close();
    return outcome;
  };
  assert.equal(await add("grace"), "QUEUE_UNREACHABLE");
  await writeFile(users, "grace:secret\n");
  served.kill("SIGHUP");
  await told("reloaded");
  assert.notEqual(await add("grace"), "QUEUE_UNREACHABLE");
  assert.equal(await add("ada"), "QUEUE_UNREACHABLE");
  await writeFile(users, "nonsense\n");
  served.kill("SIGHUP");
  assert.match(await told("reload-failed"), /error="Cannot read .*users: each line must be NAME:PASSWORD/);
  assert.notEqual(await add("grace"), "QUEUE_UNREACHABLE");
  assert.equal(await ended(served), 0);
  const open = start(t, "queue", "serve", "--listen", "tcp://127.0.0.1:0", "--data", "memory");
  await address(open);
  open.kill("SIGHUP");
  assert.deepEqual(await once(open, "exit"), [0, null]);
});

test("serve that waits for a NATS server that does not answer ends with 0 at SIGTERM, not when the wait does", async (t) => {
  const silent = createServer(() => {}).listen(0, "127.0.0.1");
  await once(silent, "listening");
  t.after(() => silent.close());
  const { port } = silent.address() as AddressInfo;
  const store = `nats://127.0.0.1:${port}`;
  const served = start(t, "queue", "serve", "--listen", "tcp://127.0.0.1:0", "--data", "memory", "--store", store);
  const [socket] = (await once(silent, "connection")) as [Socket];
  t.after(() => socket.destroy());
  const fromMs = performance.now();
  assert.equal(await ended(served), 0);
  assert.ok(performance.now() - fromMs < 3000);
});

test("serve prints its address, keeps tasks over a restart, and ends with 0 at SIGTERM", async (t) => {
  const data = await mkdtemp(join(tmpdir(), "holdfast-serve-"));
  t.after(() => rm(data, { recursive: true }));
  const words = ["queue", "serve", "--listen", "tcp://127.0.0.1:0", "--data", data];
  const first = start(t, ...words);
  const url = await address(first);
  assert.equal((await holdfast("queue", "add", "q", "kept", "--url", url)).code, 0);
  const second = start(t, ...words);
  const [refused] = (await once(second, "exit")) as [number];
  assert.equal(refused, 1, "a second broker on the same folder is refused");
  assert.equal(await ended(first), 0);
  const again = start(t, ...words);
  assert.match((await holdfast("queue", "ls", "q", "--url", await address(again))).stdout, /waiting/);
  assert.equal(await ended(again), 0);
});

test("after kill -9 of the broker, show, ls and story tell of ended tasks their traces, their workers, when they began and why they ended", async (t) => {
  const data = await mkdtemp(join(tmpdir(), "holdfast-ended-"));
  t.after(() => rm(data, { recursive: true, force: true }));
  const words = ["queue", "serve", "--data", data, "--listen"];
  const first = start(t, ...words, "tcp://127.0.0.1:0");
  const url = await address(first);
  const letters = queue<string, string>("letters", { url });
  t.after(() => letters.close());
  const handler = (to: string): string => {
    if (to === "nobody") throw new GiveUp("no such address");
    return `sent to ${to}`;
  };
  const sending = worker(letters, handler, { signals: [], onError: () => {} });
  const traceIds = ["4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"];
  const ids = await Promise.all(
    ["ada", "nobody"].map(async (to, index) => {
      const options = { traceparent: `00-${traceIds[index]!}-00f067aa0ba902b7-01` };
      return (
        await letters.client.add({ queue: "letters", options, bodies: [Buffer.from(`"${to}"`)] }, { timeoutMs: 10_000 })
      )[0]!;
    }),
  );
  await letters.task(ids[0]!).result();
  await assert.rejects(letters.task(ids[1]!).result(), { code: "QUEUE_TASK_DEAD" });
  await sending.close();
  first.kill("SIGKILL");
  await once(first, "exit");
  const again = await address(start(t, ...words, url));
  const say = async (...command: string[]): Promise<string> => (await holdfast(...command, "--url", again)).stdout;
  const time = String.raw`\d{4}-\d\d-\d\dT[\d:.]+Z`;
  const listed = await say("queue", "ls", "letters");
  const [done, dead] = ids.map((id) => new RegExp(`^${id} +.*$`, "m").exec(listed)![0]);
  assert.match(done!, new RegExp(`completed +.* ${time} +[\\da-f]{6,}$`));
  assert.match(dead!, new RegExp(`dead \\(final\\) +.* ${time} +[\\da-f]{6,}$`));
  const peer = /[\da-f]+$/.exec(done!)![0];
  for (const [index, id] of ids.entries()) {
    const shown = await say("queue", "show", id);
    assert.match(shown, new RegExp(`^traceId +${traceIds[index]!}$`, "m"));
    assert.match(shown, new RegExp(`^worker +${peer}$`, "m"));
    assert.match(shown, new RegExp(`^startedMs +${time}$`, "m"));
    const story = await say("story", id);
    assert.match(story, new RegExp(`^task ${id} of letters: (completed|dead), trace ${traceIds[index]!}$`, "m"));
    assert.match(story, new RegExp(`the worker began \\(worker ${peer}\\)`));
  }
  assert.match(await say("queue", "show", ids[1]!), /^reason +final$/m);
  assert.match(await say("story", ids[1]!), /dead: its handler gave up/);
});

test("signal sends a handler what it waits for, once, and says so of a task that has ended", async (t) => {
  const orders = queue<string, string>("orders", { url: broker.address });
  const paying = worker(orders, async (order, task) => `${order}: ${String(await task.waitFor("paid"))}`, { signals: [] });
  t.after(() => Promise.all([paying.close(), orders.close()]));
  const task = await orders.add("order 7");
  for (;;) if ((await queueCommand("show", task.id)).stdout.includes("waits for the signal 'paid'")) break;
  const first = await queueCommand("signal", task.id, "paid", '"by card"');
  assert.equal(first.code, 0, first.stderr);
  assert.equal(await task.result(), "order 7: by card");
  const late = await queueCommand("signal", task.id, "paid", '"again"');
  assert.deepEqual([late.code, late.stdout], [1, ""]);
  assert.match(late.stderr, /the task is completed/);
  assert.equal((await queueCommand("signal", task.id)).code, 2);
});

test("flow shows all tasks of the flow that a task is of, cancels it and retries it", async (t) => {
  const parts = queue<string, string>("parts", { url: broker.address });
  t.after(() => parts.close());
  const add = () =>
    addFlow({
      cut: { queue: parts, body: "cut" },
      paint: { queue: parts, body: "paint", after: ["cut"] },
      ship: { queue: parts, body: "ship", after: ["paint"] },
    });
  const { tasks } = await add();
  let isSharp = false;
  const cutting = worker(parts, (part) => (isSharp ? part : Promise.reject(new GiveUp("blunt"))), {
    signals: [],
    onError: () => {},
  });
  t.after(() => cutting.close());
  await assert.rejects(tasks.ship.result(), { code: "QUEUE_TASK_DEAD" });
  const { stdout } = await queueCommand("flow", tasks.paint.id);
  assert.match(stdout, /^3 tasks: 3 dead$/m);
  assert.match(stdout, new RegExp(`^${tasks.ship.id} +dead +parts after ${tasks.paint.id}$`, "m"));
  isSharp = true;
  const retried = await queueCommand("flow", tasks.cut.id, "--retry");
  assert.deepEqual([retried.code, JSON.parse(retried.stdout)], [0, { retried: 3 }]);
  assert.equal(await tasks.ship.result(), "ship");
  await cutting.close();
  const other = await add();
  const cancelled = await queueCommand("flow", other.tasks.ship.id, "--cancel");
  assert.deepEqual([cancelled.code, JSON.parse(cancelled.stdout)], [0, { cancelled: 3 }]);
  const json = JSON.parse((await queueCommand("flow", other.tasks.cut.id, "--json")).stdout) as object;
  assert.deepEqual({ ...json, tasks: [] }, { count: 3, states: { cancelled: 3 }, tasks: [] });
  const none = await queueCommand("add", "parts", "alone");
  const alone = await queueCommand("flow", none.stdout.trim());
  assert.deepEqual([alone.code, alone.stdout], [1, ""]);
  assert.match(alone.stderr, /of no flow/);
});

async function address(serve: ChildProcess): Promise<string> {
  const [chunk] = (await once(serve.stdout!, "data")) as [Buffer];
  return /^queue (\S+)/.exec(chunk.toString())![1]!;
}

test("wrong words are told, with exit code 2", async () => {
  assert.equal((await holdfast("queue", "nonsense")).code, 2);
  assert.equal((await holdfast("queue", "add")).code, 2);
  assert.equal((await queueCommand("add", "q", "x", "--delay", "soon")).code, 2);
  assert.equal((await holdfast("queue", "--help")).code, 0);
});
