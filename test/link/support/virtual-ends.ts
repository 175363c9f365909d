/** A server and clients of session mode on a virtual network, with settings that tests change. */
import type { BackoffOptions } from "../../../src/link/backoff.ts";
import { ServerList } from "../../../src/link/session/client/server-list.ts";
import { SessionClientCore } from "../../../src/link/session/client/session-client-core.ts";
import type { SessionClientCoreOwner, SessionClientSettings } from "../../../src/link/session/client/session-client-core.ts";
import { endOf } from "../../../src/link/end.ts";
import { SessionServerCore } from "../../../src/link/session/server/session-server-core.ts";
import type {
  SessionServerCoreOwner,
  SessionServerSettings,
} from "../../../src/link/session/server/session-server-settings.ts";
import type { PersistentSessions } from "../../../src/link/session/server/persistent-sessions.ts";
import { TransportPair } from "./virtual-network.ts";
import type { VirtualNetwork } from "./virtual-network.ts";

const LIMITS = { messageBytesMax: 1_048_576, window: 4096, windowBytes: 4_194_304, partBytes: 16_384 };

const SERVER_SETTINGS: SessionServerSettings = {
  limits: LIMITS,
  outboxMessagesMax: 65_536,
  outboxBytesMax: 16_777_216,
  heartbeatMs: 30_000,
  heartbeatMsMin: 100,
  heartbeatMsMax: 3_600_000,
  heartbeatTimeoutShare: 1 / 3,
  ttlMs: 600_000,
  keepMs: 600_000,
  willDelayMs: 10_000,
  stallMs: 35_000,
  handlerMs: 300_000,
  maxAgeMs: Infinity,
  inDoubt: "reject",
  sessionsMax: 100_000,
  totalBytesMax: 268_435_456,
  tokenRequired: false,
  prefix: { ipv4: 32, ipv6: 64 },
};

const CLIENT_SETTINGS: SessionClientSettings = {
  limits: LIMITS,
  outboxMessagesMax: 65_536,
  outboxBytesMax: 16_777_216,
  name: "",
  token: undefined,
  will: undefined,
  heartbeatMs: 0,
  stallMs: 35_000,
  handlerMs: 300_000,
  keepMs: 600_000,
  whenFull: "reject",
  inDoubt: "reject",
  reconnect: true,
};

const nothing = (): void => {};

export function virtualServerCore(
  network: VirtualNetwork,
  settings: Partial<SessionServerSettings> = {},
  owner: Partial<SessionServerCoreOwner> = {},
  store?: PersistentSessions,
): SessionServerCore {
  const full: SessionServerCoreOwner = {
    token: () => undefined,
    opened: nothing,
    message: nothing,
    stream: nothing,
    gap: nothing,
    presence: nothing,
    will: nothing,
    endedBeforeSession: nothing,
    ...owner,
  };
  return new SessionServerCore({ ...SERVER_SETTINGS, ...settings }, { owner: full, environment: network, store });
}

export interface Dialing {
  readonly network: VirtualNetwork;
  /** The server that answers now at this address; undefined while there is none. */
  server(address: number): SessionServerCore | undefined;
  /** How many there are. Default 1. */
  readonly addresses?: number;
  readonly latencyMs?: number;
  /** The client's address. */
  readonly from?: string;
  /** What the client's transport proves. */
  readonly certificate?: string;
  readonly backoff?: BackoffOptions;
  /** Told of every connection made. */
  joined?(pair: TransportPair): void;
}

export function virtualClientCore(
  {
    network,
    server,
    latencyMs = 5,
    from = "10.0.0.1",
    certificate = "",
    backoff = { base: 50, cap: 500 },
    joined,
    addresses = 1,
  }: Dialing,
  settings: Partial<SessionClientSettings> = {},
  owner: Partial<SessionClientCoreOwner> = {},
): SessionClientCore {
  const numbers = Array.from({ length: addresses }, (_, index) => index) as [number, ...number[]];
  const servers = new ServerList(numbers, backoff, network.random);
  const full: SessionClientCoreOwner = {
    dial(join, failed) {
      network.clock.at(network.clock.now() + latencyMs, () => {
        const serverCore = server(servers.current);
        if (!serverCore) return failed(endOf("unreachable"));
        const pair = new TransportPair(network, latencyMs);
        pair.client.connection = join(pair.client);
        pair.server.peer = `${from}:1`;
        const connection = serverCore.accept(pair.server, certificate);
        pair.server.connection = connection;
        pair.server.deliver = (chunk) => serverCore.received(connection, chunk);
        joined?.(pair);
      });
    },
    opened: nothing,
    message: nothing,
    topic: nothing,
    stream: nothing,
    gap: nothing,
    ended: nothing,
    waiting: nothing,
    closed: nothing,
    ...owner,
  };
  return new SessionClientCore({ ...CLIENT_SETTINGS, ...settings }, { owner: full, environment: network, servers });
}
