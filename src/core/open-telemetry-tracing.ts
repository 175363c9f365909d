/**
 * ● OpenTelemetry's API for spans, where `@opentelemetry/api` is installed and the application has registered a provider of tracers; otherwise
 * nothing, at the cost of one comparison a call.
 */
import type * as OpenTelemetry from "@opentelemetry/api";
import { requireInstalled } from "./package-file.ts";

/** All of `@opentelemetry/api`. */
export type TracingApi = typeof OpenTelemetry;

let api: TracingApi | undefined;
let isLooked = false;

/** Looks for the package, once a process. */
export function loadTracing(): void {
  if (isLooked) return;
  isLooked = true;
  try {
    api = requireInstalled("@opentelemetry/api") as TracingApi;
  } catch {
    api = undefined; // not installed
  }
}

/** undefined: nobody would be told of spans. */
export function tracingApi(): TracingApi | undefined {
  return api && isTraced(api) ? api : undefined;
}

/** What the API hands out until a provider is registered; its spans record nothing. */
let noopProvider: OpenTelemetry.TracerProvider | undefined;

function isTraced({ trace, ProxyTracerProvider }: TracingApi): boolean {
  const provider = trace.getTracerProvider();
  if (!(provider instanceof ProxyTracerProvider)) return true;
  const delegate = provider.getDelegate();
  if (delegate === noopProvider) return false;
  if (delegate.constructor.name !== "NoopTracerProvider") return true;
  noopProvider = delegate;
  return false;
}
