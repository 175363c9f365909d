/**
 * ○ A batch of store changes as one buffer: for the store's thread, without a copy, and for the log on NATS
 * (cluster/log/log-codec.ts), which gives it a version and a checksum. Integers big-endian, ids as f64. Errors are written as the version
 * before wrote them, which knew no other facts: it reads what has no others.
 */
import { ByteWriter } from "../core/byte-writer.ts";
import { utf8 } from "../core/bytes.ts";
import { ProtocolError } from "../core/errors.ts";
import { FACT_KINDS, type Fact, type StoreOp } from "./store.ts";

const KINDS = [
  "add",
  "state",
  "end",
  "remove",
  "note",
  "set",
  "unset",
  "keep",
  "rewrite",
  "fact",
  "keepFacts",
  "events",
] as const;
const [ADD, STATE, END, REMOVE, NOTE, SET, UNSET, KEEP, REWRITE, FACT, KEEP_FACTS, EVENTS] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
];

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
      writer.u8(op.kind === "add" ? ADD! : op.kind === "rewrite" ? REWRITE! : op.facts.every(isError) ? KEEP! : KEEP_FACTS!);
      writer.f64(op.id);
      blob(writer, op.head);
      blob(writer, op.state);
      blob(writer, op.body);
      if (op.kind === "keep") encodeFacts(writer, op.facts);
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
    case "fact":
      writer.u8(isError(op.fact) ? NOTE! : FACT!).f64(op.id);
      encodeFact(writer, op.fact, !isError(op.fact));
      return;
    case "events":
      writer.u8(EVENTS!);
      for (const value of [op.epoch, op.last, op.atMs, op.keepMs, op.bytesMax]) writer.f64(value);
      blob(writer, op.entry);
      return;
    case "set":
      writer.u8(op.value === undefined ? UNSET! : SET!);
      blob(writer, utf8(op.name));
      if (op.value !== undefined) blob(writer, utf8(op.value));
  }
}

function encodeFacts(writer: ByteWriter, facts: readonly Fact[]): void {
  const named = !facts.every(isError);
  writer.u32(facts.length);
  for (const fact of facts) encodeFact(writer, fact, named);
}

function encodeFact(writer: ByteWriter, { kind, name, payload }: Fact, named: boolean): void {
  if (named) {
    writer.u8(FACT_KINDS.indexOf(kind));
    blob(writer, utf8(name));
  }
  blob(writer, payload);
}

function isError({ kind }: Fact): boolean {
  return kind === "error";
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
  const error = (): Fact => ({ kind: "error", name: "", payload: blob() });
  const fact = (): Fact => {
    const kind = FACT_KINDS[bytes[skip(1)]!];
    if (!kind) throw corrupt();
    return { kind, name: text(), payload: blob() };
  };
  while (at < bytes.length) {
    const kind = KINDS[bytes[skip(1)]!];
    if (kind === undefined) throw corrupt();
    if (kind === "add" || kind === "rewrite") yield { kind, id: number(), head: blob(), state: blob(), body: blob() };
    else if (kind === "state") yield { kind, id: number(), state: blob() };
    else if (kind === "end") yield { kind, id: number(), state: blob(), result: blob() };
    else if (kind === "remove") yield { kind, id: number() };
    else if (kind === "keep" || kind === "keepFacts") {
      const [id, head, state, body] = [number(), blob(), blob(), blob()];
      const count = view.getUint32(skip(4));
      // Each fact has a length of four bytes.
      if (count * 4 > bytes.length - at) throw corrupt();
      yield { kind: "keep", id, head, state, body, facts: Array.from({ length: count }, kind === "keep" ? error : fact) };
    } else if (kind === "events") {
      const [epoch, last, atMs, keepMs, bytesMax] = [number(), number(), number(), number(), number()];
      yield { kind, epoch, last, atMs, keepMs, bytesMax, entry: blob() };
    } else if (kind === "note") yield { kind: "fact", id: number(), fact: error() };
    else if (kind === "fact") yield { kind, id: number(), fact: fact() };
    else yield { kind: "set", name: text(), value: kind === "set" ? text() : undefined };
  }
}

function corrupt(): ProtocolError {
  return new ProtocolError("QUEUE_STORE_CORRUPT", "Cannot read a batch of changes: it is cut short, or of another version");
}

function blob(writer: ByteWriter, value: Uint8Array): void {
  writer.u32(value.length).bytes(value);
}
