/** ○ How the first attempt of a session's client ended: for `connect`, on Node and in a browser. */
import { OperationError } from "../../../core/errors.ts";
import type { LinkEnd } from "../../end.ts";

/** What is listened to of a client. */
interface Listened {
  on(event: "open" | "waiting", listener: () => void): this;
  on(event: "close", listener: (end: LinkEnd) => void): this;
  off(event: "open" | "waiting", listener: () => void): this;
  off(event: "close", listener: (end: LinkEnd) => void): this;
}

/**
 * Waits for it: the session is open, the client is done without, or it waits to try again.
 *
 * @throws OperationError LINK_REFUSED, LINK_ENDED
 */
export async function firstOutcome(client: Listened): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const settle = (then: () => void): void => {
      client.off("open", good).off("waiting", good).off("close", bad);
      then();
    };
    const good = (): void => settle(resolve);
    const bad = (end: LinkEnd): void => {
      const code = end.reason === "refused" ? "LINK_REFUSED" : "LINK_ENDED";
      settle(() => reject(new OperationError(code, `Cannot open a session: ${end.message}`, { cause: end.cause })));
    };
    client.on("open", good).on("waiting", good).on("close", bad);
  });
}
