/** Several servers: in which order a client tries them, how long it waits between, and that its session goes on with the next one. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { endOf } from "../../../src/link/end.ts";
import { connect, listen } from "../../../src/link/index.ts";
import type { LinkEnd, SessionServer } from "../../../src/link/index.ts";
import { ServerList } from "../../../src/link/session/client/server-list.ts";

const gone = endOf("unreachable");
const list = (): ServerList<string> => new ServerList(["a", "b", "c"], { base: 100, cap: 1000 }, () => 1);

/** Where it is tried next, and after how long. */
function ends(servers: ServerList<string>, nowMs: number, end: LinkEnd = gone): string {
  const waitMs = servers.ended(nowMs, end);
  return `${servers.current} ${waitMs}`;
}

test("servers are tried in turn, with a short wait between two and growing ones between rounds", () => {
  const servers = list();
  const said = [servers.current, ...Array.from({ length: 9 }, () => ends(servers, 0))];
  assert.deepEqual(said, ["a", "b 100", "c 100", "a 100", "b 100", "c 100", "a 200", "b 100", "c 100", "a 400"]);
});

test("a server that was there for 10 s is tried first when its connection ends, one that was there for less is not", () => {
  const servers = list();
  ends(servers, 0);
  servers.opened(0);
  assert.equal(ends(servers, 10_000, endOf("rst")), "b 100");
  servers.opened(10_100);
  assert.equal(ends(servers, 20_099, endOf("rst")), "c 100");
});

test("a server that goes down is left at once, whatever wait it asks for; one that is alone is waited for", () => {
  const servers = list();
  servers.opened(0);
  servers.dictate(60_000);
  assert.equal(ends(servers, 3_600_000, endOf("drained")), "b 100");
  const alone = new ServerList(["a"], { base: 100 }, () => 1);
  alone.dictate(60_000);
  assert.equal(ends(alone, 0, endOf("drained")), "a 60000");
});

test("a list without an address, or beside host, port or url, is refused", async () => {
  await assert.rejects(connect({ addresses: [], session: {} }), { code: "LINK_OPTION_INVALID" });
  await assert.rejects(connect({ addresses: ["127.0.0.1:1"], port: 2, session: {} }), { code: "LINK_OPTION_INVALID" });
  await assert.rejects(connect({ addresses: ["ws://"], session: {} }), { code: "ADDRESS_INVALID" });
});

test("a session with a will goes on with the next server that has its store, and no will is announced", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-failover-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const got: string[] = [];
  const wills: string[] = [];
  const start = async (context: TestContext, port = 0): Promise<SessionServer> => {
    const onMessage = (_session: unknown, message: Uint8Array): void => void got.push(Buffer.from(message).toString());
    const server = await listen({ port, session: { store: folder, onMessage } });
    server.on("will", (_session, will) => wills.push(will.toString()));
    context.after(() => server.close());
    return server;
  };
  const spare = await listen({ port: 0 });
  const { port } = spare;
  await spare.close();
  let server = await start(t);
  const addresses = [`127.0.0.1:${server.port}`, `127.0.0.1:${port}`];
  const session = { name: "pump", will: "lost" };
  const client = await connect({ addresses, session, reconnect: { base: 5, cap: 20 } });
  t.after(() => client.close());
  assert.deepEqual((await once(client, "open"))[0].resumed, false, "the first open is heard after connect");
  await client.send("1");
  await server.close();
  const sent = client.send("2");
  const opened = once(client, "open");
  server = await start(t, port);
  assert.equal((await opened)[0].resumed, true);
  await sent;
  assert.deepEqual([got, wills], [["1", "2"], []]);
});
