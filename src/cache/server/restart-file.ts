/**
 * ● The file of a warm restart (`-e`): FILE with the items, FILE.meta with what belongs to them. Written at an orderly end, read
 * and removed at the next start. The meta file comes last and by a rename, and names size and checksum of the other, so that a
 * crash at any moment leaves either a whole pair or none: a half-written file is never loaded.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { OperationError } from "../../core/errors.ts";
import { RecordReader, itemRecords } from "../store/item-records.ts";
import type { Items } from "../store/items.ts";
import { GLOBAL, type Memory } from "../store/memory.ts";

/** 2.5 MB, loaded only where there is a file. */
const zlib = () => process.getBuiltinModule("node:zlib");

const FORMAT = 1;
/** 4 MiB: as much as is written at a time. */
const READ_BYTES = 4 * 1024 * 1024;

/** What FILE.meta says. */
export interface RestartMeta {
  readonly format: number;
  readonly bytes: number;
  readonly crc32: number;
  readonly startedSeconds: number;
  readonly casId: number;
  readonly oldestLive: number;
  readonly bucketCount: number;
  readonly bucketMask: number;
}

/**
 * What the last run left, or undefined when it left nothing.
 *
 * @throws OperationError CACHE_RESTART_FILE_INVALID when FILE.meta is there but is none of ours
 */
export function readRestartMeta(file: string): RestartMeta | undefined {
  const path = `${file}.meta`;
  if (!existsSync(path)) return undefined;
  try {
    const meta = JSON.parse(readFileSync(path, "utf8")) as RestartMeta;
    if (meta.format === FORMAT) return meta;
  } catch (error) {
    throw new OperationError("CACHE_RESTART_FILE_INVALID", `Cannot read ${path}: no warm-restart metadata`, {
      cause: error,
    });
  }
  throw new OperationError("CACHE_RESTART_FILE_INVALID", `Cannot read ${path}: its format is not ${FORMAT}`);
}

/** Loads the items into an empty store and removes the pair. A data file that does not match its meta file is not loaded. */
export function loadRestartFile(file: string, meta: RestartMeta, items: Items): number {
  const { globals } = items.memory;
  rmSync(`${file}.meta`);
  if (!matches(file, meta)) return 0;
  globals[GLOBAL.casId] = meta.casId;
  globals[GLOBAL.oldestLive] = meta.oldestLive;
  if (meta.bucketCount > globals[GLOBAL.bucketCount]! && meta.bucketCount <= items.memory.buckets.length) {
    globals[GLOBAL.bucketCount] = meta.bucketCount;
    globals[GLOBAL.bucketMask] = meta.bucketMask;
  }
  const reader = new RecordReader(items);
  eachChunk(file, (chunk) => reader.push(chunk));
  rmSync(file);
  return reader.count;
}

/** Writes the pair; the store must not change meanwhile. */
export function saveRestartFile(file: string, items: Items): void {
  const memory: Memory = items.memory;
  const written = `${file}.new`;
  rmSync(`${file}.meta`, { force: true });
  const descriptor = openSync(written, "w", 0o600);
  let bytes = 0;
  let checksum = 0;
  try {
    for (const batch of itemRecords(items)) {
      for (let at = 0; at < batch.length;) at += writeSync(descriptor, batch, at);
      checksum = zlib().crc32(batch, checksum);
      bytes += batch.length;
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(written, file);
  const meta: RestartMeta = {
    format: FORMAT,
    bytes,
    crc32: checksum,
    startedSeconds: memory.settings.startedSeconds,
    casId: memory.globals[GLOBAL.casId]!,
    oldestLive: memory.globals[GLOBAL.oldestLive]!,
    bucketCount: memory.globals[GLOBAL.bucketCount]!,
    bucketMask: memory.globals[GLOBAL.bucketMask]!,
  };
  writeFileSync(`${file}.meta.new`, JSON.stringify(meta), { mode: 0o600, flush: true });
  renameSync(`${file}.meta.new`, `${file}.meta`);
}

function matches(file: string, meta: RestartMeta): boolean {
  if (!existsSync(file)) return false;
  let bytes = 0;
  let checksum = 0;
  eachChunk(file, (chunk) => {
    bytes += chunk.length;
    checksum = zlib().crc32(chunk, checksum);
  });
  return bytes === meta.bytes && checksum === meta.crc32;
}

function eachChunk(file: string, use: (chunk: Buffer) => void): void {
  const descriptor = openSync(file, "r");
  const chunk = Buffer.allocUnsafeSlow(READ_BYTES);
  try {
    for (let count = readSync(descriptor, chunk); count > 0; count = readSync(descriptor, chunk)) use(chunk.subarray(0, count));
  } finally {
    closeSync(descriptor);
  }
}
