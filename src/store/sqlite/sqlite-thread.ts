/**
 * ● The store's thread: owns the SQLite file, so that only the next batch waits for the disk. It answers
 * the messages of sqlite-store.ts one by one, in order.
 */
import { parentPort, workerData } from "node:worker_threads";
import { closePort } from "../../core/close-port.ts";
import { codeOf, HoldfastError, messageOf, OperationError } from "../../core/errors.ts";
import { Database } from "./database.ts";
import { checkBeforeUse } from "./open-check.ts";
import { Reserve } from "./reserve.ts";
import { corrupt, CORRUPT_CODES, FULL_CODE, isOfFile, LOCKED_CODES, sqliteCode } from "./schema.ts";
import type { ThreadAnswer, ThreadData, ThreadRequest } from "./sqlite-store.ts";

const { file, sync, intervalMs, reserveBytes, faults } = workerData as ThreadData;

/** SQLITE_IOERR: on a full disk the small file that SQLite makes beside the log cannot be made. */
const IO_CODE = 10;

function isForRoom(error: unknown): boolean {
  return sqliteCode(error) === FULL_CODE || sqliteCode(error) === IO_CODE || codeOf(error) === "ENOSPC";
}

function translate(error: unknown): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const code = sqliteCode(error);
  if (CORRUPT_CODES.has(code)) return corrupt(file, messageOf(error));
  if (LOCKED_CODES.has(code)) return new OperationError("QUEUE_STORE_LOCKED", `Cannot use ${file}: ${messageOf(error)}`);
  return new OperationError("QUEUE_STORE_UNAVAILABLE", `${file}: ${messageOf(error)}`);
}

function reply(answer: ThreadAnswer, transfer: ArrayBuffer[] = []): void {
  parentPort!.postMessage(answer, transfer);
}

/** On a full disk the reserve makes the room that a start needs. */
function open(reserve: Reserve): Database {
  try {
    checkBeforeUse(file);
    return new Database({ file, sync, intervalMs, faults, reserve, tell: (answer) => reply(answer) });
  } catch (error) {
    if (isOfFile(error)) throw corrupt(file, messageOf(error));
    if (!isForRoom(error) || !reserve.release()) throw error;
    return open(reserve);
  }
}

let database: Database | undefined;

function answer(request: ThreadRequest): unknown {
  switch (request.kind) {
    case "open":
      return (database = open(new Reserve(file, reserveBytes))).opening;
    case "tasks":
      return database!.tasks(request.first);
    case "write":
      return database!.write(request.batch);
    case "read":
      return database!.read(request.ids);
    case "whole":
      return database!.whole(request.after, request.bytesMax);
    case "inspect":
      return database!.inspect(request.id);
    case "events":
      return database!.events(request.from, request.bytesMax);
    case "close":
      database?.close();
      database = undefined;
  }
  return undefined;
}

parentPort!.on("message", (request: ThreadRequest) => {
  try {
    const value = answer(request);
    reply({ kind: "answer", value }, value instanceof Uint8Array ? [value.buffer as ArrayBuffer] : []);
  } catch (error) {
    const { code, message } = translate(error);
    reply({ kind: "failure", code, message });
  }
  if (request.kind === "close") closePort(parentPort!);
});
