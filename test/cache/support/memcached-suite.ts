/**
 * memcached's own test files (t/*.t, in Perl), run against `holdfast cache`. They launch a binary beside them by name, so a shim of
 * that name is made in a scratch folder when they run; nothing of theirs is kept. A file is run alone in a namespace where that is
 * permitted, because several want port 11211, and the files run side by side. Whatever a file leaves running ends with it.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { text } from "node:stream/consumers";
import { COMPILE_CACHE, HOLDFAST } from "../../../bench/support/process.ts";
import { codeOf } from "../../../src/core/errors.ts";
import { ownNamespace } from "../../support/namespace.ts";

/** 240 s: the longest file takes a tenth of that on a machine with nothing else to do. */
const FILE_MS_MAX = 240_000;

/** Why a file of theirs says nothing about a cache server that is not theirs; the first pattern that matches a file's name counts. */
const NOT_APPLICABLE: readonly (readonly [RegExp, string])[] = [
  [/^proxy/, "the proxy's Lua interface, a program of its own inside memcached"],
  [/extstore/, "extstore, memcached's store on flash"],
  [/^misbehave\.t$/, "privileges dropped through seccomp, in builds made for it"],
  [/^(issue_140|issue_260|refhang|slabhang)\.t$/, "skipped by its own first line, for memcached too"],
  [
    /^binary-sasl\.t$/,
    "Cyrus SASL's own database of passwords; SASL PLAIN has tests here (test/cache/protocol/binary.test.ts)",
  ],
  [/^(line-lengths|whitespace)\.t$/, "the style of memcached's source files"],
];

/** What came of one file. */
export type Outcome = "passes" | "fails" | "skips itself";

export interface FileResult {
  readonly outcome: Outcome;
  /** Assertions that the file made. */
  readonly assertions: number;
  /** What prove printed: the assertions that failed and why. */
  readonly output: string;
}

/** Why a file does not apply, or undefined for one that does. */
export function notApplicable(file: string): string | undefined {
  return NOT_APPLICABLE.find(([pattern]) => pattern.test(file))?.[1];
}

/** A copy of memcached's tests whose binary is ours. */
export interface Suite {
  readonly folder: string;
  /** Names of the files: "getset.t". */
  readonly files: readonly string[];
}

/**
 * Lays out a folder that their tests can run in.
 *
 * @param source a tree of memcached's sources
 * @param binary a command line to test in place of `holdfast cache`
 */
export function makeSuite(source: string, binary: readonly string[] = [...HOLDFAST, "cache"]): Suite {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-conformance-"));
  cpSync(join(source, "t"), join(folder, "t"), { recursive: true });
  // Keys and users as their checkout has them are open to all.
  for (const key of globSync([join(folder, "t/*.pem"), join(folder, "t/authfile*")])) chmodSync(key, 0o600);
  mkdirSync(join(folder, "doc"));
  // Not into prove's own pipe: Node makes a pipe non-blocking, and then prove's tests lose lines of theirs. `-h` alone is to be read.
  const run = `export NODE_COMPILE_CACHE='${COMPILE_CACHE}'\nexec ${binary.map((word) => `'${word}'`).join(" ")} "$@"`;
  script(join(folder, "memcached-debug"), `[ $# -gt 1 ] && exec >>"$0.log" 2>&1\n${run}`);
  script(join(folder, "timedrun"), `shift\nexec "$@"`);
  return {
    folder,
    files: readdirSync(join(folder, "t"))
      .filter((name) => name.endsWith(".t"))
      .sort(),
  };
}

function script(path: string, body: string): void {
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
}

/** Whether a file can only run where memcached's own port is free: in a namespace, unless nothing else runs on this machine. */
export function needsPort({ folder }: Suite, file: string): boolean {
  return /\b11211\b/.test(readFileSync(join(folder, "t", file), "utf8")) || file === "issue_67.t";
}

/** Their tests write /tmp/ports.PID: files that run side by side, each with process numbers of its own, must not meet there. */
let firstPid = 1000;

interface FileOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Words before the command that give it a namespace of its own. */
  readonly namespace?: readonly string[] | undefined;
}

/** Runs one file with prove. */
export async function runFile(
  { folder }: Suite,
  file: string,
  { env = {}, namespace = ownNamespace() }: FileOptions = {},
): Promise<FileResult> {
  const [command, ...args] = [
    ...(namespace ?? []),
    "sh",
    "-c",
    `umask 077; ${namespace?.length ? `ip link set lo up; echo ${(firstPid += 500)} > /proc/sys/kernel/ns_last_pid; ` : ""}prove --nocolor --verbose 't/${file}' 2>&1`,
  ];
  // Without a namespace whose processes end with its first one: a process group.
  const detached = (namespace ?? []).length === 0;
  const stdio = ["ignore", "pipe", "ignore"] as const;
  const child = spawn(command!, args, { cwd: folder, env: { ...process.env, ...env }, stdio: [...stdio], detached });
  const kill = (): void => {
    if (!detached) child.kill("SIGKILL");
    else if (isRunning(-child.pid!)) process.kill(-child.pid!, "SIGKILL");
  };
  const late = setTimeout(kill, FILE_MS_MAX);
  const output = text(child.stdout!);
  const [code] = (await once(child, "exit")) as [number | null];
  clearTimeout(late);
  kill();
  return { outcome: outcomeOf(code, await output), ...summarise(await output) };
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    if (codeOf(error) === "ESRCH") return false;
    throw error;
  }
}

function outcomeOf(code: number | null, output: string): Outcome {
  if (code !== 0) return "fails";
  return /^Result: NOTESTS/m.test(output) ? "skips itself" : "passes";
}

function summarise(output: string): Omit<FileResult, "outcome"> {
  const lines = output.split("\n");
  return {
    assertions: lines.filter((line) => /^(not )?ok \d+/.test(line)).length,
    output: lines.filter((line) => !/^ok \d+/.test(line)).join("\n"),
  };
}

/**
 * Gets the sources of Debian's memcached package with apt, through folders of its own: the machine's package lists stay as they are.
 *
 * @returns the folder of the sources
 */
export function debianSource(): string {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-memcached-source-"));
  const path = (name: string): string => join(folder, name);
  for (const name of ["parts", "lists/partial", "cache/archives/partial", "source"]) mkdirSync(path(name), { recursive: true });
  for (const list of globSync("/etc/apt/{sources.list,sources.list.d/*.{list,sources}}")) {
    const text = readFileSync(list, "utf8");
    const ofSources = text.replaceAll(/^Types:.*$/gm, "Types: deb-src").replaceAll(/^deb\s/gm, "deb-src ");
    writeFileSync(join(path("parts"), basename(list)), ofSources);
  }
  const options = {
    "Dir::Etc::SourceList": "/dev/null",
    "Dir::Etc::SourceParts": path("parts"),
    "Dir::State::Lists": path("lists"),
    "Dir::Cache": path("cache"),
    "APT::Sandbox::User": "root",
  };
  const apt = (...words: string[]): void => {
    const flags = Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
    execFileSync("apt-get", [...flags, "-qq", ...words], { cwd: path("source"), stdio: ["ignore", "ignore", "pipe"] });
  };
  apt("update");
  apt("source", "memcached");
  const [unpacked] = globSync("memcached-*/", { cwd: path("source") });
  if (unpacked === undefined) throw new Error("apt-get source unpacked no folder of memcached");
  return join(path("source"), unpacked);
}
