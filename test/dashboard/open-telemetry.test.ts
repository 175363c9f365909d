/** Metrics and the log by OpenTelemetry's own SDK: the numbers of /metrics under their names, events as records. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { metrics } from "@opentelemetry/api";
import { logs } from "@opentelemetry/api-logs";
import { InMemoryLogRecordExporter, LoggerProvider, SimpleLogRecordProcessor } from "@opentelemetry/sdk-logs";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { board } from "../../src/board/index.ts";
import { Broker, queue } from "../../src/queue/index.ts";

after(() => {
  metrics.disable();
  logs.disable();
});

test("where a provider of meters is registered, a board's numbers are its metrics, until it is closed", async (t) => {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const provider = new MeterProvider({ readers: [reader] });
  metrics.setGlobalMeterProvider(provider);
  t.after(() => provider.shutdown());
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false });
  await broker.listen();
  const emails = queue<string>("emails", { broker });
  t.after(async () => {
    await emails.close();
    await broker.close();
  });
  await emails.addMany(["a", "b"]);
  const ops = board({ queue: broker, open: true });

  const collected = async (): Promise<Map<string, [unknown, unknown][]>> => {
    exporter.reset();
    await provider.forceFlush();
    const found = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics);
    assert.ok(found.every(({ scope }) => scope.name === "holdfast"));
    return new Map(
      found
        .flatMap((scope) => scope.metrics)
        .map(({ descriptor, dataPoints }) => [
          descriptor.name,
          dataPoints.map(({ attributes, value }): [unknown, unknown] => [{ ...attributes }, value]),
        ]),
    );
  };
  const first = await collected();
  assert.deepEqual(first.get("holdfast_queue_added"), [[{ queue: "emails" }, 2]]);
  assert.deepEqual(first.get("holdfast_queue_workers"), [[{ queue: "emails" }, 0]]);
  assert.equal(first.get("holdfast_queue_tasks_by_state")!.length, 8);
  await emails.add("c");
  assert.deepEqual((await collected()).get("holdfast_queue_added"), [[{ queue: "emails" }, 3]]);
  await ops.close();
  await emails.add("d");
  assert.deepEqual((await collected()).get("holdfast_queue_added"), [[{ queue: "emails" }, 3]], "the board asks no more");
});

test("where a provider of loggers is registered, what the log tells is a record, with its facts as attributes", async () => {
  const exporter = new InMemoryLogRecordExporter();
  const provider = new LoggerProvider({ processors: [new SimpleLogRecordProcessor({ exporter })] });
  logs.setGlobalLoggerProvider(provider);
  const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: false, log: () => {} });
  await broker.listen();
  const { address } = broker;
  await broker.close();
  const silent = new Broker({ listen: "tcp://127.0.0.1:0", data: false, log: false });
  await silent.listen();
  await silent.close();
  await provider.forceFlush();
  const records = exporter.getFinishedLogRecords();
  assert.deepEqual(
    records.map(({ body, severityText, attributes }) => [body, severityText, { ...attributes }]),
    [
      ["queue.listening", "INFO", { address }],
      ["queue.closed", "INFO", {}],
    ],
  );
  await provider.shutdown();
});
