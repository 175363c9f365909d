/**
 * ○ A disk that loses its power, from the log of write-log.c: what was written before the last sync of its file is there; of what
 * came after it each sector is there or not, by chance and in no order. Names of files are kept in order.
 */
import type { Random } from "../../../src/core/random.ts";

/** One thing that a process did. */
export interface DiskEvent {
  readonly kind: "W" | "T" | "S" | "U";
  readonly name: string;
  /** Where it was written; the new size. */
  readonly at: number;
  readonly bytes: Buffer;
}

const HEAD_BYTES = 14;
/** 512 bytes are written whole or not at all. */
const SECTOR = 512;

export function readLog(log: Buffer): DiskEvent[] {
  const events: DiskEvent[] = [];
  for (let at = 0; at < log.length;) {
    const kind = String.fromCharCode(log[at]!) as DiskEvent["kind"];
    const nameAt = at + HEAD_BYTES;
    const bytesAt = nameAt + log[at + 1]!;
    const end = bytesAt + log.readUInt32LE(at + 10);
    const name = log.toString("latin1", nameAt, bytesAt);
    events.push({ kind, name, at: Number(log.readBigUInt64LE(at + 2)), bytes: log.subarray(bytesAt, end) });
    at = end;
  }
  return events;
}

export class PowerCutDisk {
  readonly #files = new Map<string, { durable: Buffer; pending: DiskEvent[] }>();

  /** The process did this. */
  take(event: DiskEvent): void {
    if (event.kind === "U") {
      this.#files.delete(event.name);
      return;
    }
    let file = this.#files.get(event.name);
    if (!file) this.#files.set(event.name, (file = { durable: Buffer.alloc(0), pending: [] }));
    if (event.kind !== "S") file.pending.push(event);
    else {
      for (const each of file.pending) file.durable = apply(file.durable, each);
      file.pending = [];
    }
  }

  /** What is on the disk when the power goes now. @param survives the chance of each sector that was not synced */
  cut(random: Random, survives: number): ReadonlyMap<string, Buffer> {
    const left = new Map<string, Buffer>();
    for (const [name, { durable, pending }] of this.#files) {
      let bytes: Buffer = Buffer.alloc(durable.length);
      durable.copy(bytes);
      for (const event of pending.flatMap(sectors)) if (random() < survives) bytes = apply(bytes, event);
      left.set(name, bytes);
    }
    return left;
  }
}

function apply(bytes: Buffer, { kind, at, bytes: written }: DiskEvent): Buffer {
  if (kind === "T") return at <= bytes.length ? bytes.subarray(0, at) : grown(bytes, at);
  const room = grown(bytes, at + written.length);
  written.copy(room, at);
  return room;
}

/** Doubles what it keeps, so that a log of many writes is not copied for each. */
function grown(bytes: Buffer, size: number): Buffer {
  if (size <= bytes.length) return bytes;
  const whole = bytes.byteOffset === 0 ? Buffer.from(bytes.buffer) : bytes;
  if (size <= whole.length) {
    whole.fill(0, bytes.length, size);
    return whole.subarray(0, size);
  }
  const room = Buffer.from(new ArrayBuffer(size * 2));
  bytes.copy(room);
  return room.subarray(0, size);
}

function sectors(event: DiskEvent): DiskEvent[] {
  if (event.kind !== "W") return [event];
  const parts: DiskEvent[] = [];
  for (let at = event.at; at < event.at + event.bytes.length;) {
    const end = Math.min((Math.floor(at / SECTOR) + 1) * SECTOR, event.at + event.bytes.length);
    parts.push({ ...event, at, bytes: event.bytes.subarray(at - event.at, end - event.at) });
    at = end;
  }
  return parts;
}
