/** Anybody who reaches the port of `holdfast listen --sessions` can make strangers; its log has one line a minute for all of them. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { tellStrangers } from "../../src/cli/link/strangers.ts";
import type { SessionServer, SessionServerEvents } from "../../src/link/index.ts";
import { reader } from "../link/support/reader.ts";

test("10,000 strangers in two minutes are three lines: the first, and one a minute with the reasons counted; then it is quiet", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const server = new EventEmitter<SessionServerEvents>();
  const lines: string[] = [];
  tellStrangers(server as unknown as SessionServer, (_event, _facts, line) => void lines.push(line!));
  for (let second = 0; second < 120; second += 1) {
    for (let count = 0; count < 83; count += 1) {
      const reason = count === 0 ? "hello-timeout" : "protocol";
      server.emit("stranger", "10.0.0.1:1", { reason, message: "as it is" });
    }
    t.mock.timers.tick(1000);
  }
  t.mock.timers.tick(600_000);
  assert.deepEqual(lines, [
    "10.0.0.1:1 did not open a session: hello-timeout, as it is",
    "4979 more did not open a session within a minute: protocol 4920, hello-timeout 59; the last was 10.0.0.1:1",
    "4980 more did not open a session within a minute: hello-timeout 60, protocol 4920; the last was 10.0.0.1:1",
  ]);
  server.emit("stranger", "10.0.0.2:1", { reason: "protocol", message: "again" });
  assert.equal(lines[3], "10.0.0.2:1 did not open a session: protocol, again");
});

test("listen --sessions under 200 connections of garbage writes one line of them, and prints its client's message", async (t) => {
  const holdfast = join(import.meta.dirname, "../../bin/holdfast");
  const server = spawn(holdfast, ["listen", "0", "--sessions"]);
  t.after(() => server.kill("SIGKILL"));
  const talk = reader(server.stderr);
  const [, port] = await talk.until(/listening on 127\.0\.0\.1:(\d+)/);
  // From three addresses: each is slowed down by itself.
  const strangers = Array.from({ length: 200 }, (_, index) =>
    connect({ port: Number(port), host: "127.0.0.1", localAddress: `127.0.0.${2 + (index % 3)}` })
      .on("error", () => {})
      .resume()
      .end("GET / HTTP/1.1\r\n\r\n"),
  );
  await Promise.all(strangers.slice(0, 20).map((stranger) => once(stranger, "close")));
  const client = spawn(holdfast, ["connect", `127.0.0.1:${port}`, "--session", "pump"]);
  t.after(() => client.kill("SIGKILL"));
  client.stdin.end("through all of it\n");
  await reader(server.stdout).until(/through all of it/);
  for (const stranger of strangers) stranger.destroy();
  assert.equal(talk.text().match(/did not open a session/g)?.length, 1, talk.text());
});
