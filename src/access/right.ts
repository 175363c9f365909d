/**
 * ○ A right, as the access file writes it: `queue:add:shop.*` is to add to queues whose names begin with "shop.". Part, actions (several
 * with commas between) and a pattern of names, in which `*` stands for any characters; `*` in place of all is every right.
 */
import { UsageError } from "../core/errors.ts";
import { nearest } from "../core/nearest.ts";

/** What can be done to what has a name, by parts. */
export const ACTIONS = {
  /** Names of queues. `manage` has what changes tasks and what removes them. */
  queue: ["add", "see", "work", "manage"],
  /** Keys. `manage`: statistics, flush_all and all other commands that are of no key. */
  cache: ["read", "write", "manage"],
  /** The page, with everything that it shows of all parts, and the metrics. */
  dashboard: ["see"],
} as const;

export type AccessPart = keyof typeof ACTIONS;
/** "queue:add" */
export type Action = { [P in AccessPart]: `${P}:${(typeof ACTIONS)[P][number]}` }[AccessPart];

/** One line of a role. */
export interface Grant {
  /** As it stands in the file. */
  readonly text: string;
  readonly actions: ReadonlySet<Action>;
  readonly isForAll: boolean;
  matches(name: string): boolean;
}

const PARTS = Object.keys(ACTIONS) as AccessPart[];
const EVERY: readonly Action[] = PARTS.flatMap((part) => actionsOf(part));

/** @param where for the error: "access.json, roles.shop[1]" @throws UsageError ACCESS_FILE_INVALID */
export function readGrant(text: string, where: string): Grant {
  const wrong = (why: string): UsageError => new UsageError("ACCESS_FILE_INVALID", `Cannot use ${where} '${text}': ${why}`);
  if (text === "*") return { text, actions: new Set(EVERY), isForAll: true, matches: () => true };
  const { part, actions, name } = split(text);
  if (!actions || !name) throw wrong("a right is written PART:ACTION:NAMES, such as queue:add:shop.*");
  const known = PARTS.find((each) => each === part);
  if (!known) throw wrong(`there is no part '${part}'${meant(part, PARTS)}; the parts are ${PARTS.join(", ")}`);
  const words: readonly string[] = ACTIONS[known];
  const all = actions === "*" ? words : actions.split(",");
  for (const action of all) {
    if (!words.includes(action))
      throw wrong(`there is no '${action}' for ${known}${meant(action, words)}; the actions are ${words.join(", ")}`);
  }
  const set = new Set(all.map((action) => `${known}:${action}` as Action));
  return { text, actions: set, isForAll: /^\*+$/.test(name), matches: matcher(name) };
}

/**
 * The right that is asked for: one action, one name.
 *
 * @throws UsageError CLI_USAGE
 */
export function readAsked(text: string): { readonly action: Action; readonly name: string } {
  const { part, actions, name } = split(text);
  const action = EVERY.find((each) => each === `${part}:${actions}`);
  if (action && name) return { action, name };
  throw new UsageError(
    "CLI_USAGE",
    `Cannot check '${text}': it must be PART:ACTION:NAME, such as queue:add:emails; the first two are one of ${EVERY.join(", ")}`,
  );
}

function split(text: string): { part: string; actions: string; name: string } {
  const [part = "", actions = ""] = text.split(":", 2);
  return { part, actions, name: text.slice(part.length + actions.length + 2) };
}

function actionsOf(part: AccessPart): Action[] {
  return ACTIONS[part].map((action) => `${part}:${action}` as Action);
}

function meant(word: string, known: readonly string[]): string {
  const like = nearest(word, known);
  return like === undefined ? "" : `; is it '${like}'?`;
}

/** Without backtracking: each piece is looked for behind the one before, the last at the end. */
function matcher(pattern: string): (name: string) => boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return (name) => name === pattern;
  if (rest.length === 0 && last === "") return (name) => name.startsWith(first);
  return (name) => {
    if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false;
    let at = first.length;
    for (const piece of rest) {
      const found = name.indexOf(piece, at);
      if (found < 0) return false;
      at = found + piece.length;
    }
    return at <= name.length - last.length;
  };
}
