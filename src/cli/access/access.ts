/** ● `holdfast access`: whether a user may do something and why, and the JSON Schema of access files. */
import { AccessControl } from "../../access/access-control.ts";
import type { AccessTable } from "../../access/access-table.ts";
import { accessSchema } from "../../access/json-schema.ts";
import { readAsked } from "../../access/right.ts";
import { UsageError } from "../../core/errors.ts";
import { ACCESS } from "../../settings/parts.ts";
import { flags, parse } from "../shared/flags.ts";
import { readSettings, settingFlags } from "../shared/setting-flags.ts";

const SETTINGS = { tables: [ACCESS], alone: true } as const;

/** Exit code 0: yes; 1: no. */
export async function check(argv: readonly string[]): Promise<number> {
  const command = settingFlags(flags("access check", "Says whether a user may do something, and why"), SETTINGS)
    .argument("<user>", "a user of the access file; '*' is whoever comes")
    .argument("<right>", "PART:ACTION:NAME, such as queue:add:emails")
    .option("--json", "print JSON");
  if (!(await parse(command, argv))) return 0;
  const { access } = readSettings(command, SETTINGS);
  if (access.file === undefined)
    throw new UsageError("CLI_USAGE", "Nothing to check: give --access FILE, or set HOLDFAST_ACCESS");
  const [user, right] = command.processedArgs as [string, string];
  const { action, name } = readAsked(right);
  const { table } = new AccessControl(access.file);
  const why = table.explain(user, action, name);
  const isKnown = table.has(user);
  if (command.opts<{ json?: true }>().json === true) {
    const { isAllowed, user: whose, role, row } = why;
    process.stdout.write(`${JSON.stringify({ user, right, allowed: isAllowed, known: isKnown, by: whose, role, row })}\n`);
  } else if (why.isAllowed) {
    const whose = why.user === user ? user : `everybody (${why.user})`;
    process.stdout.write(`yes: ${whose} has the role '${why.role}', which has ${why.row}\n`);
  } else {
    const own = rolesOf(table, user);
    const everybody = rolesOf(table, "*");
    const whose = isKnown
      ? `of the roles of ${user} (${own}${user === "*" ? "" : `, and of everybody ${everybody}`})`
      : `${access.file} has no user '${user}', and of the roles of everybody (${everybody})`;
    process.stdout.write(`no: ${whose} none has ${right}\n`);
  }
  return why.isAllowed ? 0 : 1;
}

function rolesOf(table: AccessTable, user: string): string {
  return table.users.find(({ name }) => name === user)?.roles.join(", ") || "none";
}

export async function schema(argv: readonly string[]): Promise<number> {
  const command = flags("access schema", "Prints the JSON Schema of access files, for editors");
  if (!(await parse(command, argv))) return 0;
  process.stdout.write(`${JSON.stringify(accessSchema(), undefined, 2)}\n`);
  return 0;
}
