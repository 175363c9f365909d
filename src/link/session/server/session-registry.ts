/**
 * ○ The sessions of a server, and which of them a HELLO means. From version 2 of the protocol on a name is the identity, as MQTT 5's
 * client id: there is one session a name, and the client that said HELLO last has it; a client that comes back after another one has taken
 * its name is told so. Sessions without a name, and those of version 1, are found by their id alone. Invariant: every session is in
 * `#byId` under its id of now; one that is the session of its name is in `#byName` too.
 */
import { hex } from "../../../core/bytes.ts";
import { IDS_BEFORE_MAX } from "../../limits.ts";
import type { Hello, RefuseReason } from "../body.ts";
import type { ServerSession } from "./server-session.ts";

/** What a HELLO leads to. */
export type Admission =
  | { readonly kind: "begin"; readonly session?: never }
  /** The client has what it had: messages go on where they were. */
  | { readonly kind: "resume"; readonly session: ServerSession }
  /** The session's client was started anew, or is another one of that name: it has nothing of what was. */
  | { readonly kind: "restart"; readonly session: ServerSession }
  | { readonly kind: "refuse"; readonly word: RefuseReason; readonly text: string };

export class SessionRegistry {
  readonly #byId = new Map<string, ServerSession>();
  readonly #byName = new Map<string, ServerSession>();

  get size(): number {
    return this.#byId.size;
  }

  values(): IterableIterator<ServerSession> {
    return this.#byId.values();
  }

  /** The session of a name. */
  named(name: string): ServerSession | undefined {
    return this.#byName.get(name);
  }

  /**
   * What becomes of a client that has proved to know its token.
   *
   * @param proved.certificate what the transport proves about it, or ""
   * @param proved.identity that, and its token: who may resume a session without a name
   */
  admit(hello: Hello, { certificate, identity }: { certificate: string; identity: string }): Admission {
    const id = hex(hello.sessionId);
    if (!isNamed(hello)) {
      const session = this.#byId.get(id);
      if (!session && !hello.resume) return { kind: "begin" };
      // One answer for unknown, expired and somebody else's: an unknown client learns nothing from it.
      if (session?.identity === identity && session.name === hello.name && !session.named) return { kind: "resume", session };
      return UNKNOWN;
    }
    const session = this.#byName.get(hello.name);
    if (!session) return hello.resume || this.#byId.has(id) ? UNKNOWN : { kind: "begin" };
    if (session.certificate !== certificate) return NOT_YOURS;
    if (session.key === id) return { kind: "resume", session };
    // It was welcome before, so it is older than the client that has the name; or its HELLO was, and its WELCOME was lost.
    if (hello.resume || session.idsBefore?.includes(id)) return TAKEN_OVER;
    return this.#byId.has(id) ? UNKNOWN : { kind: "restart", session };
  }

  add(session: ServerSession): void {
    this.#byId.set(session.key, session);
    if (session.named) this.#byName.set(session.name, session);
  }

  /** @returns false when it was not there */
  delete(session: ServerSession): boolean {
    if (session.named && this.#byName.get(session.name) === session) this.#byName.delete(session.name);
    return this.#byId.delete(session.key);
  }

  /** The session's client is another one, which drew this id. */
  rekey(session: ServerSession, id: Uint8Array): void {
    this.#byId.delete(session.key);
    session.idsBefore = [session.key, ...(session.idsBefore ?? [])].slice(0, IDS_BEFORE_MAX);
    session.key = hex(id);
    this.#byId.set(session.key, session);
  }
}

/** Its name is its identity. */
export function isNamed({ version, name }: Pick<Hello, "version" | "name">): boolean {
  return version > 1 && name !== "";
}

const UNKNOWN: Admission = { kind: "refuse", word: "session-unknown", text: "no such session for this client" };
const NOT_YOURS: Admission = {
  kind: "refuse",
  word: "unauthorised",
  text: "the name's session belongs to another certificate",
};
const TAKEN_OVER: Admission = { kind: "refuse", word: "taken-over", text: "a newer client has this name" };
