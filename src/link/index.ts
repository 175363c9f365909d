/**
 * ● The entry point `holdfast/link`: TCP connections that last for days: keep-alive is set and verified, and a dead peer is found
 * within a stated time.
 */
export { connect } from "./connect.ts";
export type { ConnectOptions, LinkClient, LinkClientEvents } from "./bytes/byte-client.ts";
export { listen } from "./listen.ts";
export type { LinkServer, LinkServerEvents, ListenOptions } from "./bytes/byte-server.ts";
export type { AcceptOptions, LinkServerStats } from "./bytes/acceptor.ts";
export type { SessionClient, SessionConnectOptions } from "./session/client/session-client.ts";
export { SessionServer } from "./session/server/session-server.ts";
export type {
  SessionListenOptions,
  SessionServerEvents,
  SessionServerStats,
  SessionStats,
} from "./session/server/session-server.ts";
export type { WebSocketOptions } from "./web-socket/handshake.ts";
export type { SessionBounds } from "./session/session-bounds.ts";
export type { SessionClientEvents, SessionClientOptions } from "./session/client/client-options.ts";
export type { SessionServerOptions, TopicOptions } from "./session/server/server-options.ts";
export type { PublishOptions, SendOptions } from "./session/send-options.ts";
export type { SessionCounts, SessionOpening } from "./session/server/session-server-settings.ts";
export type { Presence, ServerSession } from "./session/server/server-session.ts";
export type { IncomingStream } from "./session/incoming-stream.ts";
export type { StreamSource } from "./session/outgoing-stream.ts";
export type { Gap } from "./session/client/session-client-core.ts";
export type { ByteLink, LinkStats } from "./bytes/byte-link.ts";
export type { DialOptions } from "./bytes/dial-socket.ts";
export type { BackoffOptions } from "./backoff.ts";
export { END_REASONS } from "./end.ts";
export type { EndReason, LinkEnd } from "./end.ts";
export type { KeepAlive, KeepAliveOptions, TuneWarning } from "./keep-alive/keep-alive.ts";
export type { KernelKeepAlive } from "./keep-alive/kernel.ts";
export { tune } from "./keep-alive/tune.ts";
export type { TuneReport } from "./keep-alive/tune.ts";
export { bound, slackMs } from "./keep-alive/detection-time.ts";
export type { Bound, BoundOptions, BoundWarning } from "./keep-alive/detection-time.ts";
export { PATHS } from "./keep-alive/middleboxes.ts";
export type { Path, PathName } from "./keep-alive/middleboxes.ts";
export { watch } from "./keep-alive/watch.ts";
export type { Watch, WatchEvent, WatchOptions } from "./keep-alive/watch.ts";
export type { ProbeEvent } from "./keep-alive/probe-tracker.ts";
export type { GatewayOptions, Reading, ReadingCache, ReadingQueue } from "./session/server/gateway.ts";
