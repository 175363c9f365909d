/**
 * ● Looks for damage that SQLite would pass over: when a frame in the middle of its log is broken, SQLite ends the log there and
 * drops every commit after it without a word. A broken end is normal (the batch that was being written when the power went); a
 * broken middle, with whole commits after it, is damage, and then nobody may start on what is left.
 * The log's format: sqlite.org/fileformat2.html, section 4.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { codeOf, ProtocolError } from "../../../core/errors.ts";

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const MAGIC = 0x377f0682;

/**
 * @param file the path of the `-wal` file; fine when it is not there
 * @throws ProtocolError QUEUE_STORE_CORRUPT
 */
export function checkLog(file: string): void {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  try {
    check(file, descriptor, fstatSync(descriptor).size);
  } finally {
    closeSync(descriptor);
  }
}

function check(file: string, descriptor: number, size: number): void {
  if (size < HEADER_BYTES) return;
  const header = read(descriptor, 0, HEADER_BYTES);
  const bigEndian = header.getUint32(0) === MAGIC + 1;
  if (!bigEndian && header.getUint32(0) !== MAGIC) return;
  const sum = new Checksum(!bigEndian);
  sum.add(header, 0, 24);
  const headerBroken = sum.a !== header.getUint32(24) || sum.b !== header.getUint32(28);
  const pageBytes = header.getUint32(8);
  let brokenAt = headerBroken ? 0 : -1;
  let commitsAfter = 0;
  const frameBytes = FRAME_HEADER_BYTES + pageBytes;
  for (let at = HEADER_BYTES; at + frameBytes <= size; at += frameBytes) {
    const frame = read(descriptor, at, frameBytes);
    // Another salt: left over from before the log was last folded into the file.
    if (frame.getUint32(8) !== header.getUint32(16) || frame.getUint32(12) !== header.getUint32(20)) {
      if (brokenAt < 0) return;
      continue;
    }
    if (brokenAt < 0) {
      sum.add(frame, 0, 8);
      sum.add(frame, FRAME_HEADER_BYTES, pageBytes);
      if (sum.a !== frame.getUint32(16) || sum.b !== frame.getUint32(20)) brokenAt = at;
    }
    if (brokenAt >= 0 && frame.getUint32(4) !== 0) commitsAfter += 1;
  }
  // One commit after the break may be the very batch that was being written; it was never acknowledged.
  if (commitsAfter > 1) {
    const reason = `its log is damaged at byte ${brokenAt}, with ${commitsAfter} commits after that`;
    throw new ProtocolError("QUEUE_STORE_CORRUPT", `Cannot use ${file}: ${reason}`);
  }
}

function read(descriptor: number, at: number, count: number): DataView {
  const bytes = new Uint8Array(count);
  readSync(descriptor, bytes, 0, count, at);
  return new DataView(bytes.buffer);
}

/** The log's running checksum over pairs of 32-bit words. */
class Checksum {
  a = 0;
  b = 0;
  readonly #littleEndian: boolean;

  constructor(littleEndian: boolean) {
    this.#littleEndian = littleEndian;
  }

  add(view: DataView, start: number, count: number): void {
    for (let at = start; at < start + count; at += 8) {
      this.a = (this.a + view.getUint32(at, this.#littleEndian) + this.b) >>> 0;
      this.b = (this.b + view.getUint32(at + 4, this.#littleEndian) + this.a) >>> 0;
    }
  }
}
