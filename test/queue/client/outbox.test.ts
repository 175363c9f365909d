import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { suite, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, Pool } from "pg";
import {
  Broker,
  type SqlDatabase,
  onceTable,
  outboxRelay,
  outboxTable,
  queue,
  type Queue,
  worker,
} from "../../../src/queue/index.ts";
import { testBroker, type TestBroker } from "../../../src/queue/testing.ts";
import { Postgres } from "../../support/postgres.ts";
import { requires } from "../../support/requires.ts";

interface Shop {
  readonly db: SqlDatabase;
  readonly broker: TestBroker;
  readonly mails: Queue<{ to: string }, string>;
  readonly log: [string, unknown][];
  rows(text: string): Promise<readonly Record<string, unknown>[]>;
}

function sqlite(): SqlDatabase {
  const database = new DatabaseSync(":memory:");
  return {
    query: (text, values) => {
      const named = Object.fromEntries(values.map((value, index) => [`$${index + 1}`, value as string]));
      return { rows: database.prepare(text).all(named) };
    },
  };
}

async function shop(t: TestContext, db: SqlDatabase): Promise<Shop> {
  const log: [string, unknown][] = [];
  const broker = await testBroker({ log: (event, facts) => log.push([event, facts]) });
  t.after(() => broker.close());
  for (const statement of [
    outboxTable(),
    onceTable(),
    "CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, mails INTEGER NOT NULL DEFAULT 0)",
    "DELETE FROM orders",
    "DELETE FROM holdfast_outbox",
    "DELETE FROM holdfast_once",
  ])
    await db.query(statement, []);
  const rows = async (text: string): Promise<readonly Record<string, unknown>[]> =>
    (await db.query(text, [])).rows as Record<string, unknown>[];
  return { db, broker, mails: queue("mails", { client: broker.connect() }), log, rows };
}

/** The same on each database. */
function facts(open: (t: TestContext) => SqlDatabase | Promise<SqlDatabase>): void {
  test("what is rolled back is never a task, what is committed is one, and its row goes", async (t) => {
    const { db, broker, mails, rows } = await shop(t, await open(t));
    await db.query("BEGIN", []);
    await mails.enqueue(db, { to: "nobody" });
    await db.query("ROLLBACK", []);
    await db.query("BEGIN", []);
    await db.query("INSERT INTO orders (id) VALUES ($1)", [1]);
    await mails.enqueue(db, { to: "ada" }, { priority: 7, delay: "1h" });
    await mails.enqueue(db, { to: "bob" }, { key: "bob" });
    await mails.enqueue(db, { to: "bob" }, { key: "bob" });
    await db.query("COMMIT", []);
    await using relay = outboxRelay({ db, client: mails.client });
    await relay.wake();
    assert.deepEqual(relay.stats(), { relayed: 3, setAside: 0 });
    assert.deepEqual(await rows("SELECT key FROM holdfast_outbox"), []);
    const tasks = [];
    for await (const { id } of mails.tasks()) tasks.push(await mails.get(id));
    assert.deepEqual(
      tasks.map((task) => [task!.payload, task!.state, task!.priority, task!.atMs]),
      [
        [{ to: "ada" }, "delayed", 7, broker.clock.date.getTime() + 3_600_000],
        [{ to: "bob" }, "waiting", 0, undefined],
      ],
    );
  });

  test("a row that is no task is set aside with a code, is told, and the others go on", async (t) => {
    const { db, mails, rows, log } = await shop(t, await open(t));
    const row = (key: string, queueName: string, options: string, body: unknown): unknown =>
      db.query("INSERT INTO holdfast_outbox (key, queue, options, body) VALUES ($1, $2, $3, $4)", [
        key,
        queueName,
        options,
        body,
      ]);
    const body = Buffer.from("{}");
    await row("0a", "mails", "no json", body);
    await row("0b", "mails", "[]", body);
    await row("0c", "mails", '{"priority":300}', body);
    await row("0d", "", "{}", body);
    await row("0e", "mails", '{"unheard":1}', body);
    await row("0f", "q".repeat(300), "{}", body);
    await row("0g", "mails", "{}", Buffer.alloc(17 * 1024 ** 2));
    await row("0h", "mails", `{"after":["${"0".repeat(8)}"]}`, body);
    await mails.enqueue(db, { to: "ada" });
    await using relay = outboxRelay({ db, client: mails.client });
    await relay.wake();
    assert.deepEqual(relay.stats(), { relayed: 1, setAside: 8 });
    const aside = await rows("SELECT key, error FROM holdfast_outbox ORDER BY key");
    assert.deepEqual(
      aside.map(({ key, error }) => [key, String(error).split(":")[0]]),
      [
        ["0a", "QUEUE_PROTOCOL"],
        ["0b", "QUEUE_PROTOCOL"],
        ["0c", "QUEUE_OPTIONS_INVALID"],
        ["0d", "QUEUE_NAME_INVALID"],
        ["0e", "QUEUE_OPTIONS_INVALID"],
        ["0f", "QUEUE_NAME_INVALID"],
        ["0g", "QUEUE_BODY_TOO_LARGE"],
        ["0h", "QUEUE_OPTIONS_INVALID"],
      ],
    );
    assert.equal(log.filter(([event]) => event === "queue.outbox-set-aside").length, 8);
    await relay.wake();
    assert.equal(relay.stats().setAside, 8, "once");
    await db.query("UPDATE holdfast_outbox SET options = '{}', error = NULL WHERE key = '0e'", []);
    await relay.wake();
    assert.equal(relay.stats().relayed, 2, "mended, it goes");
  });

  test("more rows than go at once are all relayed in one round, each once, by two relays", async (t) => {
    const { db, mails, rows } = await shop(t, await open(t));
    for (let n = 0; n < 25; n += 1) await mails.enqueue(db, { to: `${n}` });
    await using first = outboxRelay({ db, client: mails.client, rows: 10 });
    await using second = outboxRelay({ db, client: mails.client, rows: 10 });
    await Promise.all([first.wake(), second.wake()]);
    assert.deepEqual(await rows("SELECT key FROM holdfast_outbox"), []);
    assert.equal((await mails.counts()).waiting, 25);
  });

  test("an effect is done once, whatever fails after it, and its result is what it was", async (t) => {
    const { db, broker, mails, rows } = await shop(t, await open(t));
    await db.query("INSERT INTO orders (id) VALUES (1)", []);
    const results: unknown[] = [];
    const running = worker(
      mails,
      async (_mail, task) => {
        results.push(
          await task.once(db, async (tx) => {
            await tx.query("UPDATE orders SET mails = mails + 1 WHERE id = 1");
            if (task.attempt === 1) throw new Error("in the middle");
            return `done at attempt ${task.attempt}`;
          }),
        );
        if (task.attempt < 4) throw new Error("after the effect");
        return "";
      },
      { signals: [], onError: () => {} },
    );
    t.after(() => running.close());
    const sent = mails.call({ to: "ada" }, { timeout: "1d" });
    await broker.clock.advance("1h");
    await sent;
    assert.deepEqual(results, ["done at attempt 2", "done at attempt 2", "done at attempt 2"]);
    assert.deepEqual((await rows("SELECT mails FROM orders"))[0]!["mails"], 1);
  });

  test("of two runs at the same time one does it and the other gets its result; effects without a result have none", async (t) => {
    const { db, mails, rows } = await shop(t, await open(t));
    await db.query("INSERT INTO orders (id) VALUES (1)", []);
    const running = worker(
      mails,
      (_mail, task) =>
        task.once(
          db,
          async (tx) => {
            await tx.query("UPDATE orders SET mails = mails + 1 WHERE id = 1");
            return task.id;
          },
          { key: "order 1" },
        ),
      { signals: [], concurrency: 8 },
    );
    t.after(() => running.close());
    const results = await Promise.all(["a", "b", "c", "d", "e"].map((to) => mails.call({ to })));
    assert.equal(new Set(results).size, 1);
    assert.equal((await rows("SELECT mails FROM orders"))[0]!["mails"], 1);
  });

  test("two effects of a handler under one mark are refused, and nothing of the second is done", async (t) => {
    const { db, broker, mails, rows } = await shop(t, await open(t));
    const errors: unknown[] = [];
    const running = worker(
      mails,
      async (_mail, task) => {
        const add = (id: number) => task.once(db, (tx) => void tx.query("INSERT INTO orders (id) VALUES ($1)", [id]));
        await add(1);
        await add(2);
        return "";
      },
      { signals: [], onError: (error) => errors.push((error as { code: string }).code) },
    );
    t.after(() => running.close());
    await mails.add({ to: "ada" }, { attempts: 1 });
    await broker.idle();
    assert.deepEqual(errors, ["QUEUE_OPTIONS_INVALID"]);
    assert.deepEqual(
      (await rows("SELECT id FROM orders")).map(({ id }) => id),
      [1],
    );
  });
}

suite("on SQLite", () => facts(sqlite));

suite("on PostgreSQL", requires("postgresql"), () => {
  let postgres: Postgres;
  let pool: Pool;
  const opened = (async () => {
    postgres = await Postgres.start();
    pool = new Pool({ connectionString: postgres.url });
    // Of connections that are idle when it ends.
    pool.on("error", () => {});
  })();
  test("it starts", async () => {
    await opened;
  });
  facts(async (t) => {
    const client = new Client(postgres.url);
    await client.connect();
    t.after(() => client.end());
    return client;
  });

  test("kill -9 of the application, between commit and relay and anywhere else: each committed order has its mail, once", async (t) => {
    await pool.query("DROP TABLE orders");
    await pool.query("CREATE TABLE orders (id INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mails INTEGER NOT NULL)");
    const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false, signals: [] });
    await broker.listen();
    t.after(() => broker.close());
    const app = join(import.meta.dirname, "outbox-app-child.ts");
    const args = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning", app, postgres.url, broker.address];
    const KILLS = 6;
    let left = 0;
    for (let kill = 0; kill < KILLS; kill += 1) {
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
      for (let orders = 0; orders < 20;) {
        const [chunk] = (await once(child.stdout, "data")) as [Buffer];
        orders += chunk.toString().split("\n").length - 1;
      }
      await sleep((kill * 7) % 40);
      child.kill("SIGKILL");
      await once(child, "exit");
      left += Number((await pool.query<{ rows: string }>("SELECT count(*) AS rows FROM holdfast_outbox")).rows[0]!.rows);
    }
    assert.ok(left > 0, "a kill between commit and relay");
    // The application starts a last time, and takes no more orders.
    const mails = queue<{ order: number }, number>("mails", { url: broker.address });
    await using relay = outboxRelay({ db: pool, client: mails.client });
    await relay.wake();
    await using running = worker(
      mails,
      ({ order }, task) =>
        task.once(pool, async (tx) => {
          await tx.query("UPDATE orders SET mails = mails + 1 WHERE id = $1", [order]);
          return 1;
        }),
      { concurrency: 8, signals: [] },
    );
    for (;;) {
      const { waiting, active, retrying } = await mails.counts();
      if (waiting + active + retrying === 0) break;
      await sleep(20);
    }
    const { rows } = await pool.query<{ mails: number; orders: string }>(
      "SELECT mails, count(*) AS orders FROM orders GROUP BY mails",
    );
    assert.deepEqual(
      rows.map(({ mails: each }) => each),
      [1],
    );
    assert.ok(Number(rows[0]!.orders) > KILLS * 10);
    const outbox = await pool.query("SELECT key FROM holdfast_outbox");
    assert.deepEqual(outbox.rows, []);
    t.diagnostic(`${rows[0]!.orders} orders over ${KILLS} kills; ${left} rows were left in the outbox by them`);
    await running.close();
    await mails.close();
  });

  test("it ends", async () => {
    await pool.end();
    await postgres.close();
  });
});

test("while the broker or the database is away the relay waits, tells it once, and goes on by itself", async (t) => {
  const real = sqlite();
  let isAway = false;
  const db: SqlDatabase = {
    query: (text, values) => {
      if (isAway) throw new Error("connection refused");
      return real.query(text, values);
    },
  };
  const { broker, mails, log } = await shop(t, db);
  await using relay = outboxRelay({ db, client: mails.client, every: "1s" });
  await broker.idle();
  isAway = true;
  await broker.clock.advance("5m");
  isAway = false;
  await mails.enqueue(db, { to: "ada" });
  await broker.clock.advance("30s");
  assert.equal(relay.stats().relayed, 1);
  assert.deepEqual(
    log.map(([event]) => event).filter((event) => event.startsWith("queue.outbox")),
    ["queue.outbox-trouble", "queue.outbox-recovered"],
  );
});

test("what is no database, no table and no option is refused before anything is written", async (t) => {
  const { db, mails } = await shop(t, sqlite());
  const wrong = { code: "QUEUE_OPTIONS_INVALID" };
  assert.throws(() => outboxTable("orders; DROP TABLE orders"), wrong);
  assert.throws(() => onceTable(""), wrong);
  assert.throws(() => outboxRelay({ db: {} as SqlDatabase, client: mails.client }), wrong);
  assert.throws(() => outboxRelay({ db, client: {} as typeof mails.client }), wrong);
  assert.throws(() => outboxRelay({ db, client: mails.client, every: "soon" }), { code: "UNIT_INVALID" });
  await assert.rejects(mails.enqueue({} as SqlDatabase, { to: "ada" }), wrong);
  await assert.rejects(mails.enqueue(db, { to: "ada" }, { table: "a b" }), wrong);
  await assert.rejects(mails.enqueue(db, { to: "ada" }, { priority: 256 }), wrong);
  await assert.rejects(mails.enqueue(db, { to: "ada" }, { timeout: "1s" } as object), wrong);
  const { rows } = await db.query("SELECT key FROM holdfast_outbox", []);
  assert.deepEqual(rows, []);
});
