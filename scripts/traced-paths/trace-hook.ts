/**
 * ● Loaded before a traced program (`--import`), in each of its threads: adds one call to the start of every function of src/ that is
 * loaded, which notes the function's file while tracing is on. Where the bodies lie is told by a file whose path is in TRACED_BODIES.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { getEnvironmentData, isMainThread, setEnvironmentData } from "node:worker_threads";
import type { Body } from "../sources.ts";

/** 1 M calls: a traced call makes some thousands. */
const CALLS_MAX = 1 << 20;
const THREAD_SHIFT = 16;

interface Bodies {
  readonly root: string;
  /** Path → the bodies of its functions. */
  readonly files: Readonly<Record<string, readonly Body[]>>;
}

const { root, files } = JSON.parse(readFileSync(process.env["TRACED_BODIES"]!, "utf8")) as Bodies;
const paths = Object.keys(files);

/** [0]: tracing is on; [1]: calls noted; then the calls. Shared by all threads. */
const notes = shared();

function shared(): Int32Array {
  if (isMainThread) setEnvironmentData("traced calls", new SharedArrayBuffer(4 * (CALLS_MAX + 2)));
  return new Int32Array(getEnvironmentData("traced calls") as SharedArrayBuffer);
}

const thread = isMainThread ? 0 : 1 << THREAD_SHIFT;
(globalThis as { tracedCall?: (file: number) => void }).tracedCall = (file) => {
  if (notes[0] === 1) notes[2 + (Atomics.add(notes, 1, 1) % CALLS_MAX)] = thread | file;
};

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const file = url.startsWith("file:") ? paths.indexOf(relative(root, fileURLToPath(url))) : -1;
    if (file === -1 || loaded.source === undefined || loaded.source === null) return loaded;
    const text = typeof loaded.source === "string" ? loaded.source : Buffer.from(loaded.source as Uint8Array).toString();
    return { ...loaded, source: instrumented(text, files[paths[file]!]!, `tracedCall(${file})`) };
  },
});

function instrumented(text: string, bodies: readonly Body[], call: string): string {
  const insertions = bodies.flatMap(({ start, end, isBlock }) =>
    isBlock
      ? [{ at: start + 1, what: `${call};` }]
      : [
          { at: start, what: `(${call},` },
          { at: end, what: ")" },
        ],
  );
  // A body may end where the one around it ends: what closes the inner one is inserted first in either order.
  insertions.sort((a, b) => a.at - b.at);
  const pieces = insertions.map(({ at, what }, index) => text.slice(insertions[index - 1]?.at ?? 0, at) + what);
  return pieces.join("") + text.slice(insertions.at(-1)?.at ?? 0);
}

/** The files whose functions a call ran, in the order of their first calls: of the main thread, and of all others. */
export interface Trace {
  readonly main: readonly string[];
  readonly threads: readonly string[];
}

export async function traced(call: () => Promise<unknown>): Promise<Trace> {
  Atomics.store(notes, 1, 0);
  Atomics.store(notes, 0, 1);
  try {
    await call();
  } finally {
    Atomics.store(notes, 0, 0);
  }
  const calls = [...notes.subarray(2, 2 + Math.min(Atomics.load(notes, 1), CALLS_MAX))];
  const of = (isMain: boolean): string[] => {
    const files = calls.filter((note) => (note >> THREAD_SHIFT === 0) === isMain).map((note) => note & 0xffff);
    return [...new Set(files)].map((file) => paths[file]!);
  };
  return { main: of(true), threads: of(false) };
}
