/**
 * ● The log for OpenTelemetry, where `@opentelemetry/api-logs` is installed and the application has registered a provider of loggers: each
 * event is a record with its facts as attributes. Otherwise nothing, at the cost of a look for the package, once a process.
 */
import type * as ApiLogs from "@opentelemetry/api-logs";
import type { LogLevel } from "./log-events.ts";
import { requireInstalled } from "./package-file.ts";

/** OpenTelemetry's numbers of severity: the least of each range. */
const SEVERITY: Readonly<Record<LogLevel, number>> = { error: 17, warning: 13, info: 9, debug: 5 };

let api: typeof ApiLogs | undefined;
let isLooked = false;

/** @param facts what can be an attribute: texts, numbers, yes and no */
export function emitLog(
  event: string,
  level: LogLevel,
  facts: Readonly<Record<string, string | number | boolean | undefined>>,
): void {
  if (!isLooked) look();
  api?.logs.getLogger("holdfast").emit({
    eventName: `holdfast.${event}`,
    severityNumber: SEVERITY[level],
    severityText: level.toUpperCase(),
    body: event,
    attributes: facts,
  });
}

function look(): void {
  isLooked = true;
  try {
    api = requireInstalled("@opentelemetry/api-logs") as typeof ApiLogs;
  } catch {
    api = undefined; // not installed
  }
}
