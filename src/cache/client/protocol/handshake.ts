/**
 * ○ What is said first on a connection: who we are, where a server wants to know, and `version`, whose answer proves that a
 * memcached is at the other end and tells what it can do.
 */
import { OperationError, type HoldfastError } from "../../../core/errors.ts";
import { InFlightCommand, type InFlightRequest } from "./in-flight.ts";
import { CommandOperation, type CommandFields, type OperationObserver, type Verb } from "../operations/operation.ts";

/** Who the client is. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** "ascii" (the default): memcached's -Y. "sasl": its -S, PLAIN, over the binary protocol, which has no `invalidate` and no leases. */
  readonly by?: "ascii" | "sasl";
}

interface HandshakeConnection {
  send(request: InFlightRequest): void;
  flush(): void;
  close(error: HoldfastError): void;
}

const NOBODY: OperationObserver = { failed: () => false, settled() {} };
/** The connection's own timer watches the greeting. */
const UNTIMED = { startedMs: 0, deadlineMs: Infinity };

/**
 * Sends the first questions.
 *
 * @param ready called with the server's version ("" when it keeps it to itself) once all were answered; otherwise the line is
 *   closed: CACHE_AUTH_FAILED, or what the server refused with
 */
export function handshake(
  connection: HandshakeConnection,
  credentials: Credentials | undefined,
  ready: (version: string) => void,
): void {
  const ask = (
    verb: Exclude<Verb, "get" | "gets">,
    key: string,
    fields: CommandFields,
    answered: (text: string) => void,
  ): void => {
    const interpret = (reply: { kind: string; text: string }) => ({ result: reply.kind === "VERSION" ? reply.text : "" });
    const refused = (error: HoldfastError): void => {
      if (verb === "version" && error.code === "CACHE_REFUSED") answered("");
      else connection.close(verb === "version" ? error : authFailed(error));
    };
    connection.send(
      new InFlightCommand(new CommandOperation(verb, key, NOBODY, UNTIMED, fields, interpret, "", answered, refused)),
    );
  };
  if (credentials?.by === "sasl") {
    ask("sasl", "PLAIN", { body: `\0${credentials.username}\0${credentials.password}` }, () => {});
  } else if (credentials) {
    // memcached -Y: the first command is a set whose value is "user password" (doc/protocol.txt, "Authentication").
    ask("set", "auth", { body: `${credentials.username} ${credentials.password}` }, () => {});
  }
  ask("version", "", {}, ready);
  connection.flush();
}

function authFailed(cause: HoldfastError): OperationError {
  return new OperationError("CACHE_AUTH_FAILED", `Cannot log in: ${cause.message}`, { cause });
}
