/**
 * ● Writes what is known of the command, from the table of commands (src/cli/commands.ts), each command's --help and the settings of
 * the parts (src/settings/parts.ts): docs/cli.md, docs/settings.md, the
 * man page and the shells' completions. Run after a flag has changed: `npm run cli-docs`. A test fails while they differ
 * (test/repo/cli-docs.test.ts).
 */
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { HOLDFAST } from "../src/cli/commands.ts";
import { CLIENT, CONNECT, PARTS, WORK } from "../src/settings/parts.ts";
import { type NamedSetting, namedSettings, type Table } from "../src/settings/table.ts";

const root = join(import.meta.dirname, "..");
const execute = promisify(execFile);

interface CommandHelp {
  /** "queue add" */
  readonly name: string;
  readonly summary: string;
  readonly help: string;
}

/** Help texts of all commands and their subcommands, in the order in which the command lists them. */
export async function commandHelps(): Promise<CommandHelp[]> {
  const found: CommandHelp[] = [];
  for (const entry of HOLDFAST.commands) {
    const named =
      "commands" in entry ? entry.commands.map((below) => ({ ...below, name: `${entry.name} ${below.name}` })) : [entry];
    const helps = named.map(async ({ name, summary }) => ({ name, summary, help: await helpOf(name.split(" ")) }));
    found.push(...(await Promise.all(helps)));
  }
  return found;
}

/** The files that this script keeps, by their path in the repository. */
export function filesOf(helps: readonly CommandHelp[]): Record<string, string> {
  return {
    "docs/cli.md": page(helps),
    "docs/settings.md": settingsPage(),
    "deploy/holdfast.1": manual(helps),
    "deploy/completions/holdfast.bash": bash(helps),
    "deploy/completions/_holdfast": zsh(helps),
    "deploy/completions/holdfast.fish": fish(helps),
  };
}

async function helpOf(words: readonly string[]): Promise<string> {
  const env = { ...process.env, COLUMNS: "100", NO_COLOR: "1" };
  const { stdout } = await execute(join(root, "bin/holdfast"), [...words, "--help"], { env });
  return stdout.trimEnd();
}

function longFlags(help: string): string[] {
  return [...new Set([...help.matchAll(/(?:^|[\s,])(--[a-z][a-z-]*)/gm)].map((match) => match[1]!))].sort();
}

function page(helps: readonly CommandHelp[]): string {
  const sections = helps.map(
    ({ name, summary, help }) => `## holdfast ${name}\n\n${capital(summary)}.\n\n\`\`\`text\n${help}\n\`\`\`\n`,
  );
  const intro =
    "# The command\n\nEvery command and flag, as `--help` shows them. Data goes to stdout, messages to stderr; exit codes are 0 done, 1 failed, 2 wrong usage.\n";
  return [intro, ...sections].join("\n");
}

function settingsPage(): string {
  const servers = PARTS.map((table) => {
    const alone = new Map(RUN_ALONE.has(table.part) ? namedSettings(table, true).map(({ key, flag }) => [key, flag]) : []);
    return settingsTable(table, "flag of `holdfast up`", ({ key, ...named }) => {
      const own = alone.get(key);
      const flag = flagOf(named);
      return own === undefined || own === "" || own === named.flag ? flag : `${flag} (alone \`--${own}\`)`;
    });
  });
  const clients = CLIENT_TABLES.map(([table, commands]) =>
    settingsTable(table, `flag of ${commands}`, flagOf, namedSettings(table, true)),
  );
  return [SETTINGS_INTRO, ...servers, ...clients].join("\n");
}

function flagOf({ flag, setting }: Pick<NamedSetting, "flag" | "setting">): string {
  return `\`--${flag}${setting.onlyInFile ? "-file" : ""}\``;
}

function settingsTable(
  table: Table,
  head: string,
  flagsOf: (named: NamedSetting) => string,
  all: readonly NamedSetting[] = namedSettings(table, false),
): string {
  const rows = all.map((named) => {
    const { text, default: usual, onlyInFile } = named.setting;
    const [inFile, variable] = onlyInFile ? [`${named.name}File`, `${named.variable}_FILE`] : [named.name, named.variable];
    return `| \`${inFile}\` | ${flagsOf(named)} | \`${variable}\` | ${usual === undefined ? "" : `\`${usual}\``} | ${capital(text)} |`;
  });
  const columns = `| in a file | ${head} | environment | default | what it is |\n| --- | --- | --- | --- | --- |`;
  return `## ${capital(table.part)}\n\n${columns}\n${rows.join("\n")}\n`;
}

/** Settings of commands that ask a server. */
const CLIENT_TABLES: readonly (readonly [Table, string])[] = [
  [CLIENT, "`holdfast queue …` and `work`"],
  [WORK, "`holdfast work`"],
  [CONNECT, "`holdfast connect`"],
];

/** Parts with a command of their own that has these flags: `queue serve`, `listen`. */
const RUN_ALONE: ReadonlySet<string> = new Set(["queue", "link"]);

const SETTINGS_INTRO = `# Settings

A flag comes before the environment, that before the file of \`--config\` or \`HOLDFAST_CONFIG\`, that before the default.
\`holdfast config show\` says what each setting comes to and who says so, \`holdfast config check FILE\` whether a file is right,
\`holdfast config schema\` prints the JSON Schema of such files for an editor.

\`\`\`json
{ "cache": { "memory": "256m" }, "queue": { "listen": ["tcp://127.0.0.1:5555", "ipc:///run/holdfast"], "sync": "group" } }
\`\`\`

One file may be that of all processes: each command takes its own parts of it, and refuses a name that no command knows. An editor
completes and checks such a file when it knows the schema:

\`\`\`sh fragment
holdfast config schema > holdfast.schema.json
\`\`\`

\`\`\`json
{ "$schema": "./holdfast.schema.json", "cache": { "threads": 4 } }
\`\`\`

Visual Studio Code and JetBrains' editors read \`$schema\` by themselves; elsewhere name the schema in the editor's own settings
(\`json.schemas\`, \`yaml.schemas\`).

Where one part runs alone (\`holdfast queue serve\`, \`holdfast listen\`) the flags do not name it: \`--max-bytes\`. \`holdfast cache\` takes
memcached's own flags, those of the page and of the log. A secret may also lie in a file, whose first line it is (\`--dashboard-token-file\`,
\`HOLDFAST_DASHBOARD_TOKEN_FILE\`, \`dashboard.tokenFile\`), or be a systemd credential named as in a file (\`LoadCredential=dashboard.token:PATH\`):
the list of processes shows neither.
`;

function manual(helps: readonly CommandHelp[]): string {
  const roff = (text: string): string =>
    text
      .replaceAll("\\", "\\e")
      .replaceAll("-", "\\-")
      .replaceAll(/^([.'])/gm, "\\&$1");
  const sections = helps.map(({ name, help }) => `.SS "holdfast ${name}"\n.nf\n${roff(help)}\n.fi\n`);
  const head = [
    '.TH HOLDFAST 1 "" "" "Holdfast"',
    ".SH NAME",
    `holdfast \\- ${HOLDFAST.summary}`,
    ".SH SYNOPSIS",
    ".B holdfast",
    ".I COMMAND",
    "[flags]",
    ".SH COMMANDS",
  ];
  const tail = [".SH EXIT STATUS", "0 done, 1 failed, 2 wrong usage.", ""];
  return `${head.join("\n")}\n${sections.join("")}${tail.join("\n")}`;
}

function bash(helps: readonly CommandHelp[]): string {
  const cases = helps.map(({ name, help }) => `    "${name}") words="${longFlags(help).join(" ")}" ;;`);
  const subs = [...parents(helps)].map(([name, words]) => `    ${name}) words="${words.join(" ")}" ;;`);
  return `# bash completion for holdfast; source it, or copy it to /usr/share/bash-completion/completions/holdfast
_holdfast() {
  local current=\${COMP_WORDS[COMP_CWORD]} words="" command="\${COMP_WORDS[1]}"
  case "$command" in ${[...parents(helps).keys()].join("|")}) command="$command \${COMP_WORDS[2]}" ;; esac
  if ((COMP_CWORD == 1)); then
    words="${topLevel(helps).join(" ")}"
  elif ((COMP_CWORD == 2)) && [[ $command == *" "* ]]; then
    case "\${COMP_WORDS[1]}" in
${subs.join("\n")}
    esac
  elif [[ $current == -* ]]; then
    case "$command" in
${cases.join("\n")}
    esac
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _holdfast holdfast
`;
}

function zsh(helps: readonly CommandHelp[]): string {
  const cases = helps.map(({ name, help }) => `    "${name}") compadd -- ${longFlags(help).join(" ")} ;;`);
  const subs = [...parents(helps)].map(([name, words]) => `    ${name}) compadd -- ${words.join(" ")} ;;`);
  return `#compdef holdfast
local command="$words[2]"
case "$command" in ${[...parents(helps).keys()].join("|")}) command="$command $words[3]" ;; esac
if ((CURRENT == 2)); then
  compadd -- ${topLevel(helps).join(" ")}
elif ((CURRENT == 3)) && [[ $command == *" "* ]]; then
  case "$words[2]" in
${subs.join("\n")}
  esac
elif [[ $PREFIX == -* ]]; then
  case "$command" in
${cases.join("\n")}
  esac
else
  _files
fi
`;
}

function fish(helps: readonly CommandHelp[]): string {
  const lines = [`complete -c holdfast -n __fish_use_subcommand -xa "${topLevel(helps).join(" ")}"`];
  for (const [name, words] of parents(helps)) {
    const none = `__fish_seen_subcommand_from ${name}; and not __fish_seen_subcommand_from ${words.join(" ")}`;
    lines.push(`complete -c holdfast -n "${none}" -xa "${words.join(" ")}"`);
  }
  for (const { name, help } of helps) {
    const seen = name.split(" ").map((word) => `__fish_seen_subcommand_from ${word}`);
    for (const flag of longFlags(help)) lines.push(`complete -c holdfast -n "${seen.join("; and ")}" -l ${flag.slice(2)}`);
  }
  return `# fish completion for holdfast; copy it to ~/.config/fish/completions\n${lines.join("\n")}\n`;
}

function topLevel(helps: readonly CommandHelp[]): string[] {
  return [...new Set(helps.map(({ name }) => name.split(" ")[0]!))];
}

/** Commands that have subcommands → those. */
function parents(helps: readonly CommandHelp[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { name } of helps) {
    const [first, second] = name.split(" ");
    if (second !== undefined) found.set(first!, [...(found.get(first!) ?? []), second]);
  }
  return found;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What stands in the repository now; empty where there is no such file yet. */
export function kept(path: string): string {
  try {
    return readFileSync(join(root, path), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

if (import.meta.main) {
  for (const [path, text] of Object.entries(filesOf(await commandHelps()))) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}
