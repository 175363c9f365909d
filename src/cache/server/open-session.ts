/** ○ Which protocol a connection uses: what the server allows, and else what its first byte says. */
import { BINARY_REQUEST } from "../../memcached/binary.ts";
import type { AccessControl } from "../../access/access-control.ts";
import { AccessSession } from "../protocol/access-session.ts";
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
  /** Who may what; undefined: everybody may everything. */
  readonly access: AccessControl | undefined;
}

/** @param commonName that of the client's certificate, if it has shown one */
export function openSession(
  context: SessionContext,
  { protocol, users, saslUsers, access }: ProtocolConfig,
  firstByte: number,
  commonName?: string,
): CacheSession {
  const isBinary = protocol === "binary" || (protocol === "auto" && firstByte === BINARY_REQUEST);
  if (!access) {
    if (isBinary) return new BinarySession(context, saslUsers);
    return users ? new LoginSession(context, users) : new TextSession(context);
  }
  const certified = commonName === undefined ? undefined : access.table.withCertificate(commonName)?.name;
  return guarded(context, {
    isBinary,
    certified,
    access,
    users: certified === undefined ? (isBinary ? saslUsers : users) : undefined,
  });
}

interface Guard {
  readonly isBinary: boolean;
  /** Who it is by its certificate: it need not log in. */
  readonly certified: string | undefined;
  readonly users: UserList | undefined;
  readonly access: AccessControl;
}

function guarded(context: SessionContext, { isBinary, certified, users, access }: Guard): CacheSession {
  const { out } = context;
  if (isBinary) {
    const session = new BinarySession(context, users);
    let rights = access.rightsOf(certified);
    let known = certified;
    return new AccessSession({
      session,
      isBinary,
      out,
      rights() {
        const user = session.user ?? certified;
        if (user !== known) rights = access.rightsOf((known = user));
        return rights;
      },
    });
  }
  const open = (user: string | undefined): CacheSession => {
    const rights = access.rightsOf(user);
    return new AccessSession({ session: new TextSession(context), isBinary, out, rights: () => rights });
  };
  return users ? new LoginSession(context, users, open) : open(certified);
}
