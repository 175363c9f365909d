/** ● One sentence that says why a command cannot listen on an address, and what to change. */
import { codeOf, messageOf, OperationError, UsageError } from "../../core/errors.ts";

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program uses this address",
  EACCES: "permission denied for this user",
  EADDRNOTAVAIL: "no network interface of this machine has this address",
  ENOTFOUND: "host name not found",
  EAI_AGAIN: "the host name cannot be resolved now",
};

/** Addresses that work on no machine: a usage error. */
const INVALID: readonly string[] = ["EINVAL", "EPROTONOSUPPORT"];

/**
 * The system's error as an OperationError (a UsageError where the address is invalid on any machine); other errors unchanged.
 *
 * @param action what failed, with the address: "listen on 127.0.0.1:12345"
 * @param remedy what the user can do: "give another address"
 */
export function listenError(error: unknown, action: string, remedy: string): unknown {
  const code = systemCode(error);
  if (code === undefined) return error;
  const sentence = `Cannot ${action}: ${REASONS[code] ?? messageOf(error)}; ${remedy}`;
  if (INVALID.includes(code)) return new UsageError("CLI_USAGE", sentence, { cause: error });
  return new OperationError(code === "EADDRINUSE" ? "CLI_ADDRESS_IN_USE" : "CLI_ADDRESS_UNUSABLE", sentence, { cause: error });
}

/** The system's code (EADDRINUSE …) of an error or of what caused it. */
function systemCode(error: unknown): string | undefined {
  const code = codeOf(error);
  // A data folder that cannot be created is not an error of the address.
  if (code === "QUEUE_STORE_UNAVAILABLE") return undefined;
  if (code !== undefined && /^E[A-Z_]+$/.test(code)) return code;
  return error instanceof Error && error.cause !== undefined ? systemCode(error.cause) : undefined;
}
