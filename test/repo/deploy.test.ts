/**
 * What lies in deploy/: the alerts and the dashboard's queries against a real Prometheus that scrapes real servers, the manifests against
 * Kubernetes' types, the units by systemd itself. The container's steps are run in package.test.ts, where the package is.
 */
import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { parse, parseAllDocuments } from "yaml";
import { CacheClient, CacheServer } from "../../src/cache/index.ts";
import { Dashboard } from "../../src/dashboard/index.ts";
import { listen } from "../../src/link/index.ts";
import { Broker, queue, worker } from "../../src/queue/index.ts";
import { requires } from "../support/requires.ts";

const execute = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const read = (path: string): string => readFileSync(join(root, "deploy", path), "utf8");

const RULES = parse(read("prometheus/alerts.yml")) as {
  groups: { rules: { alert: string; expr: string; annotations: { summary: string } }[] }[];
};
const ALERTS = RULES.groups.flatMap(({ rules }) => rules);
const DASHBOARD = JSON.parse(read("grafana/holdfast.json")) as {
  panels: { id: number; title: string; gridPos: { x: number; w: number }; targets: { expr: string }[] }[];
};
/** Of brokers of a group only. */
const GROUP_ONLY = /holdfast_queue_(leading|log_lag)/;

suite("deploy/", () => {
  test("promtool finds nothing wrong with the rules and the configuration", requires("prometheus"), () => {
    execFileSync("promtool", ["check", "rules", join(root, "deploy/prometheus/alerts.yml")], { stdio: "pipe" });
    const config = ["check", "config", "--syntax-only", join(root, "deploy/prometheus/prometheus.yml")];
    execFileSync("promtool", config, { stdio: "pipe" });
  });

  test("systemd finds nothing wrong with the units", requires("systemd"), () => {
    const units = globSync(join(root, "deploy/*.service"));
    assert.equal(units.length, 3);
    execFileSync("systemd-analyze", ["verify", "--man=no", ...units], { stdio: "pipe" });
  });

  test("Kubernetes' types know every field of the manifests, and the probes ask what is served", async () => {
    const documents = parseAllDocuments(read("kubernetes/holdfast.yaml")).map((each) => each.toJSON() as { kind: string });
    assert.deepEqual(
      documents.map(({ kind }) => kind),
      ["Service", "StatefulSet", "PodDisruptionBudget"],
    );
    const folder = mkdtempSync(join(root, "node_modules/.deploy-"));
    try {
      const of = { Service: "core/v1", StatefulSet: "apps/v1", PodDisruptionBudget: "policy/v1" } as Record<string, string>;
      const lines = documents.map(({ kind }, index) => [
        `import type { ${kind} } from "kubernetes-types/${of[kind]}";`,
        `export const manifest${index}: ${kind} = ${JSON.stringify(documents[index])};`,
      ]);
      writeFileSync(join(folder, "manifests.ts"), lines.flat().join("\n"));
      const flags = [
        "--ignoreConfig",
        "--strict",
        "--noEmit",
        "--skipLibCheck",
        "--module",
        "esnext",
        "--moduleResolution",
        "bundler",
        "--types",
        "",
      ];
      await execute(join(root, "node_modules/.bin/tsc"), [...flags, "manifests.ts"], { cwd: folder }).catch(
        ({ stdout }: { stdout: string }) => assert.fail(stdout),
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
    const text = JSON.stringify(documents[1]);
    assert.deepEqual(
      [...text.matchAll(/"path":"(\/[a-z]+)","port"/g)].map(([, path]) => path),
      ["/health", "/health", "/ready"],
    );
  });

  test("compose.yaml mounts what there is, and publishes on loopback only", () => {
    const { services, secrets } = parse(read("compose.yaml")) as {
      services: Record<string, { ports: string[]; build?: { dockerfile: string }; secrets: string[] }>;
      secrets: object;
    };
    for (const service of Object.values(services)) {
      assert.ok(service.ports.every((port) => port.startsWith("127.0.0.1:")));
      assert.ok(service.secrets.every((name) => name in secrets));
    }
    assert.ok(read(services["holdfast"]!.build!.dockerfile.replace("deploy/", "")).length > 0);
  });

  test("panels have numbers and places of their own", () => {
    const ids = DASHBOARD.panels.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(DASHBOARD.panels.every(({ gridPos: { x, w } }) => x + w <= 24));
  });

  suite("a Prometheus that scrapes real servers", () => {
    const needs = requires("prometheus");
    const closing: (() => Promise<unknown>)[] = [];
    let url = "";
    let metrics = "";
    let scraped: ReadonlySet<string>;

    before(async () => {
      if (needs.skip !== false) return;
      const folder = mkdtempSync(join(tmpdir(), "holdfast-prometheus-"));
      closing.push(async () => rmSync(folder, { recursive: true, force: true }));
      const page = await servers(closing);
      metrics = await (await fetch(`http://${page}/metrics`)).text();
      scraped = new Set([...metrics.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name!));
      const job = {
        job_name: "holdfast",
        scrape_interval: "3s",
        scrape_timeout: "3s",
        static_configs: [{ targets: [page] }],
      };
      // JSON is YAML.
      writeFileSync(join(folder, "prometheus.yml"), JSON.stringify({ scrape_configs: [job] }));
      const port = await freePort();
      url = `http://127.0.0.1:${port}`;
      const flags = [
        `--config.file=${folder}/prometheus.yml`,
        `--storage.tsdb.path=${folder}/data`,
        `--web.listen-address=127.0.0.1:${port}`,
      ];
      const prometheus = spawn("prometheus", flags, { stdio: "ignore" });
      closing.push(async () => {
        prometheus.kill("SIGKILL");
        if (prometheus.exitCode === null) await once(prometheus, "exit");
      });
      // Rates need two scrapes.
      const deadline = performance.now() + 40_000;
      while ((await asked("count_over_time(holdfast_uptime_seconds[1m]) > 1").catch(() => [])).length === 0) {
        assert.ok(performance.now() < deadline, "Prometheus scrapes nothing");
        await sleep(200);
      }
    });
    after(async () => {
      for (const close of closing.toReversed()) await close();
    });

    async function asked(query: string): Promise<unknown[]> {
      const response = await fetch(`${url}/api/v1/query`, { method: "POST", body: new URLSearchParams({ query }) });
      const { status, data, error } = (await response.json()) as {
        status: string;
        error?: string;
        data: { result: unknown[] };
      };
      assert.equal(status, "success", `${query}: ${error}`);
      return data.result;
    }

    /** Asked again while there is nothing: a scrape that a busy machine missed takes its series away until the next. */
    async function something(query: string): Promise<unknown[]> {
      const deadline = performance.now() + 20_000;
      let found = await asked(query);
      while (found.length === 0 && performance.now() < deadline) {
        await sleep(500);
        found = await asked(query);
      }
      return found;
    }

    test("promtool reads /metrics, and Prometheus does", needs, async () => {
      execFileSync("promtool", ["check", "metrics"], { input: metrics, stdio: ["pipe", "pipe", "pipe"] });
      assert.equal((await something('up{job="holdfast"} == 1')).length, 1);
    });

    test("each query of the Grafana dashboard finds something", needs, async () => {
      const queries = DASHBOARD.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr })));
      assert.ok(queries.length > 20);
      const empty = await Promise.all(
        queries.map(async ({ title, expr }) => {
          const query = expr
            .replaceAll("$__rate_interval", "1m")
            .replaceAll("$job", "holdfast")
            .replaceAll(/\$(instance|queue)/g, ".*");
          const found = GROUP_ONLY.test(expr) ? await asked(query) : await something(query);
          return found.length > 0 || GROUP_ONLY.test(expr) ? [] : [`${title}: ${expr}`];
        }),
      );
      assert.deepEqual(empty.flat(), []);
    });

    test("each alert can be evaluated, and names metrics that there are", needs, async () => {
      for (const { alert, expr, annotations } of ALERTS) {
        await asked(expr);
        const names = [...expr.matchAll(/\bholdfast_\w+/g)].map(([name]) => name).filter((name) => !GROUP_ONLY.test(name));
        assert.deepEqual(
          names.filter((name) => !scraped.has(name)),
          [],
          alert,
        );
        assert.ok(annotations.summary.length > 20);
      }
    });

    test("what the alerts are for is found: a queue without a worker, and nothing where all is well", needs, async () => {
      const rule = (name: string): string => ALERTS.find(({ alert }) => alert === name)!.expr;
      const lonely = (await something(rule("HoldfastNoWorker"))) as { metric: { queue: string } }[];
      assert.deepEqual(
        lonely.map(({ metric }) => metric.queue),
        ["lonely"],
      );
      for (const name of [
        "HoldfastDown",
        "HoldfastStoreRefusesWrites",
        "HoldfastQueueNearlyFull",
        "HoldfastWorkerAlone",
        "HoldfastNoLeader",
      ])
        assert.deepEqual(await asked(rule(name)), [], name);
    });
  });
});

/** All parts, a worker and some traffic. @returns the page's address */
async function servers(closing: (() => Promise<unknown>)[]): Promise<string> {
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
  await broker.listen();
  const cache = new CacheServer({ listen: "127.0.0.1:0" });
  await cache.listen();
  const link = await listen({ port: 0 });
  const jobs = queue<string, string>("jobs", { broker });
  const running = worker(jobs, (job) => job, { signals: [] });
  const dashboard = new Dashboard({ listen: "127.0.0.1:0", cache, queue: broker, link, workers: [running] });
  await dashboard.listen();
  const client = new CacheClient({ servers: [cache.address] });
  await client.set("a", 1);
  const traffic = setInterval(() => void Promise.all([jobs.add("x"), client.get("a")]).catch(() => {}), 50);
  const lonely = queue<string>("lonely", { broker });
  await lonely.add("waits");
  // One that comes and goes: links that ended are counted by reason.
  const socket = connect(link.port, "127.0.0.1");
  await once(socket, "connect");
  socket.end();
  closing.push(
    () => Promise.all([broker.close(), cache.close(), link.close()]),
    () => Promise.all([running.close(), jobs.close(), lonely.close(), client.close(), dashboard.close()]),
    async () => clearInterval(traffic),
  );
  return dashboard.address;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
