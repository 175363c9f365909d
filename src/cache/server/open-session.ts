/** ○ Which protocol a connection speaks: what the server allows, and else what its first byte says. */
import { BINARY_REQUEST } from "../../memcached/binary.ts";
import { BinarySession } from "../protocol/binary/binary-session.ts";
import type { Credentials } from "../protocol/user-list.ts";
import { LoginSession } from "../protocol/text/login-session.ts";
import type { Engine, Session } from "../protocol/cache-session.ts";
import { TextSession } from "../protocol/text/text-session.ts";

/** What connections may speak, and as whom. */
export interface Speech {
  readonly protocol: "auto" | "ascii" | "binary";
  /** Text clients must be one of these. */
  readonly users: Credentials | undefined;
  /** Binary clients must be one of these (SASL PLAIN). */
  readonly saslUsers: Credentials | undefined;
}

export function openSession(engine: Engine, { protocol, users, saslUsers }: Speech, firstByte: number): Session {
  if (protocol === "binary" || (protocol === "auto" && firstByte === BINARY_REQUEST))
    return new BinarySession(engine, saslUsers);
  return users ? new LoginSession(engine, users) : new TextSession(engine);
}
