/**
 * ○ Proofs that a side knows the token: HMAC-SHA256 over the other side's nonce and what is said, so that the token itself never
 * crosses the wire and no proof can be played again (docs/link-protocol.md, "Proofs").
 */
import { utf8 } from "../../core/bytes.ts";
import type { Challenge, Hello } from "./body.ts";
import { helloBody } from "./body.ts";
import type { Environment } from "./link-connection.ts";

/** @param body the client's HELLO body for its proof, the session id for the server's */
export function proofOf(
  environment: Pick<Environment, "hmac">,
  said: { side: "client" | "server"; token: string; challenge: Challenge; hello: Hello; body: Uint8Array },
): Uint8Array {
  const { side, token, challenge, hello, body } = said;
  if (side === "client")
    return environment.hmac(token, [utf8("client"), challenge.nonce, helloBody.proven(body, hello.proof.length)]);
  return environment.hmac(token, [utf8("server"), hello.nonce, challenge.nonce, body]);
}
