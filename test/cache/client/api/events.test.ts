import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { test, type TestContext } from "node:test";
import { context, trace, type Span, type Tracer } from "@opentelemetry/api";
import { CacheClient, type CallEvent } from "../../../../src/cache/index.ts";
import { loadTracing } from "../../../../src/core/open-telemetry-tracing.ts";
import { freePort, holdfast } from "../support/test-servers.ts";

function collect(t: TestContext): CallEvent[] {
  const seen: CallEvent[] = [];
  const listener = (message: unknown): void => void seen.push(message as CallEvent);
  subscribe("holdfast:cache:call", listener);
  t.after(() => unsubscribe("holdfast:cache:call", listener));
  return seen;
}

test("every settled call is published with its verb, server, outcome and duration", async (t) => {
  const { address } = await holdfast(t);
  await using cache = new CacheClient({ servers: [address] });
  const seen = collect(t);
  await cache.set("k", 1);
  await cache.get("k");
  await cache.get("none");
  await cache.getMany(["k", "none", "other"]);
  await assert.rejects(cache.incr("k", 1, { signal: AbortSignal.abort() }));
  assert.deepEqual(
    seen.map(({ verb, outcome, hits, misses }) => [verb, outcome, hits, misses]),
    [
      ["set", "ok", 0, 0],
      ["get", "hit", 1, 0],
      ["get", "miss", 0, 1],
      ["get", "miss", 1, 2],
      ["incr", "error", 0, 0],
    ],
  );
  assert.deepEqual(new Set(seen.slice(0, 4).map(({ server }) => server)), new Set([address]));
  for (const { durationMs } of seen) assert.ok(durationMs >= 0 && durationMs < 1000);
  assert.deepEqual(cache.counts, { calls: 5, hits: 2, nearHits: 0, misses: 3, errors: 1 });
});

test('what onError: "miss" hides from callers is told as the event "failed"', async () => {
  const server = `127.0.0.1:${await freePort()}`;
  await using cache = new CacheClient({ servers: [server], onError: "miss" });
  const failures: string[] = [];
  cache.on("failed", ({ verb, key, error }) => failures.push(`${verb} ${key} ${error.code}`));
  assert.equal(await cache.get("k"), undefined);
  assert.deepEqual(failures, ["get k CACHE_UNREACHABLE"]);
  assert.equal(cache.counts.errors, 1);
});

interface Recorded {
  readonly name: string;
  readonly attributes: Record<string, unknown>;
  failed: boolean;
  ended: boolean;
}

test("where OpenTelemetry has a provider, each call is a span; without one, nothing is made", async (t) => {
  const { address } = await holdfast(t);
  loadTracing();
  await using cache = new CacheClient({ servers: [address] });
  await cache.set("before", 1);
  const spans: Recorded[] = [];
  const tracer = {
    startSpan(name: string, { attributes }: { attributes: Record<string, unknown> }) {
      const recorded: Recorded = { name, attributes: { ...attributes }, failed: false, ended: false };
      spans.push(recorded);
      return {
        setAttribute: (key: string, value: unknown) => (recorded.attributes[key] = value),
        setAttributes: (more: object) => Object.assign(recorded.attributes, more),
        setStatus: () => (recorded.failed = true),
        end: () => (recorded.ended = true),
      } as unknown as Span;
    },
  } as unknown as Tracer;
  trace.setGlobalTracerProvider({ getTracer: () => tracer });
  t.after(() => {
    trace.disable();
    context.disable();
  });
  await cache.get("before");
  await assert.rejects(cache.incr("before", 1, { signal: AbortSignal.abort() }));
  assert.deepEqual(
    spans.map(({ name, failed, ended }) => [name, failed, ended]),
    [
      ["get", false, true],
      ["incr", true, true],
    ],
  );
  assert.deepEqual(spans[0]!.attributes, {
    "db.system.name": "memcached",
    "db.operation.name": "get",
    "server.address": address,
    "holdfast.cache.hits": 1,
    "holdfast.cache.misses": 0,
  });
  assert.equal(spans[1]!.attributes["error.type"], "ABORTED");
});
