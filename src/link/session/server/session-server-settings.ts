/** ○ What a session server is given: its settings; and what it tells: its counts, its owner's calls. */
import type { NetworkPrefix } from "../../../core/address.ts";
import type { LinkEnd } from "../../end.ts";
import type { Environment } from "../environment.ts";
import type { IncomingStream } from "../incoming-stream.ts";
import type { LinkConnection } from "../link-connection.ts";
import type { PersistentSessions } from "./persistent-sessions.ts";
import type { Presence, ServerSession } from "./server-session.ts";
import type { SessionBudget } from "./session-budget.ts";
import type { BoundSettings } from "../session-bounds.ts";

export interface SessionServerSettings extends BoundSettings {
  readonly heartbeatMs: number;
  readonly heartbeatMsMin: number;
  readonly heartbeatMsMax: number;
  /** Share of the heartbeat interval that an answer may take. */
  readonly heartbeatTimeoutShare: number;
  readonly ttlMs: number;
  readonly willDelayMs: number;
  /** Infinity for connections of any age. */
  readonly maxAgeMs: number;
  readonly sessionsMax: number;
  readonly totalBytesMax: number;
  readonly tokenRequired: boolean;
  /** How much of an address tells clients apart. */
  readonly prefix: NetworkPrefix;
}

/** What happened since the server began. */
export interface SessionCounts {
  /** Sessions begun, resumed after a reconnect, and taken over by a client that was started anew. */
  begun: number;
  resumed: number;
  restarted: number;
  /** Messages that arrived, those that their handlers refused, and those that clients gave up. */
  received: number;
  refused: number;
  lost: number;
  /** Messages to clients that were given up, or are in doubt; and those dropped: unconfirmed ones, and a topic's for a full subscriber. */
  unconfirmed: number;
  dropped: number;
  /** Wills announced. */
  wills: number;
}

/** What a server's application has to say of topics. */
export interface TopicHooks {
  /** Asked before a client's message is taken; what throws or rejects refuses it. */
  onPublish(session: ServerSession, topic: string, message: Uint8Array): void | Promise<unknown>;
  onSubscribe(session: ServerSession, filter: string): void | Promise<unknown>;
  readonly keptBytesMax: number;
}

/** How a client came to its session. */
export interface SessionOpening {
  /** The session was there before. */
  readonly resumed: boolean;
  /** Its client was started anew, or is another one of that name: what the one before was sent and did not confirm is in doubt. */
  readonly restarted: boolean;
}

export interface SessionServerCoreOwner {
  /** The token of a client by its name; undefined refuses it. Called only where tokens are required. */
  token(name: string, connection: LinkConnection): string | undefined | Promise<string | undefined>;
  opened(session: ServerSession, how: SessionOpening): void;
  /** Undefined where topics are off. */
  readonly topics?: TopicHooks | undefined;
  /** A message; the session confirms it when what this returns settles. */
  message(session: ServerSession, bytes: Uint8Array, number: number): void | Promise<unknown>;
  stream(session: ServerSession, stream: IncomingStream): void | Promise<unknown>;
  gap(session: ServerSession, lost: { readonly from: number; readonly to: number }): void;
  presence(session: ServerSession, presence: Presence, end: LinkEnd | undefined): void;
  will(session: ServerSession, will: Uint8Array): void;
  /** A connection ended before it had a session. */
  endedBeforeSession(connection: LinkConnection, end: LinkEnd): void;
}

/** What the rooms of a session server share. */
export interface SessionServerParts {
  readonly settings: SessionServerSettings;
  readonly environment: Environment;
  readonly budget: SessionBudget;
  readonly counts: SessionCounts;
  /** Keeps sessions beyond this process. */
  readonly store: PersistentSessions | undefined;
}
