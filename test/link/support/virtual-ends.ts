/** A server and clients of session mode on a virtual network, with settings that tests change. */
import { Backoff } from "../../../src/link/backoff.ts";
import type { BackoffOptions } from "../../../src/link/backoff.ts";
import { Dialer } from "../../../src/link/session/session-client-core.ts";
import type { DialerOwner, DialerSettings } from "../../../src/link/session/session-client-core.ts";
import { endOf } from "../../../src/link/end.ts";
import { Hub } from "../../../src/link/session/session-server-core.ts";
import type { HubOwner, HubSettings } from "../../../src/link/session/session-server-core.ts";
import { WirePair } from "./virtual-network.ts";
import type { VirtualNetwork } from "./virtual-network.ts";

const LIMITS = { messageBytesMax: 1_048_576, window: 4096, windowBytes: 4_194_304 };

const HUB: HubSettings = {
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
  maxAgeMs: Infinity,
  sessionsMax: 100_000,
  totalBytesMax: 268_435_456,
  tokenRequired: false,
};

const DIALER: DialerSettings = {
  limits: LIMITS,
  outboxMessagesMax: 65_536,
  outboxBytesMax: 16_777_216,
  name: "",
  token: undefined,
  will: undefined,
  heartbeatMs: 0,
  stallMs: 35_000,
  keepMs: 600_000,
  whenFull: "reject",
  inDoubt: "reject",
  reconnect: true,
};

const nothing = (): void => {};

export function virtualHub(network: VirtualNetwork, settings: Partial<HubSettings> = {}, owner: Partial<HubOwner> = {}): Hub {
  const full: HubOwner = {
    token: () => undefined,
    opened: nothing,
    message: nothing,
    gap: nothing,
    presence: nothing,
    will: nothing,
    strangerEnded: nothing,
    ...owner,
  };
  return new Hub({ ...HUB, ...settings }, { owner: full, world: network });
}

export interface Dialing {
  readonly network: VirtualNetwork;
  /** The server that answers now; undefined while there is none. */
  server(): Hub | undefined;
  readonly latencyMs?: number;
  readonly backoff?: BackoffOptions;
  /** Told of every connection made. */
  joined?(pair: WirePair): void;
}

export function virtualDialer(
  { network, server, latencyMs = 5, backoff = { base: 50, cap: 500 }, joined }: Dialing,
  settings: Partial<DialerSettings> = {},
  owner: Partial<DialerOwner> = {},
): Dialer {
  const full: DialerOwner = {
    dial(join, failed) {
      network.clock.at(network.clock.now() + latencyMs, () => {
        const hub = server();
        if (!hub) return failed(endOf("unreachable"));
        const pair = new WirePair(network, latencyMs);
        pair.client.line = join(pair.client);
        const line = hub.accept(pair.server);
        pair.server.line = line;
        pair.server.deliver = (chunk) => hub.received(line, chunk);
        joined?.(pair);
      });
    },
    opened: nothing,
    message: nothing,
    gap: nothing,
    ended: nothing,
    waiting: nothing,
    closed: nothing,
    ...owner,
  };
  return new Dialer({ ...DIALER, ...settings }, { owner: full, world: network, backoff: new Backoff(backoff, network.random) });
}
