/**
 * ○ A batch of store changes as one buffer: for the store's thread, without a copy, and for the log on NATS
 * (cluster/log/log-codec.ts), which gives it a version and a checksum. Integers big-endian, ids as f64.
 */
import { ByteWriter } from "../../core/byte-writer.ts";
import { utf8 } from "../../core/bytes.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { StoreOp } from "./store.ts";

const KINDS = ["add", "state", "end", "remove", "note", "set", "unset", "keep", "rewrite"] as const;
const [ADD, STATE, END, REMOVE, NOTE, SET, UNSET, KEEP, REWRITE] = [0, 1, 2, 3, 4, 5, 6, 7, 8];

const decoder = new TextDecoder();

let lastBytes = 0;

/** The batch as bytes that own their buffer: it may be transferred. */
export function encodeOps(ops: readonly StoreOp[]): Uint8Array {
  const writer = new ByteWriter(lastBytes);
  for (const op of ops) encodeOp(writer, op);
  lastBytes = Math.min(writer.length, 1024 ** 2);
  return writer.take();
}

function encodeOp(writer: ByteWriter, op: StoreOp): void {
  switch (op.kind) {
    case "add":
    case "keep":
    case "rewrite":
      writer.u8({ add: ADD!, keep: KEEP!, rewrite: REWRITE! }[op.kind]).f64(op.id);
      blob(writer, op.head);
      blob(writer, op.state);
      blob(writer, op.body);
      if (op.kind !== "keep") return;
      writer.u32(op.notes.length);
      for (const note of op.notes) blob(writer, utf8(note));
      return;
    case "state":
      writer.u8(STATE!).f64(op.id);
      blob(writer, op.state);
      return;
    case "end":
      writer.u8(END!).f64(op.id);
      blob(writer, op.state);
      blob(writer, op.result);
      return;
    case "remove":
      writer.u8(REMOVE!).f64(op.id);
      return;
    case "note":
      writer.u8(NOTE!).f64(op.id);
      blob(writer, utf8(op.note));
      return;
    case "set":
      writer.u8(op.value === undefined ? UNSET! : SET!);
      blob(writer, utf8(op.name));
      if (op.value !== undefined) blob(writer, utf8(op.value));
  }
}

/** The changes of a batch one by one; blobs are views into it. @throws ProtocolError QUEUE_STORE_CORRUPT */
export function* decodeOps(bytes: Uint8Array): IterableIterator<StoreOp> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  const skip = (count: number): number => {
    at += count;
    if (at > bytes.length) throw corrupt();
    return at - count;
  };
  const number = (): number => view.getFloat64(skip(8));
  const blob = (): Uint8Array => {
    const length = view.getUint32(skip(4));
    const start = skip(length);
    return bytes.subarray(start, at);
  };
  const text = (): string => decoder.decode(blob());
  while (at < bytes.length) {
    const kind = KINDS[bytes[skip(1)]!];
    if (kind === undefined) throw corrupt();
    if (kind === "add" || kind === "rewrite") yield { kind, id: number(), head: blob(), state: blob(), body: blob() };
    else if (kind === "state") yield { kind, id: number(), state: blob() };
    else if (kind === "end") yield { kind, id: number(), state: blob(), result: blob() };
    else if (kind === "remove") yield { kind, id: number() };
    else if (kind === "keep") {
      const [id, head, state, body] = [number(), blob(), blob(), blob()];
      const count = view.getUint32(skip(4));
      // Each note has a length of four bytes.
      if (count * 4 > bytes.length - at) throw corrupt();
      yield { kind, id, head, state, body, notes: Array.from({ length: count }, text) };
    } else if (kind === "note") yield { kind, id: number(), note: text() };
    else yield { kind: "set", name: text(), value: kind === "set" ? text() : undefined };
  }
}

function corrupt(): ProtocolError {
  return new ProtocolError("QUEUE_STORE_CORRUPT", "Cannot read a batch of changes: it is cut short, or of another version");
}

function blob(writer: ByteWriter, value: Uint8Array): void {
  writer.u32(value.length).bytes(value);
}
