/**
 * ○ What NATS said went wrong, as our errors with a sentence that says what to do. Known by name and number, since the client library is
 * loaded only when it is needed. What a code means stands in nats-server's errors.json.
 */
import { type HoldfastError, messageOf, OperationError } from "../../core/errors.ts";

/** JetStream's own numbers. */
const WRONG_LAST_SEQUENCE = 10_071;
const NOT_ENABLED = new Set([10_039, 10_076]);
/** No room: the server's or the account's storage, the stream's bytes or messages. */
const NO_ROOM = new Set([10_023, 10_028, 10_047, 10_077, 10_110]);
/** Servers for the replicas that the cluster does not have, or does not know of yet. */
const NO_PEERS = 10_005;
const NO_REPLICAS = new Set([NO_PEERS, 10_074]);
/** The cluster has no leader, the one asked is not it, or it has not heard of all servers. */
const GATHERING = new Set([10_008, 10_009, NO_PEERS]);

/** JetStream's number for an error, or undefined. */
function jetstreamCode(error: unknown): number | undefined {
  return named(error, "JetStreamApiError") || named(error, "StreamNotFoundError")
    ? Number((error as { code: unknown }).code)
    : undefined;
}

/** The log's end is not where the writer thought. */
export function isWrongSequence(error: unknown): boolean {
  return jetstreamCode(error) === WRONG_LAST_SEQUENCE;
}

export function isNoRoom(error: unknown): boolean {
  const code = jetstreamCode(error);
  return code !== undefined && NO_ROOM.has(code);
}

export function isStreamMissing(error: unknown): boolean {
  return named(error, "StreamNotFoundError");
}

/** The server has answered, and its answer was no: what was asked for did not happen. */
export function isAnswer(error: unknown): boolean {
  return jetstreamCode(error) !== undefined || denied(error) !== undefined;
}

/** No answer yet: a cluster that elects or gathers says so, or says nothing. */
export function isNotNow(error: unknown): boolean {
  const code = jetstreamCode(error);
  return isSilence(error) || (code !== undefined && GATHERING.has(code));
}

function isSilence(error: unknown): boolean {
  return named(error, "TimeoutError");
}

/** @param doing what failed, as in "Cannot open the log" */
export function natsError(doing: string, error: unknown): HoldfastError {
  const make = (code: "QUEUE_STORE_UNAVAILABLE" | "QUEUE_STORE_DENIED" | "QUEUE_STORE_FULL", why: string): OperationError =>
    new OperationError(code, `${doing}: ${why}`, { cause: error });
  const permission = denied(error);
  if (permission) {
    const verb = permission.operation === "publish" ? "publish to" : "subscribe to";
    return make(
      "QUEUE_STORE_DENIED",
      `the NATS user is not permitted to ${verb} '${permission.subject}'; docs/scale.md lists what it needs`,
    );
  }
  if (named(error, "AuthorizationError"))
    return make("QUEUE_STORE_DENIED", "the NATS server refuses the user, password or token");
  if (isNoRoom(error))
    return make("QUEUE_STORE_FULL", `NATS has no room left (${messageOf(error)}); raise its limit or free some`);
  const code = jetstreamCode(error);
  if (named(error, "JetStreamNotEnabled") || (code !== undefined && NOT_ENABLED.has(code))) {
    return make(
      "QUEUE_STORE_UNAVAILABLE",
      "JetStream does not answer; nats-server has it with -js, and a cluster when most servers run",
    );
  }
  if (code !== undefined && NO_REPLICAS.has(code)) {
    return make("QUEUE_STORE_UNAVAILABLE", `not enough NATS servers for the requested replicas (${messageOf(error)})`);
  }
  if (isSilence(error)) return make("QUEUE_STORE_UNAVAILABLE", "no answer from NATS in time");
  return make("QUEUE_STORE_UNAVAILABLE", messageOf(error));
}

function denied(error: unknown): { readonly operation: string; readonly subject: string } | undefined {
  const found = [error, error instanceof Error ? error.cause : undefined].find((each) =>
    named(each, "PermissionViolationError"),
  );
  return found as { operation: string; subject: string } | undefined;
}

function named(error: unknown, name: string): boolean {
  return error instanceof Error && error.name === name;
}
