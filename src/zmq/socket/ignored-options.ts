/**
 * ● Options of the `zeromq` package that mean nothing here. Those about threads, multicast and buffers can be set and warn once that
 * they have no effect; those that would change who is talked to, or how, are refused, since ignoring them could do harm.
 */
import { zmqError } from "../errors.ts";

/** Option → default; set to anything else it warns. */
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
} as const;

/** Option → default; set to anything else it is refused. */
const REFUSED = {
  gssapiServer: false,
  gssapiPrincipal: null,
  gssapiServicePrincipal: null,
  gssapiPlainText: false,
  socksProxy: null,
  tcpAcceptFilter: null,
  interface: null,
} as const;

type Widened<T> = { -readonly [K in keyof T]: T[K] extends number ? number : T[K] extends boolean ? boolean : string | null };

/** Each reads as its default. */
export type IgnoredOptions = Widened<typeof WITHOUT_EFFECT> & Widened<typeof REFUSED>;

const warned = new Set<string>();

/** Gives a class's instances the options, as accessors that keep nothing. */
export function addIgnoredOptions(prototype: object): void {
  for (const [name, value] of Object.entries(WITHOUT_EFFECT)) {
    define(prototype, name, value, (set) => {
      if (set === value || warned.has(name)) return;
      warned.add(name);
      process.emitWarning(`Socket option ${name} has no effect in holdfast/zmq`, { code: "HOLDFAST_ZMQ_OPTION" });
    });
  }
  for (const [name, value] of Object.entries(REFUSED)) {
    define(prototype, name, value, (set) => {
      if (set !== value) throw zmqError("ENOTSUP", `Cannot set ${name}: it is not supported`);
    });
  }
}

function define(prototype: object, name: string, value: unknown, set: (value: unknown) => void): void {
  Object.defineProperty(prototype, name, { configurable: true, get: () => value, set });
}
