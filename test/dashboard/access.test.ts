import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { AccessControl } from "../../src/access/access-control.ts";
import { CacheServer } from "../../src/cache/index.ts";
import { Dashboard, type DashboardOptions } from "../../src/dashboard/index.ts";
import { Broker } from "../../src/queue/index.ts";

const token = (user: string): string => `token-of-${user}-0123456789`;
const FILE = {
  roles: {
    a: ["queue:*:a.*", "cache:*:a:*"],
    b: ["queue:*:b.*", "cache:*:b:*"],
    adder: ["queue:add:a.*"],
    viewer: ["dashboard:see:*"],
    root: ["*"],
  },
  users: Object.fromEntries(
    [
      ["ann", "a"],
      ["bob", "b"],
      ["add", "adder"],
      ["vue", "viewer"],
      ["ops", "root"],
    ].map(([user, role]) => [user, { roles: [role], token: token(user!) }]),
  ),
};

async function start(t: TestContext, options: DashboardOptions = {}) {
  const path = join(mkdtempSync(join(tmpdir(), "holdfast-board-access-")), "access.json");
  writeFileSync(path, JSON.stringify(FILE), { mode: 0o600 });
  const access = new AccessControl(path, false);
  const queue = new Broker({ listen: "tcp://127.0.0.1:0", data: false, log: false });
  const cache = new CacheServer({ listen: "127.0.0.1:0" });
  await Promise.all([queue.listen(), cache.listen()]);
  const dashboard = new Dashboard({ listen: "127.0.0.1:0", access, queue, cache, ...options });
  await dashboard.listen();
  t.after(async () => {
    await dashboard.close();
    await Promise.all([queue.close(), cache.close()]);
  });
  const ask = async (user: string | undefined, method: string, to: string, body?: unknown) => {
    const response = await fetch(`http://${dashboard.address}${to}`, {
      method,
      redirect: "manual",
      headers: {
        ...(user !== undefined && { authorization: `Bearer ${user.includes("-") ? user : token(user)}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, text: await response.text() };
  };
  return { ask, access, dashboard };
}

test("over HTTP a user does with its queues what it may, and others' are not there", async (t) => {
  const { ask, access } = await start(t);
  const added = await ask("ann", "POST", "/api/v1/queues/a.mails/tasks", { body: "secret-of-a" });
  assert.equal(added.status, 201);
  const { id } = JSON.parse(added.text) as { id: string };
  assert.equal((await ask("ann", "GET", `/api/v1/tasks/${id}`)).status, 200);
  assert.equal((await ask("bob", "GET", `/api/v1/tasks/${id}`)).status, 404);
  assert.equal((await ask("bob", "GET", `/api/v1/tasks/${id}/body`)).status, 404);
  assert.equal((await ask("bob", "POST", `/api/v1/tasks/${id}/cancel`, {})).status, 404);
  assert.equal((await ask("bob", "POST", "/api/v1/queues/a.mails/tasks", { body: 1 })).status, 403);
  assert.equal((await ask("bob", "POST", "/api/v1/queues/a.mails/drain", {})).status, 403);
  for (const list of ["queues", "tasks", "workers", "schedules", "events?after=oldest"]) {
    const { status, text } = await ask("bob", "GET", `/api/v1/${list}`);
    assert.equal(status, 200, list);
    assert.doesNotMatch(text, /a\.mails|secret/, list);
  }
  assert.match((await ask("ops", "GET", "/api/v1/queues")).text, /a\.mails/);
  assert.equal((await ask("ann", "POST", "/api/v1/queues/a.mails/pause", {})).status, 200);
  assert.ok(access.refused.queue >= 3);
});

test("over HTTP a user reads and writes the keys that it may", async (t) => {
  const { ask } = await start(t);
  assert.equal((await ask("ann", "PUT", "/api/v1/cache/a:1", "x")).status, 204);
  assert.equal((await ask("ann", "GET", "/api/v1/cache/a:1")).text, '"x"');
  for (const method of ["GET", "PUT", "DELETE"])
    assert.equal((await ask("bob", method, "/api/v1/cache/a:1", method === "PUT" ? "y" : undefined)).status, 403, method);
  assert.equal((await ask("ann", "GET", "/api/v1/cache/a:1")).text, '"x"');
});

test("who comes without a token, or with an unknown one, gets nothing that '*' may not", async (t) => {
  const { ask } = await start(t);
  assert.equal((await ask(undefined, "GET", "/api/v1/queues")).status, 403);
  assert.equal((await ask("no-such-token-0123456789", "GET", "/api/v1/queues")).status, 401);
  for (const page of ["/", "/metrics", "/api/hello", "/api/queues", "/api/cache"])
    assert.equal((await ask(undefined, "GET", page)).status, 401, page);
  assert.equal((await ask(undefined, "GET", "/health")).status, 200);
});

test("the page is for who has dashboard:see; its actions need the rights for all that they could touch", async (t) => {
  const { ask, dashboard } = await start(t);
  assert.equal((await ask("bob", "GET", "/metrics")).status, 401);
  assert.equal((await ask("vue", "GET", "/metrics")).status, 200);
  assert.match((await ask("vue", "GET", "/metrics")).text, /holdfast_access_refused_total\{part="dashboard"\} 1/);
  const hello = await ask("vue", "GET", "/api/hello");
  const { token: pageToken } = JSON.parse(hello.text) as { token: string };
  const value = async (user: string): Promise<number> => {
    const headers = {
      authorization: `Bearer ${token(user)}`,
      "x-holdfast-token": pageToken,
      "content-type": "application/json",
    };
    const body = JSON.stringify({ key: "a:1" });
    return (await fetch(`http://${dashboard.address}/api/cache/value`, { method: "POST", headers, body })).status;
  };
  assert.deepEqual([await value("vue"), await value("ops")], [403, 200]);
  assert.equal((await ask("vue", "GET", "/api/v1/queues")).status, 403);
  assert.equal((await ask("bob", "GET", `/?token=${token("vue")}`)).status, 303);
});

test("who has the dashboard's own token may everything", async (t) => {
  const { ask } = await start(t, { token: "own-token-0123456789" });
  assert.equal((await ask("own-token-0123456789", "POST", "/api/v1/queues/a.mails/tasks", { body: 1 })).status, 201);
  assert.equal((await ask("own-token-0123456789", "GET", "/metrics")).status, 200);
  assert.equal((await ask("bob", "GET", "/metrics")).status, 401);
  assert.equal((await ask(undefined, "GET", "/metrics")).status, 401);
});
