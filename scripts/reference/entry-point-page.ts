/** ○ An entry point's page of the reference, from what TypeScript says of it. */
import type { Entry } from "./entries.ts";

/**
 * @param title what the entry point is, and where its use is explained
 * @param entries everything that it exports
 */
export function entryPointPage(entryPoint: string, title: string, entries: readonly Entry[]): string {
  const sections: readonly (readonly [string, readonly Entry[]])[] = [
    ["Functions", entries.filter(({ kind }) => kind === "function")],
    ["Classes", entries.filter(({ kind }) => kind === "class")],
    ["Options and other shapes", entries.filter(({ kind }) => kind === "interface")],
    ["Types and constants", entries.filter(({ kind }) => kind === "type" || kind === "constant")],
  ];
  const known = new Set(entries.map(({ name }) => name));
  const parts = sections
    .filter(([, list]) => list.length > 0)
    .map(
      ([title, list]) =>
        `## ${title}\n\n${list
          .toSorted((a, b) => a.name.localeCompare(b.name))
          .map((entry) => section(entry, known))
          .join("\n")}`,
    );
  const intro = `Everything that \`holdfast/${entryPoint}\` exports: ${title}. Made from the sources by \`npm run reference\`. Errors are explained in [errors.md](errors.md).`;
  return `# holdfast/${entryPoint}: reference\n\n${intro}\n\n${parts.join("\n")}`;
}

function section({ name, text, tags, code, members, from }: Entry, known: ReadonlySet<string>): string {
  const lines = [`### ${name}\n`];
  if (text !== "") lines.push(`${paragraph(text)}\n`);
  if (code.length > 0) lines.push(`\`\`\`ts fragment\n${code.join("\n")}\n\`\`\`\n`);
  for (const tag of tags.filter((each) => each.name === "param")) lines.push(`- ${parameter(tag.text)}`);
  for (const tag of tags.filter((each) => each.name === "returns" || each.name === "throws"))
    lines.push(`- ${tag.name === "returns" ? "**returns**" : "**throws**"} ${linked(oneLine(tag.text))}`);
  if (tags.some((each) => ["param", "returns", "throws"].includes(each.name))) lines.push("");
  for (const tag of tags.filter((each) => each.name === "example"))
    lines.push(`\`\`\`ts fragment\n${tag.text.trim()}\n\`\`\`\n`);
  if (members.length > 0) {
    const rows = members.map((member) => [
      `\`${member.name}${member.optional ? "?" : ""}\``,
      typeText(member.type, known),
      linked(oneLine(member.text)),
    ]);
    lines.push(`${table(["name", "type", "what"], rows)}\n`);
  }
  if (from.length > 0)
    lines.push(
      `And what ${from.map((base) => `[\`${base}\`](#${base.toLowerCase()})`).join(", ")} ${from.length > 1 ? "have" : "has"}.\n`,
    );
  return lines.join("\n");
}

/** Types of the same entry point become links. */
function typeText(type: string, known: ReadonlySet<string>): string {
  const single = /^\w+$/.exec(type)?.[0];
  if (single !== undefined && known.has(single)) return `[\`${single}\`](#${single.toLowerCase()})`;
  return `\`${type.replaceAll("|", "\\|")}\``;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function parameter(text: string): string {
  const [, name, rest] = /^(\S+)\s*-?\s*([\s\S]*)$/.exec(text) ?? [];
  return `\`${name}\` ${linked(oneLine(rest ?? ""))}`;
}

/** Codes lead to their explanation. */
function linked(text: string): string {
  return text.replaceAll(/(?<![`\w/[])([A-Z]+_[A-Z0-9_]+[A-Z0-9])(?![`\w])/g, (code) =>
    /^(CACHE|QUEUE|LINK|ZMQ|ERR_ZMTP|UNIT|ADDRESS|DASHBOARD)_/.test(code) ? `[${code}](errors.md#${code.toLowerCase()})` : code,
  );
}

function paragraph(text: string): string {
  return linked(text.trim());
}

function oneLine(text: string): string {
  return text
    .trim()
    .replaceAll(/\s*\n\s*/g, " ")
    .replaceAll("|", "\\|");
}
