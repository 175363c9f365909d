/**
 * ○ Login of a binary connection (`-S`): SASL PLAIN, RFC 4616, in one message or in two steps.
 */
import type { Buffer } from "node:buffer";
import { type BinaryRequest, OPCODE, STATUS } from "../../../memcached/binary.ts";
import type { BinaryReplies } from "./binary-replies.ts";
import { COUNT, type Counters } from "../../store/counters.ts";
import type { UserList } from "../user-list.ts";
import { SASL_MECHANISM_BYTES_MAX, SASL_MESSAGE_BYTES_MAX } from "../limits.ts";

/** What a client may send before it has authenticated. */
const OPEN_COMMANDS: readonly number[] = [OPCODE.saslListMechanisms, OPCODE.saslAuth, OPCODE.saslStep, OPCODE.version];

export interface SaslParts {
  /** The users that may log in; undefined when nobody has to. */
  readonly credentials: UserList | undefined;
  readonly counters: Counters;
  readonly replies: BinaryReplies;
  readonly request: BinaryRequest;
}

export class SaslLogin {
  readonly #parts: SaslParts;
  #authenticated: boolean;
  /** Who has logged in. */
  user: string | undefined;
  /** The client named PLAIN, the only mechanism. */
  #plain = false;
  /** The client was asked for a second step. */
  #secondStep = false;

  constructor(parts: SaslParts) {
    this.#parts = parts;
    this.#authenticated = parts.credentials === undefined;
  }

  allows(command: number): boolean {
    return this.#authenticated || OPEN_COMMANDS.includes(command);
  }

  listMechanisms(): void {
    const { credentials, replies } = this.#parts;
    if (credentials) replies.text(STATUS.ok, "PLAIN");
    else replies.error(STATUS.unknownCommand);
  }

  /** Reads the mechanism's name, the request's key; false, with the refusal as the reply, when its message is to be skipped. */
  begin(input: Buffer, key: number): boolean {
    const { credentials, replies, request } = this.#parts;
    const { keyBytes, valueBytes } = request;
    let refusal: number | undefined;
    if (!credentials) refusal = STATUS.unknownCommand;
    else if (keyBytes > SASL_MECHANISM_BYTES_MAX) refusal = STATUS.invalid;
    else if (valueBytes > SASL_MESSAGE_BYTES_MAX) refusal = STATUS.outOfMemory;
    this.#plain = input.toString("latin1", key, key + keyBytes) === "PLAIN";
    if (refusal !== undefined) replies.error(refusal);
    return refusal === undefined;
  }

  /** Takes the whole message. */
  finish(message: Buffer): void {
    const { credentials, counters, replies, request } = this.#parts;
    const expected = request.command === OPCODE.saslStep ? this.#secondStep : this.#plain;
    this.#secondStep = expected && message.length === 0;
    if (this.#secondStep) {
      replies.text(STATUS.authContinue, "");
      return;
    }
    counters.add(COUNT.authCommands);
    const user = expected ? credentials?.checkPlain(message) : undefined;
    if (user !== undefined) {
      this.user = user;
      this.#authenticated = true;
      replies.text(STATUS.ok, "Authenticated");
    } else {
      counters.add(COUNT.authErrors);
      replies.error(STATUS.authError);
    }
  }
}
