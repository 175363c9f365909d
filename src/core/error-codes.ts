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
  FILE_NOT_PRIVATE:
    "A file with a secret can be read by other users, who may know it by now: make a new secret, or close the file with the command in the message; docs/how-to/secure.md has the rule",
  CLOSED: "The object was closed before or during the operation",
  // command line
  CLI_USAGE: "The command's words or flags are wrong; --help lists the right ones",
  SETTING_INVALID: "A setting's value cannot be used, or its file cannot be read; the sentence says which and what it must be",
  ACCESS_FILE_INVALID: "An access file cannot be read, or says what cannot be; the sentence has the file and the place in it",
  SETTING_UNKNOWN: "A settings file names a setting that does not exist; 'holdfast config show' lists them all",
  CLI_ADDRESS_IN_USE: "Another program uses the port; give the named flag another address",
  CLI_ADDRESS_UNUSABLE: "An address cannot be listened on here; give the named flag another address",
  CLI_NO_ANSWER: "No server answers at the address; start it, or give another address",
  CLI_DATA_UNWRITABLE: "The data folder cannot be written; give --data another folder",
  PACKAGE_FILE_MISSING:
    "This program is a bundle, and a file of the package holdfast that cannot be bundled (a thread's code, the page) is not beside it; install the package there too",
  // cache
  // cache client
  CACHE_KEY_INVALID:
    "A key is empty, over 250 bytes, or has a space or control character; the option `keys` can hash or encode it",
  CACHE_TTL_INVALID: "The time to live would mean something else to memcached; the message says why and what to write",
  CACHE_VALUE_INVALID: "A value cannot be stored: the codec or the schema refuses it",
  CACHE_OPTION_INVALID: "An option of the cache client cannot be used; the message names it",
  CACHE_TIMEOUT: "No answer by the call's deadline; a storing call may have been done all the same",
  CACHE_UNREACHABLE: "The server cannot be reached or the connection broke; a storing call may have been done all the same",
  CACHE_PARTIAL:
    "Some servers of an item's copies did not confirm a change; what they have may be read until the end of its time to live",
  CACHE_QUEUE_FULL: "Too many calls or bytes are queued for the server (backpressure); send less at once, or later",
  CACHE_SERVER_ERROR: "The server cannot do it (SERVER_ERROR): the value is too large, or it has no memory left",
  CACHE_REFUSED: "The server refuses the command (CLIENT_ERROR) or does not know it (ERROR)",
  CACHE_AUTH_FAILED: "The server does not accept the username and password",
  CACHE_REPLY_INVALID: "The server sent a reply that does not match the request; the connection is closed and reopened",
  CACHE_VALUE_UNREADABLE: "The codec or the schema cannot read the stored value",
  CACHE_MEMORY_INVALID: "The requested memory is more than one cache can address; run several, or request less",
  CACHE_ITEM_SIZE_INVALID: "The largest item must be at least 1 KiB and at most half of the memory",
  CACHE_RESTART_FILE_INVALID: "The warm restart's metadata is not readable; remove FILE.meta to start empty",
  CACHE_LISTEN_INVALID: "An address to listen on has a prefix that means nothing",
  CACHE_TLS_FILES_INVALID: "The certificate, key or list of authorities cannot be read or used; the cause has the reason",
  CACHE_AUTH_FILE_UNREADABLE: "The user file cannot be read; the cause has the system's error",
  CACHE_AUTH_FILE_MALFORMED: "A line of the user file is not 'user:password' of at most 255 bytes",
  CACHE_LISTEN_FAILED: "The cache cannot listen on an address; the cause has the system's error",
  // zmq: the codes of the `zeromq` package where it has one
  ERR_ZMTP_UNSPECIFIED: "The peer violated the protocol in a way without a specific code; the message says how",
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
  ERR_ZMTP_CRYPTOGRAPHIC: "A CURVE box cannot be decrypted; compare both sides' keys",
  ERR_ZMTP_MECHANISM_MISMATCH: "The two sides are set to different security mechanisms",
  ERR_ZMTP_MESSAGE_TOO_LONG: "The peer sent more than maxMessageSize allows; raise it on the receiving socket if that is meant",
  ERR_ZMTP_SUBSCRIPTIONS_TOO_MANY: "The subscriber requested more topics than a publisher stores for one peer",
  ERR_ZMTP_STALLED:
    "The peer did not complete a message while the context's highWaterBytes were used up; raise them, or read faster",
  ERR_ZMTP_HANDSHAKE_TIMEOUT: "The peer connected and did not finish the handshake within handshakeInterval",
  ERR_ZMTP_HEARTBEAT_TIMEOUT: "The peer stayed silent after a PING for longer than heartbeatTimeout, or than its own TTL",
  ERR_ZMTP_REFUSED:
    "The peer answered the handshake with ERROR: its authenticator refused, or the socket types are incompatible",
  ERR_ZAP_MALFORMED_REPLY: "The ZAP handler's reply has not the parts that RFC 27 asks for",
  ERR_ZAP_BAD_VERSION: "The ZAP handler's reply has another version than 1.0",
  ERR_ZAP_BAD_REQUEST_ID: "The ZAP handler's reply answers a request that nobody made",
  ERR_ZAP_INVALID_STATUS_CODE: "The ZAP handler's reply has a status other than 200, 300, 400 and 500",
  ZMQ_Z85_INVALID: "A CURVE key as text is 40 characters of the Z85 alphabet (RFC 32); curveKeyPair() makes a pair",
  EAGAIN: "Nothing to receive, or no room to send, within the time allowed; or the socket was closed while waiting",
  EBADF: "The socket is closed",
  EBUSY: "A bind or unbind of the socket is under way: await it first",
  EFSM: "The socket's request-reply order forbids this now: a REQ sends then receives, a REP receives then sends",
  EHOSTUNREACH: "No connected peer has this routing id (ROUTER with mandatory)",
  EINVAL: "An argument or option is invalid; the message says which",
  ENOTSUP: "This socket type or this implementation cannot do that",
  ENOENT: "The endpoint is not bound or connected",
  ECONNREFUSED: "Nothing listens at this address",
  EADDRINUSE: "The address is in use",
  EADDRNOTAVAIL: "The address is not one of this machine",
  EPROTONOSUPPORT: "The transport is none of tcp, ipc and inproc",
  EACCES: "The operating system denies this address",
  EMFILE: "The context has reached its limit of sockets",
  // queue
  QUEUE_OPTIONS_INVALID: "A submission's or setting's option is unknown or out of range; the message names it",
  QUEUE_NAME_INVALID: "A queue's name is empty or longer than 255 bytes",
  QUEUE_FULL:
    "The queue's limit in bytes is reached (backpressure); submit later, wait for room (whenFull: 'wait') or raise the limit",
  QUEUE_BODY_TOO_LARGE: "A body or result is over the limit; store it in an object store and submit its address",
  QUEUE_TOO_MANY: "More queues, groups, bodies in one submission or tasks to wait for than the limit allows",
  QUEUE_TASK_UNKNOWN: "The task id is unknown: never submitted here, or its result is no longer stored",
  ACCESS_DENIED: "Whoever asks has not the right that this needs; the message names it",
  QUEUE_TASK_STATE: "The task's state does not allow this: cancelling a task that has ended, retrying a task that is not dead",
  QUEUE_KEY_CONFLICT:
    "The idempotency key is known for other payloads, or another number of them; nothing was submitted. Use another key",
  QUEUE_RESULT_EVICTED:
    "The task is completed, but its result had to make room for newer ones; raise the limit (--result-bytes) or read results sooner",
  QUEUE_TASK_DEAD: "The task is dead: all attempts failed or it expired; the message is its last error",
  QUEUE_TASK_DAMAGED:
    "What the store keeps of the task, or of its result, is not what was written: it is dead and cannot be retried; submit it again",
  QUEUE_TASK_CANCELLED: "The task was cancelled before it completed",
  QUEUE_STEPS_CHANGED:
    "The handler's steps are not those that an earlier run of its task has on record: renamed, reordered or left out",
  QUEUE_FLOW_INVALID: "A flow's tasks wait for each other in a cycle, or for one that is not in it",
  QUEUE_STEP_INVALID: "A step's name was used twice in one run, or a step was begun within another",
  QUEUE_RUN_ENDED: "The handler went on after sleep, waitFor or call had ended its run: it must let their error pass",
  QUEUE_STORE_UNAVAILABLE: "The store cannot write (disk full, I/O error): new tasks are refused until it can again",
  QUEUE_STORE_CORRUPT:
    "The store's file is damaged, or a newer version wrote it; `holdfast queue check FOLDER` says what is whole and salvages it, or restore a backup",
  QUEUE_STORE_LOCKED: "Another broker uses this data folder",
  QUEUE_STORE_DENIED: "The NATS servers refuse the user, or forbid a subject that the queue needs; the message names it",
  QUEUE_STORE_FULL: "The queue's log on NATS has no room left: new tasks are refused until there is some; raise the limit",
  QUEUE_STORE_MOVED: "This store's queue was moved to another store, or is about to be; the message says where",
  QUEUE_MOVE_REFUSED: "A queue cannot be moved there: the target holds other tasks, or another move is not finished",
  QUEUE_PROTOCOL: "A message that the broker's protocol does not define; docs/queue-protocol.md lists all",
  QUEUE_UNREACHABLE: "No broker answered before the deadline",
  QUEUE_BATCH_INVALID: "A handler of batches did not return one outcome for each task, in their order",
  QUEUE_PAYLOAD_INVALID: "A payload or result does not match the queue's schema",
  // link
  LINK_OPTION_INVALID: "An option of a link is out of its range; the message names the range",
  LINK_FULL: "Too much is waiting to be sent or acknowledged; wait for earlier sends to settle",
  LINK_GAP: "A message was dropped: it may or may not have reached the peer's application; the message says which",
  LINK_REJECTED: "The peer's application refused the message; the message has its reason",
  LINK_REFUSED: "The server refused the session: token or certificate, session id, version, or no room; the message says which",
  LINK_MESSAGE_TOO_LARGE: "A message is longer than the peer takes; the message has both numbers",
  LINK_FRAME_UNKNOWN:
    "The peer sent bytes that are not a frame of the link protocol: it uses another protocol, or an older version",
  LINK_FRAME_TOO_LARGE: "The peer announced a frame longer than allowed",
  LINK_FRAME_UNEXPECTED: "The peer sent a frame that is not allowed in this state of the connection",
  LINK_BODY_INVALID: "The peer sent a frame whose body cannot be read",
  LINK_ACK_INVALID: "The peer acknowledged messages that were never sent, or withdrew an acknowledgement",
  LINK_GAP_INVALID: "The peer skipped to a message number that has already arrived",
  LINK_WINDOW_EXCEEDED: "The peer exceeded the window of unacknowledged messages",
  LINK_PART_INVALID: "The peer sent a part of a message that does not follow the part before it",
  LINK_FLOOD: "The peer sent too many control frames",
  LINK_WEB_SOCKET_INVALID: "The peer broke the WebSocket protocol, or sent text or compressed data where there are none",
  LINK_PROOF_INVALID: "The server did not prove that it knows the token: it is not the expected server",
  LINK_WATCH_UNSUPPORTED: "The kernel's keep-alive state cannot be read on this machine; it needs Linux, and node:ffi or koffi",
  LINK_ENDED: "The connection ended or failed before the operation completed; the message has the reason",
  // wire
  WIRE_CAPTURE_UNREADABLE:
    "The bytes are not a pcap or pcapng capture, or it is damaged; the packets before the damage are shown",
  WIRE_CAPTURE_FAILED: "Packets cannot be captured on this machine; the message says why",
  // dashboard
  DASHBOARD_TOKEN_REQUIRED: "On another address than loopback the dashboard needs a token of at least 16 characters",
  DASHBOARD_AUTHORIZE_REQUIRED: "A board needs to know who may look: `authorize`, or `open: true` for everybody",
  DASHBOARD_OPTIONS_INVALID: "An option of a board cannot be used; the message says which and why",
  DASHBOARD_NOT_THERE: "The requested object has ended or does not exist; reload the page",
  DASHBOARD_DEMONSTRATION_FAILED: "The demonstration's peer cannot be started; the message says why",
  DASHBOARD_REQUEST_INVALID: "A value of the request is out of range; the message says which",
  DASHBOARD_PART_SILENT: "A part did not answer the dashboard; the message says which and why",
  DASHBOARD_LISTEN_FAILED: "The dashboard cannot listen at its address; give --dashboard another one, or off",
} as const satisfies Record<string, string>;

/** A stable code of `HoldfastError.code`. */
export type ErrorCode = keyof typeof ERROR_CODES;
