/** ● `holdfast health`: whether a process on this machine answers, or with --ready takes work, for health checks of containers. */
import { parseAddress, showAddress } from "../core/address.ts";
import { messageOf, OperationError } from "../core/errors.ts";
import { askedDashboard } from "../settings/parts.ts";
import { flags, parse } from "./shared/flags.ts";
import { readSettings, settingFlags } from "./shared/setting-flags.ts";

const SETTINGS = { tables: [askedDashboard("token")], alone: true } as const;

/** 3 s: the default of container runtimes is 30, of Kubernetes 1. */
const ANSWER_MS_MAX = 3000;

/** @returns 0 when it is healthy (or ready), 1 when it is not */
export async function run(argv: readonly string[]): Promise<number> {
  const command = settingFlags(flags("health", "Asks a process whether it is alive; exits with 1 when it is not"), SETTINGS)
    .option("--ready", "ask whether it takes work: its tasks are read, its store writes, its workers have a broker")
    .option("--json", "print JSON");
  if (!(await parse(command, argv))) return 0;
  const { ready = false, json = false } = command.opts<{ ready?: true; json?: true }>();
  const address = showAddress(parseAddress(readSettings(command, SETTINGS).dashboard.listen, "--dashboard", { port: 8280 }));
  let text: string;
  let ok: boolean;
  try {
    const url = `http://${address}/${ready ? "ready" : "health"}`;
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
    ok = response.ok;
    text = (await response.text()).trim();
  } catch (error) {
    const why = messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error);
    throw new OperationError("CLI_NO_ANSWER", `No answer from ${address}: ${why}`, { cause: error });
  }
  process.stdout.write(json ? `${JSON.stringify({ ok, text })}\n` : `${text}\n`);
  return ok ? 0 : 1;
}
