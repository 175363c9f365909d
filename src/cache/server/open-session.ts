/** ○ Which protocol a connection uses: what the server allows, and else what its first byte says. */
import { BINARY_REQUEST } from "../../memcached/binary.ts";
import { BinarySession } from "../protocol/binary/binary-session.ts";
import type { UserList } from "../protocol/user-list.ts";
import { LoginSession } from "../protocol/text/login-session.ts";
import type { SessionContext, CacheSession } from "../protocol/cache-session.ts";
import { TextSession } from "../protocol/text/text-session.ts";

/** Which protocols connections may use, and which users may log in. */
export interface ProtocolConfig {
  readonly protocol: "auto" | "ascii" | "binary";
  /** Text clients must be one of these. */
  readonly users: UserList | undefined;
  /** Binary clients must be one of these (SASL PLAIN). */
  readonly saslUsers: UserList | undefined;
}

export function openSession(
  context: SessionContext,
  { protocol, users, saslUsers }: ProtocolConfig,
  firstByte: number,
): CacheSession {
  if (protocol === "binary" || (protocol === "auto" && firstByte === BINARY_REQUEST))
    return new BinarySession(context, saslUsers);
  return users ? new LoginSession(context, users) : new TextSession(context);
}
