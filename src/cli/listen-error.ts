/** ● Says in one sentence why a command cannot listen where it was told to, and what to change. */
import { codeOf, messageOf, OperationError } from "../core/errors.ts";

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program listens there",
  EACCES: "this user may not listen there",
  EADDRNOTAVAIL: "this machine has no such address",
  ENOTFOUND: "no such host",
  EAI_AGAIN: "the host's name cannot be looked up now",
};

/**
 * An OperationError for the system's refusal; errors that are not the system's as they are.
 *
 * @param action what failed, with the address: "listen on 127.0.0.1:12345"
 * @param remedy what the user can do: "give another address"
 */
export function listenError(error: unknown, action: string, remedy: string): unknown {
  const code = codeOf(error);
  if (code === undefined || !/^E[A-Z]+/.test(code)) return error;
  const kind = code === "EADDRINUSE" ? "CLI_ADDRESS_IN_USE" : "CLI_ADDRESS_UNUSABLE";
  return new OperationError(kind, `Cannot ${action}: ${REASONS[code] ?? messageOf(error)}; ${remedy}`, { cause: error });
}
