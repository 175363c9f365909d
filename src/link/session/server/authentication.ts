/**
 * ○ Whether a client that said HELLO knows its token. The token never crosses the wire: the client proves it over the server's nonce, so that
 * a HELLO that was recorded is worth nothing on another connection.
 */
import { hex, sameBytes, utf8 } from "../../../core/bytes.ts";
import type { Challenge, Hello } from "../body.ts";
import type { Environment } from "../environment.ts";
import { proofOf } from "../proof.ts";

/** Who a client proved to be. */
export interface ClientIdentity {
  /** Its certificate and its token, which is not in it. */
  readonly identity: string;
  readonly token: string | undefined;
}

export interface Claim {
  readonly hello: Hello;
  /** The HELLO's bytes, over which it is proven. */
  readonly body: Uint8Array;
  readonly challenge: Challenge;
  /** What the transport proves about the client, or "". */
  readonly certificate: string;
}

/**
 * Calls `proven` or `refused` once: at once, or when the token was looked up.
 *
 * @param token looks a client's token up; undefined where it has none
 */
export function authenticate(
  { hello, body, challenge, certificate }: Claim,
  {
    environment,
    token: find,
    proven,
    refused,
    failed,
  }: {
    environment: Environment;
    token: () => string | undefined | Promise<string | undefined>;
    proven: (who: ClientIdentity) => void;
    refused: (why: string) => void;
    /** What `proven` threw, when it was called later. */
    failed: (error: unknown) => void;
  },
): void {
  if (hello.serverNonce && !sameBytes(hello.serverNonce, challenge.nonce))
    return refused("the HELLO was made for another connection");
  if (!challenge.tokenRequired) return proven({ identity: certificate, token: undefined });
  const verify = (token: string | undefined): void => {
    const isRight =
      token !== undefined && sameBytes(hello.proof, proofOf(environment, { side: "client", token, challenge, hello, body }));
    if (!isRight) return refused("the token is missing or wrong");
    proven({ identity: `${certificate} ${hex(environment.hmac(token, [utf8("identity")]))}`, token });
  };
  let token: string | undefined | Promise<string | undefined>;
  try {
    token = find();
  } catch {
    return refused("the token could not be looked up");
  }
  if (!(token instanceof Promise)) return verify(token);
  token.then(verify, () => refused("the token could not be looked up")).catch(failed);
}
