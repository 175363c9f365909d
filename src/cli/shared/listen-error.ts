/** ● Says in one sentence why a command cannot listen where it was told to, and what to change. */
import { codeOf, messageOf, OperationError, UsageError } from "../../core/errors.ts";

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program listens there",
  EACCES: "this user may not listen there",
  EADDRNOTAVAIL: "this machine has no such address",
  ENOTFOUND: "no such host",
  EAI_AGAIN: "the host's name cannot be looked up now",
};

/** Addresses that could work nowhere: wrong usage rather than bad luck. */
const SENSELESS: readonly string[] = ["EINVAL", "EPROTONOSUPPORT"];

/**
 * The system's refusal as an OperationError (or UsageError, where no machine could listen there); other errors as they are.
 *
 * @param action what failed, with the address: "listen on 127.0.0.1:12345"
 * @param remedy what the user can do: "give another address"
 */
export function listenError(error: unknown, action: string, remedy: string): unknown {
  const code = systemCode(error);
  if (code === undefined) return error;
  const sentence = `Cannot ${action}: ${REASONS[code] ?? messageOf(error)}; ${remedy}`;
  if (SENSELESS.includes(code)) return new UsageError("CLI_USAGE", sentence, { cause: error });
  return new OperationError(code === "EADDRINUSE" ? "CLI_ADDRESS_IN_USE" : "CLI_ADDRESS_UNUSABLE", sentence, { cause: error });
}

/** The system's code (EADDRINUSE …) of an error or of what caused it. */
function systemCode(error: unknown): string | undefined {
  const code = codeOf(error);
  // A folder that cannot be made is no fault of the address.
  if (code === "QUEUE_STORE_UNAVAILABLE") return undefined;
  if (code !== undefined && /^E[A-Z_]+$/.test(code)) return code;
  return error instanceof Error && error.cause !== undefined ? systemCode(error.cause) : undefined;
}
