/** The command as strangers use it: odd folders, full disks, closed pipes, names with control characters. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { Broker } from "../../src/queue/index.ts";
import { Holdfast } from "../support/holdfast.ts";

const root = join(import.meta.dirname, "../..");
const launcher = join(root, "bin/holdfast");

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Through a shell, so that a test reads as what one types; `$HF` is the launcher. */
function shell(line: string, environment: Readonly<Record<string, string>> = {}): Promise<Run> {
  return new Promise((resolve) => {
    const env = { ...process.env, ...environment, HF: launcher };
    execFile("bash", ["-c", line], { env, timeout: 20_000, killSignal: "SIGKILL" }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr });
    });
  });
}

suite("the command from outside", { concurrency: 3 }, () => {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-outside-"));
    await broker.listen();
  });
  after(async () => {
    await broker.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test("--version prints the package's version", async () => {
    const { code, stdout } = await shell(`"$HF" --version`);
    assert.equal(code, 0);
    assert.match(stdout, /^holdfast \d+\.\d+\.\d+\n$/);
  });

  test(
    "a data folder in /proc, where no folder can be made, is told at once",
    { skip: process.platform !== "linux" },
    async () => {
      const up = await shell(`"$HF" up --cache off --link off --dashboard off --queue tcp://127.0.0.1:0 --data /proc/x`);
      assert.equal(up.code, 1);
      assert.match(up.stderr, /^holdfast: Cannot write the data folder \/proc\/x: ENOENT.*give --data another folder\n$/);
      const serve = await shell(`"$HF" queue serve --listen tcp://127.0.0.1:0 --data /proc/x`);
      assert.equal(serve.code, 1);
      assert.match(serve.stderr, /holdfast: Cannot make the folder \/proc\/x: ENOENT[^;]*\n$/);
    },
  );

  test("started in a folder that has been removed, up says so in a sentence", async () => {
    const { code, stderr } = await shell(`mkdir '${folder}/gone'; cd '${folder}/gone'; rmdir '${folder}/gone'; "$HF" up`);
    assert.equal(code, 1);
    assert.match(stderr, /holdfast: Cannot write the data folder \.\/\.holdfast: .*\n$/);
    assert.doesNotMatch(stderr, /at .*:\d+:\d+/);
  });

  test("output onto a full disk is one sentence and exit 1", { skip: process.platform !== "linux" }, async () => {
    const { code, stderr } = await shell(`"$HF" --help >/dev/full; echo $? >&2`);
    assert.equal(code, 0);
    assert.match(stderr, /^holdfast: Cannot write to stdout: ENOSPC.*\n1\n$/);
  });

  test("a broker whose log nobody reads any more goes on", async () => {
    const holdfast = new Holdfast(["queue", "serve", "--listen", "tcp://127.0.0.1:0", "--data", "memory"]);
    await holdfast.printed(/^queue tcp/m);
    holdfast.child.stderr!.destroy();
    // It says queue.closed into the pipe that has no reader.
    assert.deepEqual(await holdfast.stop("SIGTERM"), { code: 0, signal: null });
  });

  test("names with control characters cannot steer the terminal", async () => {
    const environment = { URL: broker.address };
    await shell(`"$HF" queue add $'red\\e[31m\\u9b' $'\\e[2J' --group $'\\e]0;title\\a' --url "$URL"`, environment);
    const queues = await shell(`"$HF" queue ls --url "$URL"`, environment);
    assert.match(queues.stdout, /^red\\x1b\[31m\\x9b /m);
    const tasks = await shell(`"$HF" queue ls $'red\\e[31m\\u9b' --url "$URL"`, environment);
    assert.match(tasks.stdout, /\\x1b\]0;title\\x07/);
  });

  test("neither a session's name nor a task's error can steer the terminal or forge a line of the log", async () => {
    const listener = new Holdfast(["listen", "127.0.0.1:0", "--sessions"]);
    const [, address] = await listener.printed(/listening on (\S+)/, "stderr");
    await shell(`echo hello | "$HF" connect ${address} --session $'x\\e[2J\\nroot online'`);
    await listener.printed(/online from/, "stderr");
    assert.match(listener.stderr, /^x\\x1b\[2J\\x0aroot online online from/m);
    await listener.stop();
    const failing = `"$HF" work bad --url "$URL" -- sh -c 'printf "\\033[2Jgone" >&2; exit 1' 2>/dev/null & "$HF" queue call bad x --attempts 1 --url "$URL"; kill $!; wait`;
    const { stderr } = await shell(failing, { URL: broker.address });
    assert.match(stderr, /^holdfast: .*\\x1b\[2Jgone/);
  });

  test("bytes that are no text come as base64 in JSON", async () => {
    const environment = { URL: broker.address };
    const added = await shell(`printf '\\xff\\x00\\x01' | "$HF" queue add bytes --url "$URL"`, environment);
    const { stdout } = await shell(`"$HF" queue show ${added.stdout.trim()} --json --url "$URL"`, environment);
    const task = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual([task["body"], task["bodyBase64"]], [undefined, "/wAB"]);
  });

  test("what is no task's id, and a task of another broker, are told for what they are", async () => {
    const environment = { URL: broker.address };
    const none = await shell(`"$HF" queue show nope --url "$URL"`, environment);
    assert.deepEqual([none.code, none.stderr], [2, "holdfast: 'nope' is not a task id; an id has the form BROKER-NUMBER\n"]);
    const other = await shell(`"$HF" queue show elsewhere-1 --timeout 3s --url "$URL"`, environment);
    assert.equal(other.code, 1);
    assert.match(other.stderr, /leads to broker \w+, not to 'elsewhere'/);
  });

  test("a broker's name that cannot be looked up is told by the deadline, with the reason", async () => {
    const { code, stderr } = await shell(`"$HF" queue ls --url tcp://nohost.invalid:5555 --timeout 2s`);
    assert.equal(code, 1);
    assert.match(stderr, /^holdfast: No answer to OPERATE .*nohost\.invalid:5555 is connected \(getaddrinfo E.*\)\n$/);
  });

  test("a broker that wants other credentials is told by the deadline, with the reason", async () => {
    const { code, stderr } = await shell(`"$HF" queue ls --user ada --timeout 3s --url "$URL"`, { URL: broker.address });
    assert.equal(code, 1);
    assert.match(stderr, /is connected \(Security mechanisms differ: the peer uses "NULL", this side PLAIN\)\n$/);
  });

  test("--curve-clients without --curve-keys does not start an open broker", async () => {
    const { code, stderr } = await shell(`"$HF" queue serve --listen tcp://127.0.0.1:0 --curve-clients /dev/null`);
    assert.deepEqual([code, stderr], [2, "holdfast: --curve-clients needs --curve-keys with the broker's keys\n"]);
  });

  test("add --lines submits lines as they come, though the pipe stays open", async () => {
    const line = `(printf 'one\\ntwo\\nthr'; sleep 1; printf 'ee'; sleep 3) | "$HF" queue add typed --lines --url "$URL" & sleep 2.5; "$HF" queue ls typed --url "$URL"; kill $!; wait`;
    const { stdout } = await shell(line, { URL: broker.address });
    assert.match(stdout, /-\d+ +waiting[^\n]* 3 B\n[^\n]*-\d+ +waiting[^\n]* 3 B\n/);
  });

  test("a command that prints without end fails its task, and the worker goes on", { timeout: 30_000 }, async () => {
    const environment = { URL: broker.address };
    const line = `"$HF" work endless --url "$URL" -- sh -c 'read word; [ "$word" = stop ] && echo ok || exec yes' 2>/dev/null & "$HF" queue call endless on --attempts 1 --url "$URL"; "$HF" queue call endless stop --url "$URL"; kill $!; wait`;
    const { stdout, stderr } = await shell(line, environment);
    assert.equal(stdout, "ok\n");
    assert.match(stderr, /printed more than 67108864 bytes/);
  });

  test("a command that leaves a process behind holding its stdout does not hold the worker", async () => {
    const line = `"$HF" work left --url "$URL" -- sh -c 'sleep 5 & echo done' 2>/dev/null & "$HF" queue call left x --timeout 4s --url "$URL"; kill $!; wait`;
    const { stdout } = await shell(line, { URL: broker.address });
    assert.equal(stdout, "done\n");
  });
});
