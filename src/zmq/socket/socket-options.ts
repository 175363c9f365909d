/** ● Which options sockets have: those of all types, of all that send or receive, and each type's own. */
import type { SocketTypeName } from "../../zmtp/socket-type.ts";
import type { OptionRules } from "../socket-core/option-rules.ts";
import { OPTION_RULES, OptionFields } from "../socket-core/settings.ts";
import type { Context } from "./context.ts";
import { IGNORED_DEFAULTS, IGNORED_RULES, type IgnoredOptions } from "./ignored-options.ts";

/** The options of all types. */
export type AllOptions = OptionFields & IgnoredOptions;

export const SOCKET_RULES: OptionRules<keyof AllOptions> = { ...OPTION_RULES, ...IGNORED_RULES };

/** Of sockets that send. */
export const SEND_OPTIONS = [
  "sendHighWaterMark",
  "sendHighWaterBytes",
  "sendTimeout",
  "sendBufferSize",
  "multicastHops",
] as const satisfies readonly (keyof AllOptions)[];

/** Of sockets that receive. */
export const RECEIVE_OPTIONS = [
  "receiveHighWaterMark",
  "receiveHighWaterBytes",
  "receiveTimeout",
  "receiveBufferSize",
] as const satisfies readonly (keyof AllOptions)[];

/** What each type has beside them. */
export const OWN_OPTIONS = {
  Push: ["conflate"],
  Pull: ["conflate"],
  Dealer: ["routingId", "probeRouter", "conflate"],
  Request: ["routingId", "probeRouter", "correlate", "relaxed", "concurrent"],
  Reply: ["routingId"],
  Router: ["routingId", "probeRouter", "mandatory", "handover"],
  Publisher: ["conflate", "noDrop", "invertMatching", "subscriptionHighWaterBytes"],
  Subscriber: ["conflate", "invertMatching"],
  XPublisher: ["noDrop", "invertMatching", "manual", "verbosity", "welcomeMessage", "subscriptionHighWaterBytes"],
} as const satisfies Readonly<Record<string, readonly (keyof AllOptions)[]>>;

export type SendOption = (typeof SEND_OPTIONS)[number];
export type ReceiveOption = (typeof RECEIVE_OPTIONS)[number];
export type OwnOption<Type extends keyof typeof OWN_OPTIONS = keyof typeof OWN_OPTIONS> = (typeof OWN_OPTIONS)[Type][number];

const ofSome: readonly string[] = [...SEND_OPTIONS, ...RECEIVE_OPTIONS, ...Object.values(OWN_OPTIONS).flat()];

/** Of all sockets. */
export const COMMON_OPTIONS: readonly string[] = Object.keys(SOCKET_RULES).filter((name) => !ofSome.includes(name));

/** A new socket's options, as its type and its context have them. */
export function defaultSettings(type: SocketTypeName, { ipv6, blocky, maxMessageSize }: Context): AllOptions {
  const settings = Object.assign(new OptionFields(), IGNORED_DEFAULTS, { ipv6 });
  if (!blocky || type === "SUB" || type === "XSUB") settings.linger = 0; // SUB's as in libzmq: nobody waits for subscriptions
  if (maxMessageSize >= 0) settings.maxMessageSize = maxMessageSize;
  return settings;
}
