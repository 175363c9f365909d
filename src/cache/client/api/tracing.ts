/**
 * ● Spans for OpenTelemetry where `@opentelemetry/api` is installed and a provider is registered; otherwise nothing, at the cost
 * of one comparison a call. Names and attributes follow OpenTelemetry's semantic conventions for databases.
 */
import { tracingApi } from "../../../core/open-telemetry-tracing.ts";
import type { CacheOperation, Span } from "../operations/operation.ts";

/** A span that is a child of the caller's, or undefined when nothing is traced. */
export function startSpan(operation: CacheOperation): Span | undefined {
  const api = tracingApi();
  if (!api) return undefined;
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
