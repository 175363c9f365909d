/**
 * ○ Which value a setting has: a flag comes before the environment, that before the file, that before the default. A secret is also
 * looked for in the file that `…File` names, at each of these places, and among systemd's credentials, before the default.
 */
import { UsageError } from "../core/errors.ts";
import { nearest } from "../core/nearest.ts";
import type { NamedSetting } from "./table.ts";

/** Where values come from. */
export interface Sources {
  /** By the flag's name, without dashes. */
  readonly flags: Readonly<Record<string, readonly string[]>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The settings file, read; undefined without one. */
  readonly file: { readonly path: string; readonly content: unknown } | undefined;
  /** The first line of a file; undefined when the path is. @throws UsageError when it cannot be read */
  readonly firstLine: (path: string, name: string) => string;
  /** The systemd credential with this name. */
  readonly credential: (name: string) => string | undefined;
}

/** A value, and who said so. */
export interface ResolvedSetting {
  readonly named: NamedSetting;
  /** undefined: nobody said anything, and there is no default. */
  readonly value: unknown;
  /** "--flag", "HOLDFAST_NAME", "file PATH", "credential NAME", "default". */
  readonly from: string;
}

interface Given {
  readonly texts: readonly string[];
  readonly from: string;
}

/**
 * @param known all that a file may say: one file is that of all processes, of which each takes its own part
 * @throws UsageError SETTING_INVALID, SETTING_UNKNOWN (a name in the file that is no setting)
 */
export function resolve(
  all: readonly NamedSetting[],
  sources: Sources,
  known: readonly NamedSetting[] = all,
): ResolvedSetting[] {
  const inFile = fileValues(known, sources.file);
  return all.map((named) => {
    const { kind, default: usual } = named.setting;
    const given =
      flag(named, sources) ??
      variable(named, sources) ??
      fromFile(named, sources, inFile) ??
      credential(named, sources) ??
      (usual === undefined ? undefined : { texts: [usual], from: "default" });
    if (given === undefined) return { named, value: undefined, from: "default" };
    const where = given.from.startsWith("-") || given.from.startsWith("H") ? given.from : named.name;
    return { named, value: kind.read(given.texts, where), from: given.from };
  });
}

function flag({ flag: name, setting }: NamedSetting, { flags, firstLine }: Sources): Given | undefined {
  const texts = flags[name];
  if (texts !== undefined) return { texts, from: `--${name}` };
  const path = setting.kind.isSecret ? flags[`${name}-file`]?.[0] : undefined;
  return path === undefined ? undefined : { texts: [firstLine(path, `--${name}-file`)], from: `--${name}-file` };
}

function variable({ variable: name, setting }: NamedSetting, { environment, firstLine }: Sources): Given | undefined {
  const given = environment[name];
  if (given !== undefined) return { texts: [given], from: name };
  const path = setting.kind.isSecret ? environment[`${name}_FILE`] : undefined;
  return path === undefined ? undefined : { texts: [firstLine(path, `${name}_FILE`)], from: `${name}_FILE` };
}

function fromFile({ name, setting }: NamedSetting, { file, firstLine }: Sources, values: FileValues): Given | undefined {
  const from = `file ${file?.path ?? ""}`;
  const texts = values.get(name);
  if (texts !== undefined) return { texts, from };
  const path = setting.kind.isSecret ? values.get(`${name}File`)?.[0] : undefined;
  return path === undefined ? undefined : { texts: [firstLine(path, `${name}File`)], from: `${from} (${name}File)` };
}

function credential({ name, setting }: NamedSetting, { credential: read }: Sources): Given | undefined {
  const found = setting.kind.isSecret ? read(name) : undefined;
  return found === undefined ? undefined : { texts: [found], from: `credential ${name}` };
}

type FileValues = ReadonlyMap<string, readonly string[]>;

/** The file's values by their full names. @throws UsageError */
function fileValues(all: readonly NamedSetting[], file: Sources["file"]): FileValues {
  const values = new Map<string, readonly string[]>();
  if (file === undefined) return values;
  const known = new Set(all.flatMap(({ name, setting }) => (setting.kind.isSecret ? [name, `${name}File`] : [name])));
  const parts = new Set(all.map(({ part }) => part));
  for (const [part, settings] of entries(file.content, file.path)) {
    if (part === "$schema") continue;
    if (!parts.has(part)) throw unknown(part, file.path, parts);
    for (const [key, value] of entries(settings, `'${part}' in ${file.path}`)) {
      const name = `${part}.${key}`;
      if (!known.has(name)) throw unknown(name, file.path, known);
      if (value !== null) values.set(name, texts(value, name, file.path));
    }
  }
  return values;
}

function entries(value: unknown, where: string): [string, unknown][] {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return Object.entries(value);
  throw new UsageError("SETTING_INVALID", `Cannot read ${where}: it must be a JSON object`);
}

function texts(value: unknown, name: string, path: string): readonly string[] {
  const all: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (all.length > 0 && all.every((each) => ["string", "number", "boolean"].includes(typeof each))) return all.map(String);
  throw new UsageError(
    "SETTING_INVALID",
    `Cannot use ${name} in ${path}: it must be a text, a number, true, false or a list of texts`,
  );
}

function unknown(name: string, path: string, known: ReadonlySet<string>): UsageError {
  const like = nearest(name, known);
  return new UsageError(
    "SETTING_UNKNOWN",
    `Cannot use ${path}: there is no setting '${name}'${like === undefined ? "" : `; is it ${like}?`}`,
  );
}
