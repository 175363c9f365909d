/** What options may be set to: each value is taken, or refused with the same error. */
import * as zmq from "zeromq";

const SOCKETS = {
  Pair: "linger reconnectInterval reconnectMaxInterval backlog tcpKeepalive tcpKeepaliveCount tcpKeepaliveIdle typeOfService",
  Reply: "handshakeInterval heartbeatInterval connectTimeout recoveryInterval rate multicastMaxTransportDataUnit zapDomain",
  Dealer: "sendHighWaterMark receiveHighWaterMark sendTimeout receiveTimeout routingId immediate ipv6 conflate probeRouter",
  Router: "mandatory handover plainServer plainUsername plainPassword curveServer curveSecretKey sendHighWatermark",
  Request: "correlate relaxed tcpKeepaliveInterval tcpMaxRetransmitTimeout sendBufferSize receiveBufferSize multicastHops",
  Pull: "sendHighWaterMark sendTimeout routingId mandatory",
  Push: "receiveTimeout receiveHighWaterMark verbosity",
  XPublisher: "noDrop manual welcomeMessage invertMatching",
  Subscriber: "sendTimeout routingId manual closed readable lastEndpoint securityMechanism threadSafe type",
} as const;

const VALUES = [
  undefined,
  true,
  false,
  "hello",
  "",
  "x".repeat(255),
  "x".repeat(256),
  Buffer.from("bytes"),
  Buffer.alloc(300),
  {},
  -2,
  -1,
  0,
  1,
  1.5,
  2,
  100,
  255,
  65_536,
  2 ** 31 - 1,
  2 ** 31,
];

process.removeAllListeners("warning");
process.on("warning", () => {}); // what has no effect here is warned of here only

for (const [type, names] of Object.entries(SOCKETS) as [keyof typeof SOCKETS, string][]) {
  for (const name of names.split(" ")) {
    for (const value of VALUES) {
      const socket = new zmq[type]({ linger: 0 }) as unknown as Record<string, unknown> & { close(): void };
      let outcome = "taken";
      try {
        socket[name] = value;
      } catch (error) {
        const { name: kind, code, errno, message } = error as Error & { code?: string; errno?: number };
        // A class of JavaScript names itself where the addon's names its base; the addon's TypeErrors have no code
        outcome = kind === "TypeError" ? `TypeError: ${message.replace(/#<\w+>/, "it")}` : `${code} ${errno}: ${message}`;
      }
      const shown = typeof value === "string" && value.length > 20 ? `${value.length} x` : JSON.stringify(value);
      console.log(`${type}.${name} = ${shown}: ${outcome}`);
      socket.close();
    }
  }
}
