/**
 * ○ Describes a ZeroMQ message by the queue's protocols: the lecture's (`Ready`, and single frames), Majordomo 0.1 and 0.2 (RFC 7
 * and 18), and HQ1 (docs/queue-protocol.md). Any other message is described by its frames.
 */
import { unreadable, type DecodedMessage, type Side } from "./decoded-message.ts";
import { showBytes } from "./show.ts";

/** One frame of a message: its beginning, and its whole length. */
export interface MessageFrame {
  readonly body: Uint8Array;
  readonly length: number;
}

const MAJORDOMO_1: Readonly<Record<number, string>> = { 1: "READY", 2: "REQUEST", 3: "REPLY", 4: "HEARTBEAT", 5: "DISCONNECT" };
const MAJORDOMO_2: Readonly<Record<number, string>> = {
  1: "READY",
  2: "REQUEST",
  3: "PARTIAL",
  4: "FINAL",
  5: "HEARTBEAT",
  6: "DISCONNECT",
};
const MAJORDOMO_2_CLIENT: Readonly<Record<number, string>> = { 1: "REQUEST", 2: "PARTIAL", 3: "FINAL" };

/** @param count number of frames; `frames` may hold only the first of them */
export function nameMessage(side: Side, frames: readonly MessageFrame[], count: number): DecodedMessage {
  const enveloped = frames[0]?.length === 0 ? frames.slice(1) : frames;
  return (
    nameHq1(enveloped, enveloped === frames ? count : count - 1) ??
    nameMajordomo(side, enveloped) ??
    nameLecture(side, enveloped, count) ?? { protocol: "zmtp", text: describeFrames(frames, count) }
  );
}

/**
 * Verbs of HQ1 → indices of the frames after the verb that are shown: names, ids, leases and states, never bodies. A verb that is
 * not listed does not exist.
 */
const HQ1_VERBS: Readonly<Record<string, readonly number[]>> = {
  HELLO: [],
  WELCOME: [],
  BEAT: [],
  BYE: [],
  ADD: [1],
  CALL: [1],
  WATCH: [1],
  UNWATCH: [],
  CANCEL: [1],
  ADDED: [1],
  ENDED: [1, 2],
  OK: [],
  REFUSED: [1],
  WORK: [0, 1],
  BEGUN: [0],
  TASK: [2, 5],
  DONE: [0],
  FAIL: [0, 1],
  RETURN: [0],
  PROGRESS: [0],
  PARTIAL: [0],
  HOLD: [0],
  KEPT: [0],
  LOST: [0],
  STOP: [0, 1],
  RECALL: [0],
  STATS: [],
  LIST: [],
  SHOW: [1],
  RETRY: [1],
  SET: [1],
  PURGE: [1, 2],
  OPERATE: [1, 2],
  CRON: [1],
  DATA: [],
  ADDS: [0],
  CALLS: [0],
  BEGUNS: [],
  DONES: [],
  ADDEDS: [],
  ENDEDS: [],
  TASKS: [0],
  KEPTS: [],
};

/** Batches → the frame with the records, and the octets of a record before its task's number, and between that and the end of the record. */
const HQ1_RECORDS: Readonly<Record<string, RecordLayout>> = {
  BEGUNS: { frame: 0, before: 0, after: 8 },
  KEPTS: { frame: 0, before: 0, after: 8 },
  ADDEDS: { frame: 0, before: 4, after: 0 },
  DONES: { frame: 0, before: 0, after: 8, hasBody: true },
  TASKS: { frame: 1, before: 0, after: 8 + 4 + 8, hasBody: true },
};

interface RecordLayout {
  readonly frame: number;
  readonly before: number;
  readonly after: number;
  /** Behind it are the body's length in four octets, and the body. */
  readonly hasBody?: true;
}

/** 8 tasks of a batch are named: the others are counted in the frame's bytes. */
const NUMBERS_SHOWN_MAX = 8;

/** The index of the frame with the body, whose size is shown. */
const HQ1_BODIES: Readonly<Record<string, number>> = { ADD: 3, CALL: 3, TASK: 1, DONE: 1, ENDED: 3, PARTIAL: 1, DATA: 1 };

function nameHq1(frames: readonly MessageFrame[], count: number): DecodedMessage | undefined {
  if (frames[0]?.length !== 3 || textOf(frames[0]) !== "HQ1" || frames[1] === undefined) return undefined;
  const verb = textOf(frames[1]);
  const shown = Object.hasOwn(HQ1_VERBS, verb) ? HQ1_VERBS[verb] : undefined;
  if (!shown) return unreadable("queue", `unknown HQ1 verb '${verb}'`);
  const rest = frames.slice(2);
  const words = shown.flatMap((index) => (rest[index] ? [showBytes(rest[index].body, 40)] : []));
  const bodyAt = HQ1_BODIES[verb];
  const body = bodyAt === undefined ? undefined : rest[bodyAt];
  const bodies =
    (verb === "ADD" || verb === "CALL") && count > 6 ? [`(${count - 5} tasks)`] : body ? [`(${body.length} B)`] : [];
  const tasks = tasksIn(verb, rest);
  const named = tasks.slice(0, NUMBERS_SHOWN_MAX).map((number) => `#${number}`);
  if (tasks.length > named.length) named.push("…");
  const text = ["HQ1", verb, ...words, ...named, ...bodies].join(" ");
  return { protocol: "queue", text, ...(tasks.length > 0 && { tasks }) };
}

/** The numbers of the tasks in a batch, as far as its bytes are here. */
function tasksIn(verb: string, frames: readonly MessageFrame[]): readonly number[] {
  const layout = Object.hasOwn(HQ1_RECORDS, verb) ? HQ1_RECORDS[verb] : undefined;
  const bytes = layout && frames[layout.frame]?.body;
  if (!bytes) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const numbers: number[] = [];
  for (let at = layout.before; at + 8 <= bytes.length;) {
    numbers.push(Number(view.getBigUint64(at)));
    at += 8 + layout.after;
    if (layout.hasBody) {
      if (at + 4 > bytes.length) break;
      at += 4 + view.getUint32(at);
    }
    at += layout.before;
  }
  return numbers;
}

/** "Ready" alone requests a task; "Ready" with a result completes the previous task and requests the next. */
function nameLecture(side: Side, frames: readonly MessageFrame[], count: number): DecodedMessage | undefined {
  if (side !== "client" || frames[0]?.length !== 5 || textOf(frames[0]) !== "Ready" || count > 3) return undefined;
  if (frames.length === 1) return { protocol: "queue", text: "Ready (returns the previous task, requests the next)" };
  return { protocol: "queue", text: `Ready with a result (${frames[1]!.length} B), requests the next task` };
}

function nameMajordomo(side: Side, frames: readonly MessageFrame[]): DecodedMessage | undefined {
  const header = frames[0];
  if (header?.length !== 6) return undefined;
  const name = textOf(header);
  if (name === "MDPC01") return mdp(name, side === "client" ? "request for" : "reply from", frames[1]);
  const commands = { MDPW01: MAJORDOMO_1, MDPW02: MAJORDOMO_2, MDPC02: MAJORDOMO_2_CLIENT }[name];
  const command = commands?.[frames[1]?.body[0] ?? 0];
  if (command === undefined) return undefined;
  const named = command === "READY" || name === "MDPC02" ? frames[2] : undefined;
  return mdp(name, command, named);
}

function mdp(header: string, command: string, service: MessageFrame | undefined): DecodedMessage {
  return { protocol: "queue", text: `${header} ${command}${service ? ` '${showBytes(service.body)}'` : ""}` };
}

function describeFrames(frames: readonly MessageFrame[], count: number): string {
  const sizes = frames.slice(0, 8).map(({ length }) => `${length}`);
  if (count > sizes.length) sizes.push("…");
  return count === 1 ? `message (${sizes[0]} B)` : `message (${count} frames: ${sizes.join(" + ")} B)`;
}

function textOf({ body }: MessageFrame): string {
  return showBytes(body);
}
