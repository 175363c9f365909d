/** ● Says in one sentence why a command cannot listen on its address. */
import { codeOf, messageOf, OperationError } from "../core/errors.ts";

/** An OperationError for the system's refusal; other errors as they are. */
export function listenError(error: unknown, address: string): unknown {
  const code = codeOf(error);
  if (code === "EADDRINUSE") {
    const sentence = `Cannot listen on ${address}: another program listens there; give another address`;
    return new OperationError("CLI_ADDRESS_IN_USE", sentence, { cause: error });
  }
  if (code?.startsWith("E")) {
    return new OperationError("CLI_ADDRESS_UNUSABLE", `Cannot listen on ${address}: ${messageOf(error)}`, { cause: error });
  }
  return error;
}
