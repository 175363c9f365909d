/** ○ Which protocol a connection speaks: what the server allows, and else what its first byte says. */
import { BINARY_REQUEST } from "../memcache/binary.ts";
import { BinarySession } from "./binary-session.ts";
import type { Credentials } from "./credentials.ts";
import { LoginSession } from "./login-session.ts";
import type { Engine, Session } from "./session.ts";
import { TextSession } from "./text-session.ts";

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
