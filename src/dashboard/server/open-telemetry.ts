/**
 * ● The numbers of /metrics for OpenTelemetry, where `@opentelemetry/api` is installed and the application has registered a provider of
 * meters: the same names and labels, but for the histograms, read when the provider collects. Otherwise nothing, at no cost.
 */
import type * as OpenTelemetry from "@opentelemetry/api";
import { requireInstalled } from "../../core/package-file.ts";
import type { Metrics } from "./metrics.ts";

type Api = typeof OpenTelemetry;

/** @returns what takes them back */
export function meterMetrics(metrics: Metrics): () => void {
  const api = installed();
  if (!api) return () => {};
  const meter = api.metrics.getMeter("holdfast");
  // Histograms are counted by the broker already; OpenTelemetry has no instrument that takes one that is.
  const told = metrics.all.filter(({ type }) => type !== "histogram");
  const instruments = told.map(({ name, help: description, type }) => {
    // Prometheus' exporter adds the suffix by itself.
    const instrument = name.replace(/_total$/, "");
    return type === "counter"
      ? meter.createObservableCounter(instrument, { description })
      : meter.createObservableGauge(instrument, { description });
  });
  const observe = (result: OpenTelemetry.BatchObservableResult): void => {
    metrics.read();
    for (const [index, { read }] of told.entries())
      for (const [labels, value] of read()) result.observe(instruments[index]!, value, labels);
  };
  meter.addBatchObservableCallback(observe, instruments);
  return () => meter.removeBatchObservableCallback(observe, instruments);
}

function installed(): Api | undefined {
  try {
    return requireInstalled("@opentelemetry/api") as Api;
  } catch {
    return undefined; // not installed
  }
}
