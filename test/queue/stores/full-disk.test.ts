/** A disk that is full is no deadlock: a broker process on a small disk of its own. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, mkdtempSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { queue, worker } from "../../../src/queue/index.ts";
import { Holdfast } from "../../support/holdfast.ts";
import { requires } from "../../support/requires.ts";

const RESERVE = 4 * 1024 ** 2;

/** A disk of so many MiB. */
function disk(t: TestContext, size: number): string {
  const path = mkdtempSync(join(tmpdir(), "holdfast-full-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}m`, "tmpfs", path]);
  t.after(() => {
    execFileSync("umount", ["--lazy", path]);
    rmSync(path, { recursive: true, force: true });
  });
  return path;
}

/** Takes all the room that there is. */
function fill(path: string): string {
  const ballast = join(path, "ballast");
  for (const bytes of [1024 ** 2, 4096, 512]) {
    const part = Buffer.alloc(bytes, 1);
    try {
      for (;;) appendFileSync(ballast, part);
    } catch (error) {
      assert.equal((error as { code?: string }).code, "ENOSPC");
    }
  }
  return ballast;
}

async function serve(t: TestContext, data: string, listen = "tcp://127.0.0.1:0"): Promise<{ broker: Holdfast; url: string }> {
  const broker = new Holdfast(["queue", "serve", "--listen", listen, "--data", data, "--reserve", "4m"]);
  t.after(() => broker.stop("SIGKILL"));
  const [, url] = await broker.printed(/^queue (tcp:\S+)$/m);
  return { broker, url: url! };
}

async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const endMs = performance.now() + 20_000; !(await isSo());) {
    if (performance.now() > endMs) throw new Error(`not within 20 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test(
  "on a full disk producers are told what to do, workers finish, the broker starts, and all goes on when there is room",
  requires("root"),
  async (t) => {
    const path = disk(t, 40);
    const data = join(path, "data");
    const first = await serve(t, data);
    await until(() => existsSync(join(data, "queue.db-reserve")), "the reserve is made");
    assert.equal(statSync(join(data, "queue.db-reserve")).size, RESERVE);
    const jobs = queue<string, string>("jobs", { url: first.url, log: false });
    t.after(() => jobs.close());
    const tasks = await jobs.addMany(Array.from({ length: 500 }, (_, index) => `${index} ${"x".repeat(1000)}`));
    const ballast = fill(path);
    await until(
      () =>
        jobs.add("y".repeat(100_000)).then(
          () => false,
          (error: unknown) => /disk of .* is full; free 5 MiB there/.test(String(error)),
        ),
      "a producer is refused",
    );
    await assert.rejects(jobs.add("one more"), { code: "QUEUE_STORE_UNAVAILABLE", message: /is full; .*holdfast queue move/ });
    await first.broker.printed(/error queue\.store-full why=/, "stderr");

    // It was full when the broker ended, and is when it starts.
    await first.broker.stop("SIGKILL");
    const second = await serve(t, data, first.url);
    await second.broker.printed(/error queue\.store-full why=/, "stderr");
    const runner = worker(jobs, (text) => `did ${text}`, { concurrency: 20, signals: [], log: false });
    t.after(() => runner.close());
    const results = await Promise.all(tasks.map((task) => task.result({ timeout: "30s" })));
    assert.ok(results.every((result, index) => result.startsWith(`did ${index} `)));
    await assert.rejects(jobs.add("still full"), { code: "QUEUE_STORE_UNAVAILABLE" });

    rmSync(ballast);
    await second.broker.printed(/warning queue\.store-room/, "stderr");
    assert.equal(statSync(join(data, "queue.db-reserve")).size, RESERVE);
    assert.equal(await jobs.call("again", { timeout: "10s" }), "did again");
  },
);

test(
  "a disk that has no room for the reserve when a broker first starts takes no new tasks until it has",
  requires("root"),
  async (t) => {
    const path = disk(t, 32);
    const ballast = fill(path);
    truncateSync(ballast, statSync(ballast).size - 3 * 1024 ** 2);
    const { broker, url } = await serve(t, join(path, "data"));
    const jobs = queue<string>("jobs", { url, log: false });
    t.after(() => jobs.close());
    await assert.rejects(jobs.add("too early"), { code: "QUEUE_STORE_UNAVAILABLE", message: /free 5 MiB/ });
    rmSync(ballast);
    await broker.printed(/warning queue\.store-room/, "stderr");
    await jobs.add("in time");
  },
);

test("a broker that was stopped in order starts on a disk that is full by then", requires("root"), async (t) => {
  const path = disk(t, 40);
  const data = join(path, "data");
  const first = await serve(t, data);
  const jobs = queue<string, string>("jobs", { url: first.url, log: false });
  t.after(() => jobs.close());
  const task = await jobs.add("body");
  await first.broker.stop();
  assert.equal(statSync(join(data, "queue.db-reserve")).size, RESERVE);
  fill(path);
  await serve(t, data, first.url);
  const runner = worker(jobs, (text) => `did ${text}`, { signals: [], log: false });
  t.after(() => runner.close());
  assert.equal(await task.result({ timeout: "20s" }), "did body");
});
