/** Each command that goes on says how it logs: --log text|json, --log-level, or the environment. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { suite, test } from "node:test";
import { Broker, queue } from "../../src/queue/index.ts";
import { Holdfast } from "../support/holdfast.ts";

interface Line {
  readonly time: string;
  readonly level: string;
  readonly event: string;
}

const jsonLines = (text: string): Line[] =>
  text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
const SERVE = ["queue", "serve", "--listen", "tcp://127.0.0.1:0", "--data", "memory"];

suite("logs of commands", { concurrency: 3 }, () => {
  test("queue serve tells from info on, as text", async () => {
    const holdfast = new Holdfast(SERVE);
    const [, address] = await holdfast.printed(/^queue (\S+)/m);
    await holdfast.printed(new RegExp(`^\\S+Z info queue\\.listening address=${address}$`, "m"), "stderr");
    await holdfast.stop();
    assert.match(holdfast.stderr, / info queue\.closed\n$/);
  });

  test("queue serve --log json: each line is an object; --json alone means the same", async () => {
    for (const words of [["--log", "json"], ["--json"]]) {
      const holdfast = new Holdfast([...SERVE, ...words]);
      await holdfast.printed(/queue/);
      await holdfast.stop();
      const lines = jsonLines(holdfast.stderr);
      assert.deepEqual(
        lines.map(({ level, event }) => [level, event]),
        [
          ["info", "queue.listening"],
          ["info", "queue.closed"],
        ],
      );
      assert.ok(Math.abs(Date.parse(lines[0]!.time) - Date.now()) < 60_000);
    }
  });

  test("--log-level error, and the environment, silence what is no error; up starts from warning", async () => {
    for (const [words, environment] of [
      [[...SERVE, "--log-level", "error"], {}],
      [SERVE, { HOLDFAST_LOG_LEVEL: "error" }],
      [["up", "--cache", "off", "--link", "off", "--dashboard", "off", "--queue", "tcp://127.0.0.1:0", "--data", "memory"], {}],
    ] as const) {
      const holdfast = new Holdfast(words, { env: environment });
      await holdfast.printed(/queue/);
      await holdfast.stop();
      assert.equal(holdfast.stderr, "");
    }
  });

  test("a level or a format that there is not is refused with what there is", async () => {
    for (const words of [SERVE, ["work", "q"], ["listen", "127.0.0.1:0"], ["cache", "-p", "-1"]]) {
      const command = words[0] === "work" ? ["--", "true"] : [];
      const level = await new Holdfast([...words, "--log-level", "loud", ...command]).ended();
      assert.deepEqual(
        [level.code, level.stderr],
        [2, "holdfast: Cannot use --log-level 'loud': it must be one of error, warning, info, debug\n"],
      );
      const format = await new Holdfast([...words, "--log", "xml", ...command]).ended();
      assert.deepEqual([format.code, format.stderr], [2, "holdfast: Cannot use --log 'xml': it must be one of text, json\n"]);
    }
  });

  test("work tells of its broker and of failed attempts", async () => {
    const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
    await broker.listen();
    const tasks = queue<string, string>("words", { broker });
    const holdfast = new Holdfast([
      "work",
      "words",
      "--url",
      broker.address,
      "--log",
      "json",
      "--",
      "sh",
      "-c",
      "echo bad >&2; exit 1",
    ]);
    try {
      const task = await tasks.add("x", { attempts: 1 });
      await assert.rejects(task.result({ timeout: "20s" }));
      await holdfast.printed(/attempt-failed/, "stderr");
      await holdfast.stop();
      const lines = jsonLines(holdfast.stderr);
      assert.deepEqual(lines[0], {
        time: lines[0]!.time,
        level: "info",
        event: "queue.broker-connected",
        address: broker.address,
        broker: broker.id,
      });
      const failed = lines.find(({ event }) => event === "queue.attempt-failed");
      assert.deepEqual(failed, {
        time: failed!.time,
        level: "warning",
        event: "queue.attempt-failed",
        task: task.id,
        queue: "words",
        attempt: 1,
        error: "bad",
      });
    } finally {
      await tasks.close();
      await broker.close();
    }
  });

  test("listen writes lines for people, and with --log the log's", async () => {
    for (const [words, open] of [
      [[], /^127\.0\.0\.1:\d+ connected, keep-alive/m],
      [["--log", "text"], /^\S+Z info link\.open peer=127\.0\.0\.1:\d+ keepAlive=/m],
      [["--log", "json"], /"level":"info","event":"link\.open","peer":"127\.0\.0\.1:\d+"/m],
    ] as const) {
      const holdfast = new Holdfast(["listen", "127.0.0.1:0", ...words]);
      const [, port] = await holdfast.printed(/127\.0\.0\.1:(\d+)/, "stderr");
      const socket = connect(Number(port), "127.0.0.1");
      await holdfast.printed(open, "stderr");
      socket.end();
      await holdfast.printed(/ended|link\.end/, "stderr");
      await holdfast.stop();
    }
  });
});
