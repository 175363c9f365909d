/**
 * ○ The first requests on a connection: the login, where there are credentials, and `version`, whose reply proves that the peer
 * is a memcached server and tells what it supports.
 */
import { OperationError, type HoldfastError } from "../../../core/errors.ts";
import { InFlightCommand } from "./in-flight.ts";
import {
  CommandOperation,
  NO_DEADLINE,
  UNCOUNTED,
  type CommandFields,
  type ReadVerb,
  type Verb,
} from "../operations/operation.ts";
import type { ServerConnection } from "./server-connection.ts";

/** The client's user and password. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** "ascii" (the default): memcached's -Y. "sasl": its -S, PLAIN, over the binary protocol, which has no `invalidate` and no leases. */
  readonly by?: "ascii" | "sasl";
}

/**
 * Sends them; the connection's connect timeout covers their replies.
 *
 * @param ready called with the server's version ("" when it does not tell) once all succeeded; otherwise the connection is
 *   closed with CACHE_AUTH_FAILED or the server's refusal
 */
export function handshake(
  connection: ServerConnection,
  credentials: Credentials | undefined,
  ready: (version: string) => void,
): void {
  const send = (verb: Exclude<Verb, ReadVerb>, key: string, fields: CommandFields, answered: (text: string) => void): void => {
    const read = (reply: { kind: string; text: string }) => ({ result: reply.kind === "VERSION" ? reply.text : "" });
    const refused = (error: HoldfastError): void => {
      if (verb === "version" && error.code === "CACHE_REFUSED") answered("");
      else connection.close(verb === "version" ? error : authFailed(error));
    };
    connection.send(
      new InFlightCommand(new CommandOperation(verb, key, UNCOUNTED, NO_DEADLINE, fields, read, "", answered, refused)),
    );
  };
  if (credentials?.by === "sasl") {
    send("sasl", "PLAIN", { body: `\0${credentials.username}\0${credentials.password}` }, () => {});
  } else if (credentials) {
    // memcached -Y: the first command is a set whose value is "user password" (doc/protocol.txt, "Authentication").
    send("set", "auth", { body: `${credentials.username} ${credentials.password}` }, () => {});
  }
  send("version", "", {}, ready);
  connection.flush();
}

function authFailed(cause: HoldfastError): OperationError {
  return new OperationError("CACHE_AUTH_FAILED", `Cannot log in: ${cause.message}`, { cause });
}
