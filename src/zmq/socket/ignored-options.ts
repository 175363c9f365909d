/**
 * ● Options of the `zeromq` package that mean nothing here. They can be set and read. Those about threads, multicast and buffers warn
 * once that they have no effect; with those that would change who is talked to, or how, nothing can be bound or connected, since
 * ignoring them could do harm.
 */
import { wrongType, zmqError } from "../errors.ts";
import { flag, text, whole, type OptionRules } from "../socket-core/option-rules.ts";

const WITHOUT_EFFECT = {
  affinity: 0,
  rate: 100,
  recoveryInterval: 10_000,
  multicastHops: 1,
  multicastMaxTransportDataUnit: 1500,
  sendBufferSize: -1,
  receiveBufferSize: -1,
  tcpMaxRetransmitTimeout: 0,
  loopbackFastPath: false,
  vmciBufferSize: 0,
  vmciBufferMinSize: 0,
  vmciBufferMaxSize: 0,
  vmciConnectTimeout: -1,
};

const REFUSED = {
  gssapiServer: false,
  gssapiPrincipal: null as string | null,
  gssapiServicePrincipal: null as string | null,
  gssapiPlainText: false,
  socksProxy: null as string | null,
  tcpAcceptFilter: null as string | null,
  interface: null as string | null,
};

/** Option → default. */
export const IGNORED_DEFAULTS = { ...WITHOUT_EFFECT, ...REFUSED };

export type IgnoredOptions = typeof IGNORED_DEFAULTS;

/** 2^64: libzmq's affinity is a set of 64 threads, as bits. */
const AFFINITY_MAX = 2 ** 64;

export const IGNORED_RULES: OptionRules<keyof IgnoredOptions> = {
  affinity: { id: 4, check: affinity },
  rate: warning("rate", whole(1, { id: 8 })),
  recoveryInterval: warning("recoveryInterval", whole(0, { id: 9 })),
  multicastHops: warning("multicastHops", whole(1, { id: 25 })),
  multicastMaxTransportDataUnit: warning("multicastMaxTransportDataUnit", whole(1, { id: 84 })),
  sendBufferSize: warning("sendBufferSize", whole(-1, { id: 11 })),
  receiveBufferSize: warning("receiveBufferSize", whole(-1, { id: 12 })),
  tcpMaxRetransmitTimeout: warning("tcpMaxRetransmitTimeout", whole(0, { id: 80 })),
  loopbackFastPath: warning("loopbackFastPath", flag({ id: 94 })),
  vmciBufferSize: warning("vmciBufferSize", whole(0, { id: 85 })),
  vmciBufferMinSize: warning("vmciBufferMinSize", whole(0, { id: 86 })),
  vmciBufferMaxSize: warning("vmciBufferMaxSize", whole(0, { id: 87 })),
  vmciConnectTimeout: warning("vmciConnectTimeout", whole(-1, { id: 88 })),
  gssapiServer: flag({ id: 62 }),
  gssapiPrincipal: text({ id: 63 }),
  gssapiServicePrincipal: text({ id: 64 }),
  gssapiPlainText: flag({ id: 65 }),
  socksProxy: text({ id: 68 }),
  tcpAcceptFilter: text({ id: 38 }),
  interface: text({ id: 92 }),
};

const warned = new Set<string>();

/** Nothing may be bound or connected while an option asks for what is not there. @throws ENOTSUP */
export function assertSupported(settings: IgnoredOptions): void {
  for (const name of Object.keys(REFUSED) as (keyof typeof REFUSED)[]) {
    if (settings[name] !== REFUSED[name]) throw zmqError("ENOTSUP", `Cannot bind or connect with ${name}: it is not supported`);
  }
}

type Rule = OptionRules[string];

function warning(name: keyof typeof WITHOUT_EFFECT, rule: Rule): Rule {
  return {
    ...rule,
    check: (_, value) => {
      const kept = rule.check(name, value);
      if (kept !== WITHOUT_EFFECT[name]) warnOnce(name);
      return kept;
    },
  };
}

/** An unsigned number of 64 bits, as far as a number can hold one. */
function affinity(name: string, value: unknown): number {
  if (typeof value !== "number") throw wrongType("Option value must be a number");
  const kept = Math.min(Math.max(Math.trunc(value), 0), AFFINITY_MAX);
  if (!(kept >= 0)) throw zmqError("EINVAL", `Cannot set ${name}: it is no number`);
  if (kept > Number.MAX_SAFE_INTEGER) {
    process.emitWarning("Value is larger than Number.MAX_SAFE_INTEGER and may have been rounded inaccurately.");
  }
  if (kept !== WITHOUT_EFFECT.affinity) warnOnce(name);
  return kept;
}

function warnOnce(name: string): void {
  if (warned.has(name)) return;
  warned.add(name);
  process.emitWarning(`Socket option ${name} has no effect in holdfast/zmq`, { code: "HOLDFAST_ZMQ_OPTION" });
}
