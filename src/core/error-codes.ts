/**
 * ○ The one list of error codes: code → what it means and what to do. The reference page of the docs is checked against it.
 * Codes are never renamed or given a second meaning.
 */
export const ERROR_CODES = {
  // core
  ASSERTION_FAILED: "A bug in Holdfast: an invariant does not hold. Please report it with the message",
  UNIT_INVALID: "A duration or size cannot be read; write '5s', '10m', '64mb' or a number in the option's unit",
  ADDRESS_INVALID: "An address cannot be read; write HOST:PORT, [IPV6]:PORT or PORT",
  ABORTED: "The caller's AbortSignal fired before the operation settled",
  CLOSED: "The object was closed before or during the operation",
  // command line
  CLI_USAGE: "The command's words or flags are wrong; --help lists the right ones",
  CLI_ADDRESS_IN_USE: "A port is taken by another program; give the named flag another address",
  CLI_ADDRESS_UNUSABLE: "An address cannot be listened on here; give the named flag another address",
  CLI_DATA_UNWRITABLE: "The data folder cannot be written; give --data another folder",
  // cache
  // cache client
  CACHE_KEY_INVALID:
    "A key is empty, over 250 bytes, or has a space or control character; the option `keys` can hash or encode it",
  CACHE_TTL_INVALID: "A time to live would not mean what it says to memcached; the message says why and what to write",
  CACHE_VALUE_INVALID: "A value cannot be stored: the codec or the schema refuses it",
  CACHE_OPTION_INVALID: "An option of the cache client cannot be used; the message names it",
  CACHE_TIMEOUT: "No answer by the call's deadline; a storing call may have been done all the same",
  CACHE_UNREACHABLE: "The server cannot be reached or the connection broke; a storing call may have been done all the same",
  CACHE_QUEUE_FULL: "Too many calls or bytes wait for the server already; ask less at once, or later",
  CACHE_SERVER_ERROR: "The server cannot do it (SERVER_ERROR): the value is too large, or it has no memory left",
  CACHE_REFUSED: "The server refuses the command (CLIENT_ERROR) or does not know it (ERROR)",
  CACHE_AUTH_FAILED: "The server does not accept the username and password",
  CACHE_REPLY_INVALID: "What the server sent is no reply to what was asked; the connection is closed and opened anew",
  CACHE_VALUE_UNREADABLE: "The codec or the schema cannot read the stored value",
  CACHE_MEMORY_INVALID: "The memory asked for is more than one cache can address; run several, or ask for less",
  CACHE_ITEM_SIZE_INVALID: "The largest item must be at least 1 KiB and at most half of the memory",
  CACHE_LISTEN_FAILED: "The cache cannot listen on an address; the cause tells what the system said",
  // zmq: the codes of the `zeromq` package where it has one
  ERR_ZMTP_UNSPECIFIED: "The peer broke the protocol in a way that has no code of its own; the message says how",
  ERR_ZMTP_UNEXPECTED_COMMAND: "The peer sent a command that its state or its socket type forbids",
  ERR_ZMTP_INVALID_SEQUENCE: "The peer's CURVE nonces do not increase: a replay, or two writers on one connection",
  ERR_ZMTP_KEY_EXCHANGE: "CURVE's key exchange failed; compare both sides' keys",
  ERR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED: "The peer sent a command that cannot be read",
  ERR_ZMTP_MALFORMED_COMMAND_MESSAGE: "The peer sent a CURVE MESSAGE that cannot be read",
  ERR_ZMTP_MALFORMED_COMMAND_HELLO: "The peer sent a HELLO that cannot be read",
  ERR_ZMTP_MALFORMED_COMMAND_INITIATE: "The peer sent an INITIATE that cannot be read",
  ERR_ZMTP_MALFORMED_COMMAND_ERROR: "The peer sent an ERROR that cannot be read",
  ERR_ZMTP_MALFORMED_COMMAND_READY: "The peer sent a READY that cannot be read",
  ERR_ZMTP_MALFORMED_COMMAND_WELCOME: "The peer sent a WELCOME that cannot be read",
  ERR_ZMTP_INVALID_METADATA: "The peer's handshake metadata cannot be read, or names a socket type that does not fit",
  ERR_ZMTP_CRYPTOGRAPHIC: "A CURVE box does not open; compare both sides' keys",
  ERR_ZMTP_MECHANISM_MISMATCH: "The two sides are set to different security mechanisms",
  ERR_ZMTP_MESSAGE_TOO_LONG: "The peer sent more than maxMessageSize allows; raise it on the receiving socket if that is meant",
  ERR_ZMTP_SUBSCRIPTIONS_TOO_MANY: "The subscriber asked for more topics than a publisher keeps for one peer",
  ERR_ZMTP_HANDSHAKE_TIMEOUT: "The peer connected and did not finish the handshake within handshakeInterval",
  ERR_ZMTP_HEARTBEAT_TIMEOUT: "The peer stayed silent after a PING for longer than heartbeatTimeout, or than its own TTL",
  ERR_ZMTP_REFUSED:
    "The peer answered the handshake with ERROR: its authenticator refused, or it cannot talk to this socket type",
  ZMQ_Z85_INVALID: "A CURVE key as text is 40 characters of the Z85 alphabet (RFC 32); curveKeyPair() makes a pair",
  EAGAIN: "Nothing to receive, or no room to send, within the time allowed; or the socket was closed while waiting",
  EBADF: "The socket is closed",
  EFSM: "The socket's request-reply order forbids this now: a REQ sends then receives, a REP receives then sends",
  EHOSTUNREACH: "No connected peer has this routing id (ROUTER with mandatory)",
  EINVAL: "An argument or option is not what the socket takes; the message says which",
  ENOTSUP: "This socket type or this implementation cannot do that",
  ENOENT: "No such endpoint was bound or connected",
  ECONNREFUSED: "Nothing listens at this address",
  EADDRINUSE: "The address is taken",
  EADDRNOTAVAIL: "The address is not one of this machine",
  EPROTONOSUPPORT: "The transport is none of tcp, ipc and inproc",
  EACCES: "The system forbids this address",
  ETERM: "The context is closed",
  EMFILE: "The context has as many sockets as it may",
  // queue
  // link
  LINK_OPTION_INVALID: "An option of a link is out of its range; the message names the range",
  LINK_FULL: "Too much is waiting to be sent or acknowledged; wait for earlier sends to settle",
  LINK_GAP: "A message was given up: it may or may not have reached the peer's application; the message says which",
  LINK_REJECTED: "The peer's application refused the message; the message has its reason",
  LINK_REFUSED: "The server refused the session: token or certificate, session id, version, or no room; the message says which",
  LINK_MESSAGE_TOO_LARGE: "A message is longer than the peer takes; the message has both numbers",
  LINK_FRAME_UNKNOWN:
    "The peer sent bytes that are no frame of the link protocol: it speaks another protocol, or an older version",
  LINK_FRAME_TOO_LARGE: "The peer announced a frame longer than allowed",
  LINK_FRAME_UNEXPECTED: "The peer sent a frame that has no place at this point of the connection",
  LINK_BODY_INVALID: "The peer sent a frame whose body cannot be read",
  LINK_ACK_INVALID: "The peer confirmed messages that were never sent to it, or took a confirmation back",
  LINK_GAP_INVALID: "The peer skipped to a message number that has already arrived",
  LINK_WINDOW_EXCEEDED: "The peer sent more than it was told may be unconfirmed",
  LINK_FLOOD: "The peer sent control frames faster than any use of them needs",
  LINK_PROOF_INVALID: "The server did not prove that it knows the token: it is not the server meant",
  LINK_ENDED: "The connection ended, or could not be made, before the operation settled; the message has the reason",
  // wire
  WIRE_CAPTURE_UNREADABLE: "The bytes are no pcap or pcapng capture, or a broken one; what came before is shown",
  WIRE_CAPTURE_FAILED: "Packets cannot be captured here; the message says why and what is shown instead",
  // dashboard
  DASHBOARD_TOKEN_REQUIRED: "On another address than loopback the dashboard needs a token of at least 16 characters",
  DASHBOARD_LISTEN_FAILED: "The dashboard cannot listen at its address; give --dashboard another one, or off",
} as const satisfies Record<string, string>;

/** A stable code of `HoldfastError.code`. */
export type ErrorCode = keyof typeof ERROR_CODES;
