/** What a session server counts, in `stats()` and in /metrics. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { board } from "../../src/board/index.ts";
import { connect, listen } from "../../src/link/index.ts";

test("sessions, messages, refusals, takeovers and what waits are in stats() and /metrics", async (t) => {
  const server = await listen({
    port: 0,
    session: {
      onMessage(_session, message) {
        if (message.length > 3) throw new Error("too long for me");
      },
    },
  });
  t.after(() => server.close());
  const pump = { port: server.port, session: { name: "pump" } };
  const older = await connect(pump);
  const taken = once(older, "close");
  const newer = await connect(pump);
  await taken;
  await newer.send("one");
  await assert.rejects(newer.send("three"), { code: "LINK_REJECTED" });
  const away = await connect({ port: server.port, session: { name: "away" }, reconnect: false });
  const gone = once(server, "presence");
  server.session("away")!.connection!.transport.destroy();
  await gone;
  await away.closed;
  const waiting = server.session("away")!.send(new Uint8Array(1000));
  waiting.catch(() => {});
  const { sessions, heldBytes, counts, ended } = server.stats();
  assert.deepEqual(counts, {
    begun: 2,
    resumed: 0,
    restarted: 1,
    received: 2,
    refused: 1,
    lost: 0,
    unconfirmed: 0,
    dropped: 0,
    wills: 0,
  });
  assert.deepEqual(Object.fromEntries(sessions.map(({ name, presence }) => [name, presence])), {
    pump: "online",
    away: "away",
  });
  assert.equal(heldBytes, 1000);
  assert.equal(ended["taken-over"], 1);
  const answer = await board({ link: server, open: true })(new Request("http://localhost/metrics"));
  const metrics = await answer.text();
  for (const line of [
    'holdfast_link_sessions{presence="online"} 1',
    'holdfast_link_sessions{presence="away"} 1',
    "holdfast_link_begun_sessions_total 2",
    "holdfast_link_restarted_sessions_total 1",
    "holdfast_link_messages_total 2",
    "holdfast_link_refused_messages_total 1",
    "holdfast_link_waiting_messages 1",
    "holdfast_link_held_bytes 1000",
    'holdfast_link_ended_total{reason="taken-over"} 1',
  ])
    assert.ok(metrics.includes(`\n${line}\n`), `${line} in ${metrics}`);
  await newer.close();
});

test("a server in byte mode has no numbers of sessions", async (t) => {
  const server = await listen({ port: 0 });
  t.after(() => server.close());
  const answer = await board({ link: server, open: true })(new Request("http://localhost/metrics"));
  assert.doesNotMatch(await answer.text(), /^holdfast_link_(sessions|messages|held|wills)/m);
});
