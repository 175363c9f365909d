/** ● `holdfast queue check`: what of a store's files is whole, and what is not; with --salvage a fresh store of what is whole. */
import { checkStore, type StoreCheck } from "../../queue/index.ts";
import { flags, parse } from "../shared/flags.ts";
import { printTable } from "../shared/print-table.ts";

interface Flags {
  readonly salvage?: boolean;
  readonly json?: boolean;
}

export async function run(argv: readonly string[]): Promise<number> {
  const command = flags(
    "queue check",
    "Reads all of a store that no broker uses, and says what is whole and what is damaged; exits with 1 when something is damaged",
  )
    .argument("<folder>", "the store's folder, as --data names it")
    .option("--salvage", "write a fresh store of what is whole; the old files are kept under another name")
    .option("--json", "print JSON");
  if (!(await parse(command, argv))) return 0;
  const { salvage = false, json = false } = command.opts<Flags>();
  const [folder] = command.processedArgs as [string];
  const check = await checkStore(folder, { salvage });
  if (json) process.stdout.write(`${JSON.stringify(check)}\n`);
  else print(check);
  return salvage || isWhole(check) ? 0 : 1;
}

function isWhole({ refused, queues, unknown, settings, pages }: StoreCheck): boolean {
  return refused === undefined && queues.every(({ damaged }) => damaged === 0) && unknown + settings + pages === 0;
}

function print(check: StoreCheck): void {
  const { refused, queues, unknown, settings, pages, kept } = check;
  printTable([["QUEUE", "WHOLE", "DAMAGED"], ...queues.map(({ name, whole, damaged }) => [name, `${whole}`, `${damaged}`])]);
  const lines = [
    unknown > 0 ? `${unknown} damaged tasks of which not even the queue is known` : "",
    settings > 0 ? `${settings} damaged settings or schedules` : "",
    pages > 0 ? `${pages} pages of the file hold nothing that can be read; tasks may have been there` : "",
    refused === undefined ? "" : `a broker refused this store: ${refused}`,
    kept === undefined ? "" : `what is whole is in place; the old file is kept as ${kept}`,
    isWhole(check) ? "all of it is whole" : "",
  ];
  for (const line of lines) if (line !== "") process.stdout.write(`${line}\n`);
}
