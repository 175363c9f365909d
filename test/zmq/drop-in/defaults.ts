import * as zmq from "zeromq";

const types = [
  "Pair",
  "Publisher",
  "Subscriber",
  "Request",
  "Reply",
  "Dealer",
  "Router",
  "Pull",
  "Push",
  "XPublisher",
  "XSubscriber",
] as const;
const names = [
  "affinity backlog closed connectTimeout curveServer",
  "handshakeInterval heartbeatInterval heartbeatTimeout heartbeatTimeToLive immediate interface ipv6 lastEndpoint linger",
  "loopback multicastHops multicastMaxTransportDataUnit plainPassword plainServer",
  "plainUsername rate receiveBufferSize receiveHighWaterMark receiveTimeout reconnectInterval reconnectMaxInterval",
  "recoveryInterval routingId securityMechanism sendBufferSize sendHighWaterMark sendTimeout socksProxy tcpKeepalive",
  "tcpKeepaliveCount tcpKeepaliveIdle tcpKeepaliveInterval tcpMaxRetransmitTimeout threadSafe type typeOfService writable",
  "readable zapDomain",
]
  .join(" ")
  .split(" ");

/** Names that only some types have. */
const ONLY: Readonly<Record<string, RegExp>> = {
  routingId: /Request|Reply|Dealer|Router/,
  multicastHops: /^(?!Subscriber|Pull)/,
  sendBufferSize: /^(?!Subscriber|Pull)/,
  sendHighWaterMark: /^(?!Subscriber|Pull)/,
  sendTimeout: /^(?!Subscriber|Pull)/,
  receiveBufferSize: /^(?!Publisher|Push)/,
  receiveHighWaterMark: /^(?!Publisher|Push)/,
  receiveTimeout: /^(?!Publisher|Push)/,
};

for (const type of types) {
  const socket = new zmq[type]() as unknown as Record<string, unknown> & { close(): void };
  for (const name of names.filter((name) => ONLY[name]?.test(type) ?? name in socket))
    console.log(`${type}.${name} ${JSON.stringify(socket[name])}`);
  socket.close();
}
