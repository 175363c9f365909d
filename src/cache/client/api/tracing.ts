/**
 * ● Spans for OpenTelemetry where `@opentelemetry/api` is installed and a provider is registered; otherwise nothing, at the cost
 * of one comparison a call. Names and attributes follow OpenTelemetry's semantic conventions for databases.
 */
import type * as OpenTelemetry from "@opentelemetry/api";
import { requireInstalled } from "../../../core/package-file.ts";
import type { CacheOperation, Span } from "../operations/operation.ts";

type Api = typeof OpenTelemetry;

let api: Api | undefined;
let isLooked = false;

/** Looks for the package, once a process. */
export function loadTracing(): void {
  if (isLooked) return;
  isLooked = true;
  try {
    api = requireInstalled("@opentelemetry/api") as Api;
  } catch {
    api = undefined; // not installed
  }
}

/** A span that is a child of the caller's, or undefined when nothing is traced. */
export function startSpan(operation: CacheOperation): Span | undefined {
  if (!api || !isTraced(api)) return undefined;
  const { SpanKind, SpanStatusCode, trace } = api;
  const span = trace.getTracer("holdfast/cache").startSpan(operation.verb, {
    kind: SpanKind.CLIENT,
    attributes: { "db.system.name": "memcached", "db.operation.name": operation.verb },
  });
  return {
    failed(error) {
      span.setAttribute("error.type", error.code);
      span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
    },
    ended({ server, hits, misses }) {
      if (server !== undefined) span.setAttribute("server.address", server);
      span.setAttributes({ "holdfast.cache.hits": hits, "holdfast.cache.misses": misses });
      span.end();
    },
  };
}

/** What the API hands out until a provider is registered; its spans record nothing. */
let noopProvider: OpenTelemetry.TracerProvider | undefined;

function isTraced({ trace, ProxyTracerProvider }: Api): boolean {
  const provider = trace.getTracerProvider();
  if (!(provider instanceof ProxyTracerProvider)) return true;
  const delegate = provider.getDelegate();
  if (delegate === noopProvider) return false;
  if (delegate.constructor.name !== "NoopTracerProvider") return true;
  noopProvider = delegate;
  return false;
}
