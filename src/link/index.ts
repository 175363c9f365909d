/**
 * ● The door `holdfast/link`: TCP connections that last for days, whose keep-alive is set and verified, whose dead peers are found
 * in a stated time.
 */
export { connect } from "./connect.ts";
export type { ConnectOptions, LinkClient, LinkClientEvents } from "./byte-client.ts";
export { listen } from "./listen.ts";
export type { LinkServer, LinkServerEvents, ListenOptions } from "./byte-server.ts";
export type { AcceptOptions, LinkServerStats } from "./acceptor.ts";
export type { SessionClient, SessionClientEvents, SessionClientOptions, SessionConnectOptions } from "./session-client.ts";
export type {
  SessionListenOptions,
  SessionServer,
  SessionServerEvents,
  SessionServerStats,
  SessionStats,
} from "./session-server.ts";
export type { SessionBounds, SessionServerOptions } from "./session-options.ts";
export type { Presence, ServerSession } from "./server-session.ts";
export type { Gap } from "./dialer.ts";
export type { ByteLink, LinkStats } from "./byte-link.ts";
export type { DialOptions } from "./dial-socket.ts";
export type { BackoffOptions } from "./backoff.ts";
export { END_REASONS } from "./end.ts";
export type { EndReason, LinkEnd } from "./end.ts";
export type { KeepAlive, KeepAliveOptions, TuneWarning } from "./keep-alive.ts";
export type { KernelKeepAlive } from "./kernel.ts";
export { tune } from "./tune.ts";
export type { TuneReport } from "./tune.ts";
export { bound, slackMs } from "./bound.ts";
export type { Bound, BoundOptions, BoundWarning } from "./bound.ts";
export { PATHS } from "./paths.ts";
export type { Path, PathName } from "./paths.ts";
export { watch } from "./watch.ts";
export type { Watch, WatchEvent, WatchOptions } from "./watch.ts";
export type { ProbeEvent } from "./probe-tracker.ts";
export type { GatewayOptions, Reading, ReadingCache, ReadingQueue } from "./gateway.ts";
