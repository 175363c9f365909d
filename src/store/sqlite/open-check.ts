/**
 * ● Looks at a database before anything is written to it: its structure, which SQLite would otherwise rely on, that no acknowledged
 * commit is missing, and the settings, which are of no one task. What is damaged in a task is found when that task is read.
 * The files stay as they are, for whoever salvages them.
 */
import { DatabaseSync } from "node:sqlite";
import { statSync } from "node:fs";
import { acknowledgedCommits } from "./acknowledged.ts";
import { corrupt, isWholeSetting, SCHEMA_VERSION } from "./schema.ts";

/** 350 ms a million small tasks. @throws ProtocolError QUEUE_STORE_CORRUPT, or SQLite's error */
export function checkBeforeUse(file: string): void {
  if (!statSync(file, { throwIfNoEntry: false })) {
    const acknowledged = acknowledgedCommits(file);
    if (acknowledged > 0) throw corrupt(file, `it is gone, with ${acknowledged} acknowledged commits`);
    return;
  }
  const database = new DatabaseSync(file, { readOnly: true, timeout: 0 });
  try {
    const { user_version: version } = database.prepare("PRAGMA user_version").get() as { user_version: number };
    if (version > SCHEMA_VERSION) throw corrupt(file, `it was written by a newer version (${version})`);
    const [first] = database.prepare("PRAGMA quick_check(1)").all() as { quick_check: string }[];
    if (first?.quick_check !== "ok") throw corrupt(file, `its structure is damaged (${firstFault(first?.quick_check)})`);
    checkCommits(file, version === 0 ? 0 : checkSettings(file, database, version));
  } finally {
    database.close();
  }
}

/** @returns how many commits it knows */
function checkSettings(file: string, database: DatabaseSync, version: number): number {
  let commits = 0;
  const sum = version > 1 ? "sum" : "NULL AS sum";
  for (const row of database.prepare(`SELECT name, value, ${sum} FROM setting`).all()) {
    const { name, value, sum: written } = row as { name: string; value: string; sum: number | null };
    if (!isWholeSetting(name, value, written)) throw corrupt(file, `its setting '${name}' is not what was written`);
    if (name === "commits") commits = Number(value);
  }
  return commits;
}

function checkCommits(file: string, commits: number): void {
  const acknowledged = acknowledgedCommits(file);
  if (commits >= acknowledged) return;
  const cause = `its log (${file}-wal) is damaged or gone, or this is an older copy`;
  throw corrupt(
    file,
    `the last ${acknowledged - commits} of ${acknowledged} acknowledged commits are missing from it (${cause})`,
  );
}

/** SQLite says in which database first, and then what. */
function firstFault(text = ""): string {
  return text.split("\n").find((line) => !line.startsWith("***")) ?? "no reason given";
}
