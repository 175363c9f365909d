/** ● The page, metrics and health of a command that runs one part: none unless `--dashboard` says where. */
import { join } from "node:path";
import { parseAddress } from "../../core/address.ts";
import type { Log } from "../../core/log.ts";
import type { DashboardOptions } from "../../dashboard/index.ts";
import type { DASHBOARD_ALONE } from "../../settings/parts.ts";
import type { Values } from "../../settings/table.ts";
import { listenError } from "./listen-error.ts";

/** Where the charts' history is kept: with the queue's tasks, if these are kept. */
export function historyFile({
  listen,
  data,
}: {
  readonly listen: readonly string[];
  readonly data: string;
}): string | undefined {
  return listen[0] === "off" || data === "memory" ? undefined : join(data, "history.json");
}

/** Closed when it is disposed of; without a page there is nothing to close. */
export type OwnPage = AsyncDisposable;

/**
 * Starts it; loaded only then, so that a part without a page does not pay for one.
 *
 * @throws UsageError DASHBOARD_TOKEN_REQUIRED, ADDRESS_INVALID; OperationError CLI_ADDRESS_IN_USE, CLI_ADDRESS_UNUSABLE
 */
export async function ownPage(
  { listen, token, apiTokens, peers }: Values<(typeof DASHBOARD_ALONE)["settings"]>,
  parts: Pick<DashboardOptions, "access" | "cache" | "queue" | "link" | "workers" | "history">,
  log: Log,
): Promise<OwnPage> {
  if (listen === undefined || listen === "off") return { [Symbol.asyncDispose]: () => Promise.resolve() };
  parseAddress(listen, "--dashboard", { port: 8280 });
  const { Dashboard } = await import("../../dashboard/index.ts");
  const dashboard = new Dashboard({ listen, token, apiTokens, peers, ...parts });
  try {
    await dashboard.listen();
  } catch (error) {
    throw listenError(error, `start the dashboard on ${listen}`, "give --dashboard another address");
  }
  log("dashboard.listening", { address: dashboard.address });
  return dashboard;
}
