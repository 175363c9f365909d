/** Clients of version 0.1, which speak version 1 of the protocol, with a server of today. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { listen } from "../../src/link/index.ts";
import type { ServerSession } from "../../src/link/index.ts";
import { oldCommand, withoutOldPackage } from "../support/version-0.1.ts";
import { reader } from "./support/reader.ts";

test(
  "two clients of version 0.1 with one name have a session each, resume it after a cut, and say good-bye",
  { skip: withoutOldPackage },
  async (t) => {
    const command = await oldCommand(t);
    const got: string[] = [];
    const told: string[] = [];
    const server = await listen({
      port: 0,
      session: { onMessage: (_session, message, number) => void got.push(`${number} ${Buffer.from(message).toString()}`) },
    });
    t.after(() => server.close());
    server.on("presence", (_session, presence) => void told.push(presence));
    const resumed: ServerSession[] = [];
    server.on("session", (session, how) => void (how.resumed && resumed.push(session)));
    const start = async (line: string) => {
      const words = [command, "connect", `127.0.0.1:${server.port}`, "--session", "pump", "--json"];
      const child = spawn(process.execPath, words, { stdio: "pipe" });
      t.after(() => child.kill("SIGKILL"));
      const output = reader(child.stdout);
      const here = once(server, "session");
      child.stdin.write(`${line}\n`);
      const [session] = (await here) as [ServerSession];
      return { child, output, session };
    };
    const clients = [await start("from one"), await start("from two")] as const;
    while (got.length < 2) await new Promise((resolve) => setImmediate(resolve));
    assert.notEqual(clients[0].session, clients[1].session);
    assert.equal(server.session("pump"), undefined);
    for (const { session } of clients) session.connection!.transport.destroy();
    while (resumed.length < 2) await once(server, "session");
    for (const { session, output } of clients) {
      await session.send(`to ${session.number}`);
      await output.until(new RegExp(`to ${session.number}`));
    }
    for (const { child } of clients) child.stdin.end("good-bye\n");
    assert.deepEqual(await Promise.all(clients.map(async ({ child }) => (await once(child, "exit"))[0])), [0, 0]);
    assert.deepEqual(got.toSorted(), ["1 from one", "1 from two", "2 good-bye", "2 good-bye"]);
    while (server.stats().sessions.length > 0) await once(server, "presence");
    assert.deepEqual(new Set(told), new Set(["online", "away", "gone"]));
  },
);
