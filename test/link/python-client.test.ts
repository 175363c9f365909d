/** The links of clients/python against the real server, beside TypeScript's client: its own tests, cuts, kills of either side, TLS, its README. */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { suite, test } from "node:test";
import type { TestContext } from "node:test";
import { promisify } from "node:util";
import { connect, listen } from "../../src/link/index.ts";
import type { SessionListenOptions, SessionServer } from "../../src/link/index.ts";
import { programsOf } from "../support/python-programs.ts";
import { requires } from "../support/requires.ts";
import { makeCertificates } from "./support/certificates.ts";
import { proxyTo } from "./support/proxy.ts";
import { vectorServer } from "./support/vector-server.ts";

const execute = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const tests = join(root, "clients/python/tests");
const PYTHON = "/usr/bin/python3";
const env = { ...process.env, PYTHONPATH: join(root, "clients/python"), PYTHONDONTWRITEBYTECODE: "1" };

/** What tests/link_child.py says at its end. */
interface Outcome {
  readonly failed: Readonly<Record<string, string>>;
  readonly came: readonly number[];
}

function startChild(t: TestContext, port: number, name: string, count: number): ChildProcess {
  const child = spawn(PYTHON, ["-W", "error", join(tests, "link_child.py"), `127.0.0.1:${port}`, name, String(count)], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  return child;
}

async function outcomeOf(child: ChildProcess): Promise<Outcome> {
  for await (const line of createInterface({ input: child.stdout! })) {
    const said = JSON.parse(line) as Partial<Outcome>;
    if (said.failed) return said as Outcome;
  }
  return assert.fail("the client ended without an outcome");
}

async function listening(t: TestContext, options: Omit<SessionListenOptions, "port">): Promise<SessionServer> {
  const server = await listen({ port: 0, ...options });
  t.after(() => server.close());
  return server;
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

suite("the Python client for links", { ...requires("python3"), timeout: 120_000 }, () => {
  test("its tests pass against the server, without any package but Python's own", async (t) => {
    const server = await vectorServer();
    t.after(() => server.close());
    const { stderr } = await execute(
      PYTHON,
      ["-W", "error", "-m", "unittest", "discover", "-s", tests, "-p", "test_link*.py"],
      {
        env: {
          ...env,
          HOLDFAST_LINK_SERVER: `127.0.0.1:${server.port}`,
          HOLDFAST_LINK_VECTORS: join(import.meta.dirname, "session/vectors.json"),
        },
        timeout: 100_000,
        killSignal: "SIGKILL",
      },
    ).catch((error: { stderr: string }) => assert.fail(error.stderr));
    assert.match(stderr, /^OK$/m);
  });

  test("10,000 messages each way through 20 cuts: none lost, doubled or out of order", async (t) => {
    const count = 10_000;
    const came: number[] = [];
    let confirmed = 0;
    const allConfirmed = Promise.withResolvers<void>();
    let cuts = 0;
    const progressed = (): void => {
      if (cuts < 20 && came.length + confirmed > ((cuts + 1) * 2 * count) / 22) {
        cuts += 1;
        proxy.reset();
      }
    };
    const server = await listening(t, {
      session: {
        outboxMax: "64MiB",
        onMessage: (_session, message) => {
          came.push(Number.parseInt(Buffer.from(message).toString(), 10));
          progressed();
        },
      },
    });
    const proxy = await proxyTo(server.port);
    t.after(() => proxy.close());
    server.once("session", (session) => {
      for (const number of upTo(count))
        session
          .send(`${number} `.padEnd(number % 100 === 0 ? 50_000 : 20))
          .then(() => {
            confirmed += 1;
            progressed();
            if (confirmed === count) allConfirmed.resolve();
          })
          .catch(() => {});
    });
    const outcome = await outcomeOf(startChild(t, proxy.port, "python", count));
    assert.equal(cuts, 20);
    assert.deepEqual(outcome.failed, {});
    assert.deepEqual(outcome.came, upTo(count));
    assert.deepEqual(came, upTo(count));
    await allConfirmed.promise;
  });

  test("through kills of the server what was confirmed had arrived, nothing came twice, and the rest is told", async (t) => {
    const count = 6000;
    const came: number[] = [];
    let port = 0;
    {
      const probe = await listen({ port: 0 });
      ({ port } = probe);
      await probe.close();
    }
    let kills = 0;
    let server: ChildProcess;
    const start = async (): Promise<void> => {
      const child = spawn(process.execPath, [join(import.meta.dirname, "support/numbers-server-child.ts"), String(port)], {
        stdio: ["ignore", "pipe", "ignore"],
      });
      server = child;
      const up = Promise.withResolvers<void>();
      createInterface({ input: child.stdout }).on("line", (line) => {
        if (line === "listening") return up.resolve();
        came.push(Number(line));
        if (kills < 3 && !child.killed && came.length > ((kills + 1) * count) / 5) {
          kills += 1;
          child.kill("SIGKILL");
          void once(child, "close").then(start);
        }
      });
      await up.promise;
    };
    await start();
    t.after(() => server.kill("SIGKILL"));
    const { failed } = await outcomeOf(startChild(t, port, "python", count));
    assert.equal(kills, 3);
    assert.deepEqual(new Set(Object.values(failed)), new Set(["LINK_GAP"]));
    assert.deepEqual(
      came,
      [...new Set(came)].toSorted((one, other) => one - other),
      "in order, none twice",
    );
    const arrived = new Set(came);
    assert.deepEqual(
      upTo(count).filter((number) => !arrived.has(number) && !(number in failed)),
      [],
    );
  });

  test("a client that is killed and started again under its name goes on with its session, and its will is not announced; then it is", async (t) => {
    const server = await listening(t, { session: { willDelay: "1s" } });
    const events: string[] = [];
    server.on("presence", (session, presence) => events.push(`${session.name} ${presence}`));
    const will = new Promise<string>((resolve) =>
      server.once("will", (session, bytes) => resolve(`${session.name}: ${Buffer.from(bytes).toString()}`)),
    );
    const first = startChild(t, server.port, "boiler", 0);
    await once(first.stdout!, "data");
    first.kill("SIGKILL");
    const second = startChild(t, server.port, "boiler", 0);
    const [line] = (await once(second.stdout!, "data")) as [Buffer];
    assert.deepEqual(JSON.parse(String(line)), { opened: { resumed: false, restarted: true } });
    assert.deepEqual(events, ["boiler online", "boiler away", "boiler online"]);
    second.kill("SIGKILL");
    assert.equal(await will, "boiler: lost");
  });

  test("of a client in Python and one in TypeScript under one name the newer has it, and the older ends", async (t) => {
    const server = await listening(t, { session: {} });
    const older = await connect({ port: server.port, session: { name: "one" } });
    const child = startChild(t, server.port, "one", 0);
    assert.equal((await older.closed).reason, "taken-over");
    const newer = await connect({ port: server.port, session: { name: "one" } });
    t.after(() => newer.close());
    const [code] = (await once(child, "exit")) as [number];
    assert.equal(code, 0);
  });

  test("over TLS with a token it comes in; with another authority, or a wrong token, it is told why not", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-python-tls-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const { ca, server: pair } = makeCertificates();
    writeFileSync(join(folder, "ca.pem"), ca);
    const server = await listening(t, { tls: pair, session: { token: "secret" } });
    const program = `
import asyncio, ssl, sys
from holdfast.link_async import Client, HoldfastError
async def main():
    tls = ssl.create_default_context(cafile=sys.argv[2])
    async with Client(sys.argv[1], tls=tls, token="secret") as client:
        await client.send("x" * 500_000)
        print("confirmed")
    for options in ({"tls": tls, "token": "guess"}, {"tls": tls}, {"tls": True, "token": "secret"}):
        try:
            async with Client(sys.argv[1], backoff=None, **options):
                print("in")
        except HoldfastError as error:
            print(error.code)
asyncio.run(main())`;
    const { stdout } = await execute(
      PYTHON,
      ["-W", "error", "-c", program, `localhost:${server.port}`, join(folder, "ca.pem")],
      {
        env,
        timeout: 60_000,
        killSignal: "SIGKILL",
      },
    );
    assert.deepEqual(stdout.trim().split("\n"), ["confirmed", "LINK_REFUSED", "LINK_REFUSED", "LINK_ENDED"]);
  });

  test("the README's programs are whole", async () => {
    const readme = readFileSync(join(root, "clients/python/README.md"), "utf8");
    const programs = programsOf(readme).filter(({ code }) => code.includes("holdfast.link"));
    assert.ok(programs.length >= 2);
    for (const { code, claimed } of programs) {
      const server = await vectorServer();
      const { stdout } = await execute(
        PYTHON,
        ["-W", "error", "-c", code.replaceAll("127.0.0.1:12345", `127.0.0.1:${server.port}`)],
        {
          env,
          timeout: 30_000,
          killSignal: "SIGKILL",
        },
      );
      await server.close();
      assert.deepEqual(stdout.trim().split("\n"), claimed);
    }
  });
});
