/** ● The entry point `holdfast/link/browser`: sessions from a page or a worker, by WebSocket. */
export { BrowserClient, connect } from "./browser/browser-client.ts";
export type { BrowserConnectOptions } from "./browser/browser-client.ts";
export type { BackoffOptions } from "./backoff.ts";
export type { EndReason, LinkEnd } from "./end.ts";
export type { IncomingStream } from "./session/incoming-stream.ts";
export type { StreamSource } from "./session/outgoing-stream.ts";
export type { PublishOptions, SendOptions } from "./session/send-options.ts";
export type { Gap } from "./session/client/session-client-core.ts";
export type { SessionBounds } from "./session/session-bounds.ts";
export type { SessionClientEvents, SessionClientOptions } from "./session/client/client-options.ts";
