/** ○ The constant replies of the text protocols, as bytes. */
import { Buffer } from "node:buffer";
import { RESULT } from "../store/item-store.ts";

const line = (text: string): Buffer => Buffer.from(`${text}\r\n`, "latin1");

export const R = {
  stored: line("STORED"),
  notStored: line("NOT_STORED"),
  exists: line("EXISTS"),
  notFound: line("NOT_FOUND"),
  deleted: line("DELETED"),
  touched: line("TOUCHED"),
  end: line("END"),
  ok: line("OK"),
  error: line("ERROR"),
  reset: line("RESET"),
  badFormat: line("CLIENT_ERROR bad command line format"),
  badLine: line("CLIENT_ERROR bad command line"),
  badData: line("CLIENT_ERROR bad data chunk"),
  badDelta: line("CLIENT_ERROR invalid numeric delta argument"),
  badExptime: line("CLIENT_ERROR invalid exptime argument"),
  nonNumeric: line("CLIENT_ERROR cannot increment or decrement non-numeric value"),
  tooLarge: line("SERVER_ERROR object too large for cache"),
  noMemoryStoring: line("SERVER_ERROR out of memory storing object"),
  noMemoryReading: line("SERVER_ERROR Out of memory during read"),
  noMemoryWriting: line("SERVER_ERROR out of memory writing get response"),
  noMemory: line("SERVER_ERROR out of memory"),
  flushNotAllowed: line("CLIENT_ERROR flush_all not allowed"),
  unauthenticated: line("CLIENT_ERROR unauthenticated"),
  authTooLong: line("CLIENT_ERROR auth token too long"),
  badTermination: line("CLIENT_ERROR bad command line termination"),
  badAuthFormat: line("CLIENT_ERROR bad authentication token format"),
  authFailure: line("CLIENT_ERROR authentication failure"),
  mn: line("MN"),
} as const;

/** By what became of a `store`. */
export const STORE_REPLIES: Readonly<Record<number, Buffer>> = {
  [RESULT.notStored]: R.notStored,
  [RESULT.stored]: R.stored,
  [RESULT.exists]: R.exists,
  [RESULT.notFound]: R.notFound,
};
