/** `holdfast story`: the broker's story of a task on a terminal, with the packets of a capture. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Dashboard } from "../../src/dashboard/index.ts";
import { Broker, queue, type Task, worker } from "../../src/queue/index.ts";
import { Holdfast } from "../support/holdfast.ts";
import { tappedCapture } from "../support/tapped-capture.ts";

const folder = mkdtempSync(join(tmpdir(), "holdfast-story-"));
const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false, log: false });
let dashboard: Dashboard;
before(async () => {
  await broker.listen();
  dashboard = new Dashboard({ listen: "127.0.0.1:0", queue: broker });
  await dashboard.listen();
});
after(async () => {
  await dashboard.close();
  await broker.close();
  rmSync(folder, { recursive: true });
});

const story = async (...words: string[]) => {
  const command = new Holdfast(["story", ...words, "--url", broker.address], { cwd: folder });
  return { ...(await command.ended()), stdout: command.stdout };
};

test("a story has a line a step with the time since the one before, and the packets that are about the task", async () => {
  let task!: Task<string>;
  const bytes = await tappedCapture(`http://${dashboard.address}/`, async () => {
    const letters = queue<string, string>("letters", { url: broker.address, log: false });
    const printing = worker(letters, (letter) => Promise.resolve(`${letter} was printed`), { signals: [] });
    task = await letters.add("a letter");
    const other = await letters.add("another");
    await Promise.all([task.result(), other.result()]);
    await printing.close();
    await letters.close();
  });
  const capture = join(folder, "letters.pcapng");
  writeFileSync(capture, bytes);
  const { code, stdout } = await story(task.id, "--read", capture);
  assert.equal(code, 0);
  const lines = stdout.split("\n");
  assert.match(lines[0]!, new RegExp(`^task ${task.id} of letters: completed$`));
  assert.match(lines[1]!, /^\d{4}-\S+Z +added to letters$/);
  assert.match(stdout, /^\S+Z +\+\S.* {2}on disk: whoever added it was told so$/m);
  assert.match(stdout, /^\S+Z +\+\S.* {2}given to a worker \(worker [\da-f]+\)$/m);
  assert.match(stdout, new RegExp(`^\\S+Z +\\+\\S.*  packet \\d+: .* HQ1 TASKS? letters .*#?${task.id.split("-")[1]}\\b`, "m"));
  assert.doesNotMatch(stdout, /HQ1 (WORK|HELLO|BEAT)/, "these are about no task");
  assert.match(stdout, /^not known any more: Its body/m);
  const json = JSON.parse((await story(task.id, "--read", capture, "--json")).stdout) as { packets: { text: string }[] };
  assert.ok(json.packets.length >= 2, JSON.stringify(json.packets));
  assert.ok(json.packets.every(({ text }) => / HQ1 /.test(text)));
});

test("of an unknown task it says so and ends with 1; a capture that is none is told", async () => {
  const unknown = await story(`${broker.id}-999`);
  assert.deepEqual([unknown.code, unknown.stderr], [1, `holdfast: No task ${broker.id}-999 is known\n`]);
  const task = await queue<string>("q", { broker }).add("x");
  writeFileSync(join(folder, "nonsense"), "this is no capture file, whatever its name says");
  const { code, stderr } = await story(task.id, "--read", join(folder, "nonsense"));
  assert.ok(code !== 0 && stderr.startsWith("holdfast: "), stderr);
});
