/** ● `holdfast stats`: statistics of a running `holdfast up` or of any memcached server. */
import { CacheClient } from "../cache/index.ts";
import { parseAddress, showAddress } from "../core/address.ts";
import { messageOf, OperationError } from "../core/errors.ts";
import { showDuration, showSize } from "../core/units.ts";
import type { WholeSnapshot } from "../dashboard/index.ts";
import { askedDashboard } from "../settings/parts.ts";
import { flags, parse } from "./shared/flags.ts";
import { readSettings, settingFlags } from "./shared/setting-flags.ts";
import type { PartValues } from "./shared/setting-values.ts";

const SETTINGS = { tables: [askedDashboard("token")], alone: true } as const;

type Asked = PartValues<typeof SETTINGS.tables>["dashboard"];

interface StatsFlags {
  readonly cache?: string;
  readonly json?: true;
}

/** 5 s: a server that needs longer is overloaded, and an operator wants to know that soon. */
const ANSWER_MS_MAX = 5000;

export async function run(argv: readonly string[]): Promise<number> {
  const about = "Shows statistics of a running process or of any memcached server.";
  const command = settingFlags(flags("stats", about), SETTINGS)
    .option("--cache <address>", "read statistics of this memcached server instead")
    .option("--json", "print JSON");
  if (!(await parse(command, argv))) return 0;
  const options = command.opts<StatsFlags>();
  const numbers =
    options.cache === undefined ? await upStats(readSettings(command, SETTINGS).dashboard) : await cacheStats(options.cache);
  if (options.json) process.stdout.write(`${JSON.stringify(numbers.json)}\n`);
  else process.stdout.write(table(numbers.rows));
  return 0;
}

type Rows = readonly (readonly [name: string, value: string])[];

interface Numbers {
  readonly json: unknown;
  readonly rows: Rows;
}

async function upStats({ listen, token }: Asked): Promise<Numbers> {
  const address = showAddress(parseAddress(listen, "--dashboard", { port: 8280 }));
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  let response: Response;
  try {
    response = await fetch(`http://${address}/api/hello`, { headers, signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  } catch (error) {
    const why = error instanceof Error && error.cause ? messageOf(error.cause) : messageOf(error);
    throw new OperationError("CLI_NO_ANSWER", `No statistics from ${address}: ${why}; is 'holdfast up' running there?`, {
      cause: error,
    });
  }
  if (!response.ok)
    throw new OperationError("CLI_NO_ANSWER", `No statistics from ${address}: ${(await response.text()).trim()}`);
  const { snapshot } = (await response.json()) as { snapshot: WholeSnapshot };
  return { json: snapshot, rows: rowsOf(snapshot) };
}

async function cacheStats(wanted: string): Promise<Numbers> {
  const server = showAddress(parseAddress(wanted, "--cache", { port: 11_211 }));
  const client = new CacheClient({ servers: [server], timeout: ANSWER_MS_MAX });
  try {
    const [stats = new Map<string, string>()] = (await client.stats()).values();
    return { json: Object.fromEntries(stats), rows: [...stats] };
  } finally {
    await client.close();
  }
}

function rowsOf({ upMs, residentBytes, problems, cache, queue, link }: WholeSnapshot): Rows {
  const rows: [string, string][] = [
    ["up", showDuration(upMs)],
    ["memory", showSize(residentBytes)],
    ...problems.map(({ text }): [string, string] => ["problem", text]),
  ];
  if (cache) {
    const ratio = cache.totals.gets === 0 ? "" : `, ${((100 * cache.totals.hits) / cache.totals.gets).toFixed(1)} % hits`;
    rows.push(
      ["cache", cache.address],
      ["  items", `${cache.items} in ${showSize(cache.bytes)} of ${showSize(cache.limitBytes)}`],
      ["  gets", `${cache.totals.gets}${ratio}, ${cache.getsPerSecond.toFixed(0)}/s`],
      ["  sets", `${cache.totals.sets}, ${cache.setsPerSecond.toFixed(0)}/s`],
      ["  evictions", String(cache.totals.evictions)],
    );
  }
  if (queue) {
    rows.push(
      ["queue", queue.address],
      ...clusterRows(queue.cluster),
      ["  tasks", `${queue.tasks} in ${showSize(queue.bytes)}`],
      ["  workers", String(queue.workers)],
    );
    for (const { name, states } of queue.queues) rows.push([`  ${name}`, shownStates(states)]);
  }
  if (link) rows.push(["link", link.address], ["  open", `${link.open} of ${link.accepted} accepted`]);
  return rows;
}

function clusterRows(cluster: NonNullable<WholeSnapshot["queue"]>["cluster"]): [string, string][] {
  if (!cluster) return [];
  const { group, role, epoch, sequence, lag, leader } = cluster;
  const part = role === "leading" ? "leading" : `${role}, leader ${leader === "" ? "unknown" : leader}`;
  return [[`  group`, `${group}: ${part}; term ${epoch}, log ${sequence}${lag > 0 ? `, ${lag} behind` : ""}`]];
}

function shownStates(states: object): string {
  const there = Object.entries(states).filter(([, count]) => count > 0);
  return there.length === 0 ? "empty" : there.map(([state, count]) => `${count} ${state}`).join(", ");
}

function table(rows: Rows): string {
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.map(([name, value]) => `${name.padEnd(width)}${value}\n`).join("");
}
