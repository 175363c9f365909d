/** ○ Defaults and bounds of links, each with the reason for its number. */

/** 12345: the port of the lecture's keep-alive server. */
export const PORT_DEFAULT = 12345;

/** 32767 s and 127: what Linux takes at most (MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL, MAX_TCP_KEEPCNT in its include/net/tcp.h). */
export const KEEP_ALIVE_SECONDS_MAX = 32_767;
export const KEEP_ALIVE_COUNT_MAX = 127;

/** 1 s: automatic user timeouts end this much (or half an interval) before the last keep-alive tick, so that this tick is fatal. */
export const USER_TIMEOUT_MARGIN_MS = 1000;

/** 924.6 s: how long Linux retransmits unacknowledged data with tcp_retries2 = 15 before it gives up (kernel, ip-sysctl). */
export const RETRANSMISSION_MS = 924_600;

/** 120 s: TCP_RTO_MAX, the longest time between two retransmissions: the kernel may notice the end of the time above this much later. */
export const RETRANSMISSION_LAST_MS = 120_000;

/** 200 ms: TCP_RTO_MIN, what a retransmission timer has at least on top of the round trip. */
export const RETRANSMISSION_TIMER_MS = 200;

/** 200 ms: what a tail loss probe waits on top of two round trips when one segment is out (tcp_schedule_loss_probe()). */
export const LOSS_PROBE_MS = 200;

/** 4096: the accept queue asked for, so that thousands of clients may reconnect at once; the system's somaxconn may lower it. */
export const BACKLOG = 4096;

/** 20,000: the usual limit of descriptors of a process; more connections than that cannot be accepted anyway. */
export const CONNECTIONS_MAX = 20_000;

/** 1 MiB: what one connection may have unsent before `send` says LINK_FULL. A reader this far behind reads no more. */
export const UNSENT_BYTES_MAX = 1024 * 1024;

/** 1 s: for the answer to a question of a peer that has closed its side; one that has its answer, or asked nothing, is not kept. */
export const ANSWER_MS = 1000;

/** 256 MiB: what all connections of a server together may have waiting. */
export const TOTAL_BYTES_MAX = 256 * 1024 * 1024;

/** 10 s: time for a TCP connection to be made. A SYN is sent at 0, 1, 3 and 7 s: the fourth still has time to be answered. */
export const CONNECT_MS_MAX = 10_000;

/** 250 ms and 30 s: first retry soon enough to be unnoticed, later ones rare enough that 10,000 clients try 670 times a second. */
export const BACKOFF_BASE_MS = 250;
export const BACKOFF_CAP_MS = 30_000;

/** 10 s: a connection that lasted this long was no failure. Shorter ones count, or a server that accepts and dies is hammered. */
export const BACKOFF_FORGET_MS = 10_000;

/**
 * 64 KiB: a HELLO with a will of the longest kind, or an ACK that refuses a whole window; also what a client
 * may make the server hold before it has a session.
 */
export const CONTROL_BYTES_MAX = 65_536;

/** 1 MiB: as the cache's values; a sensor's reading or a task fits a thousand times over. */
export const MESSAGE_BYTES_MAX = 1024 * 1024;

/** 16 MiB - 1: what the length field of a frame can say. */
export const MESSAGE_BYTES_LIMIT = 0xff_ffff;

/** 4096 messages, 4 MiB: 40,000 messages a second over a path of 100 ms; what one session may make a receiver hold. */
export const WINDOW_MESSAGES = 4096;
export const WINDOW_BYTES = 4 * 1024 * 1024;

/** 255 where a store keeps sessions: after a crash a WELCOME names those that came and are not done, as messages of which 0 bytes are here. */
export const WINDOW_MESSAGES_STORED = 255;

/** 65,536 messages, 16 MiB: what `send` keeps of what is not done; at one reading a second, 18 hours without a connection. */
export const OUTBOX_MESSAGES_MAX = 65_536;
export const OUTBOX_BYTES_MAX = 16 * 1024 * 1024;

/** 16 KiB of reasons told at once; refusals beyond go without, so that 4096 of them and RANGES_MAX fit into CONTROL_BYTES_MAX. */
export const REASONS_BYTES_MAX = 16_384;

/** 256 ranges of numbers told to be done in one receipt; the next one has the rest. */
export const RANGES_MAX = 256;

/** 16 KiB: longer messages are written in parts of this size. A heartbeat behind one part waits 0.8 s on a line of 20 kB/s. */
export const PART_BYTES = 16_384;
/** 60 KiB: a part and its head stay below CONTROL_BYTES_MAX. */
export const PART_BYTES_MAX = 61_440;

/** 64 KiB under way at first, 16 KiB at least, 4 MiB at most: what `PartWindow` chooses from for a session's parts. */
export const PART_WINDOW_FIRST = 65_536;
export const PART_WINDOW_LEAST = 16_384;
export const PART_WINDOW_MAX = 4 * 1024 * 1024;
/** 250 ms and 1 s beyond the shortest delay: parts wait less than that, there is room for more; longer, an urgent message would wait too long. */
export const PART_DELAY_SHORT_MS = 250;
export const PART_DELAY_LONG_MS = 1000;

/** 8 streams of a session at once; more wait for one to end. */
export const STREAMS_MAX = 8;
/** 1 MiB of a stream's source are read ahead of what the peer's application has taken. */
export const STREAM_AHEAD_BYTES = 1024 * 1024;

/** 0.6 of the heartbeat: a peer in the middle of a long frame hears from this side before it would take it for dead; below CONTROL_PER_SECOND. */
export const LIFE_SHARE = 0.6;

/** 5 min: as long as the slowest work that a message should wait for; below the 10 min for which its sender keeps it. */
export const HANDLER_MS_MAX = 300_000;

/** 200 characters: a sentence. Reasons are cut there. */
export const REASON_CHARS_MAX = 200;

/** 255 bytes of UTF-8: what the length field of a name can say. */
export const NAME_BYTES_MAX = 255;

/** 8 KiB: a will is a short message. */
export const WILL_BYTES_MAX = 8192;

/** 30 s: below the 60 s after which AWS's application load balancers close; 333 frames a second for 10,000 sessions. */
export const HEARTBEAT_MS = 30_000;

/** 1 s to 1 h: a client that asks for less would cost more than it tells; for more, keep-alive alone does better. */
export const HEARTBEAT_MS_MIN = 1000;
export const HEARTBEAT_MS_MAX = 3_600_000;

/** A third of the interval: 10 s of 30, several retransmissions on a bad path. */
export const HEARTBEAT_TIMEOUT_SHARE = 1 / 3;

/** 1 s: a deadline noticed this late means that this process was stopped or busy; the peer gets another chance to be heard. */
export const LATE_MS = 1000;

/** 10 s: as for the connection itself; a client has nothing to think about before it says HELLO. */
export const HELLO_MS_MAX = 10_000;

/** 10 failures of a network cost nothing: a token mistyped, a server upgraded before its clients. */
export const STRANGER_FAILURES_FREE = 10;
/** From then on 100 ms until the challenge, doubled with each failure, at most 5 s: half of what an honest client waits for it. */
export const STRANGER_DELAY_MS = 100;
export const STRANGER_DELAY_MS_MAX = 5000;
/** 1 min: then half of the failures are forgotten. */
export const STRANGER_FORGET_MS = 60_000;
/** 64 connections of a slowed network wait at a time: 13 guesses a second at most. */
export const STRANGERS_SLOWED_MAX = 64;
/** 10,000 networks whose failures are remembered: 1 MB; the one quiet for longest is forgotten first. */
export const STRANGER_NETWORKS_MAX = 10_000;

/** 32 and 64 bits of an address tell clients apart: an IPv6 subscriber has at least a /64 (RFC 6177). */
export const NETWORK_PREFIX_IPV4 = 32;
export const NETWORK_PREFIX_IPV6 = 64;

/** 64 connections beyond `connectionsMax` are accepted for the moment in which a stranger is ended to make room. */
export const CONNECTIONS_OVER_MAX = 64;

/** 10 min: a router's restart, a tunnel, a deploy. Longer absences are a gap that is told. */
export const SESSION_TTL_MS = 600_000;

/** 10 s: a connection that comes back within it was not lost enough to announce the will. */
export const WILL_DELAY_MS = 10_000;

/** 100,000 sessions: those of 20,000 connections and what they left behind within a session's time to live. */
export const SESSIONS_MAX = 100_000;

/** 8 ids of clients that had a session's name before: enough to tell those still trying that they were taken over. */
export const IDS_BEFORE_MAX = 8;

/** 1 KiB: a topic of a dozen levels; a filter too. */
export const TOPIC_BYTES_MAX = 1024;
/** 100 filters of one session: a client that wants more wants a wildcard. */
export const FILTERS_MAX = 100;
/** 16 MiB of last values, and what one costs beyond its bytes: a branch of a tree. 60,000 sensors' values fit. */
export const KEPT_BYTES_MAX = 16 * 1024 * 1024;
export const KEPT_COST_BYTES = 256;
/** 16 KiB: a longer message is worth being confirmed; an unconfirmed one is written in one frame, which heartbeats wait for. */
export const UNCONFIRMED_BYTES_MAX = 16_384;
/** 64 KiB ahead of the kernel: a peer that is further behind is slow, and gets no unconfirmed messages. */
export const UNCONFIRMED_AHEAD_BYTES = 65_536;
/** 256 unconfirmed messages of a peer in handlers that returned a promise; more are dropped. */
export const UNCONFIRMED_OPEN_MAX = 256;

/** 1 s: between two GAPs with no message after the first; below CONTROL_PER_SECOND. */
export const GAP_ALONE_MS = 1000;

/** 1 MiB of what is done lies in a spool before it is written anew. */
export const SPOOL_BYTES_LOOSE = 1024 * 1024;

/** 64 and 2 a second: control frames that a peer may send at once and for long. An honest one sends one a heartbeat. */
export const CONTROL_BURST = 64;
export const CONTROL_PER_SECOND = 2;

/** 16 KiB: bytes travel in WebSocket messages of at most so many; a browser hands on whole ones only, 0.8 s of a line of 20 kB/s. */
export const WEB_SOCKET_MESSAGE_BYTES = 16_384;

/** 50 ms: how often a browser's WebSocket is asked what it has not sent; it tells nobody. */
export const WEB_SOCKET_LOOK_MS = 50;

/** 5 s: for what is under way to be confirmed after a BYE; then the connection ends all the same. */
export const LEAVE_MS_MAX = 5000;

/** 35 s: as long as keep-alive's default would take to find a dead peer. */
export const STALL_MS = 35_000;

/** 16 KiB: longer messages go to the socket as they are; shorter ones are copied into one buffer, cheaper than a vector of many. */
export const COPY_BYTES_MAX = 16_384;

/** 256 KiB: bytes handed to the socket ahead of the kernel; the rest waits in the outbox, where it can still be dropped or moved. */
export const SOCKET_AHEAD_BYTES = 256 * 1024;

/** ±10 %: jitter of a connection's greatest age, so that what was made together does not end together (as gRPC's A9). */
export const AGE_JITTER = 0.1;

/** 250 ms: a person sees a probe as it happens; four calls a second cost 8 µs. */
export const WATCH_MS = 250;

/** 1000 events: a day of probes every 90 s, should nobody read them. */
export const WATCH_EVENTS_MAX = 1000;

/** 5 s: the longest pause before a reading is offered again to a queue that is full or away. */
export const GATEWAY_CAP_MS = 5000;

/** 1000 connections: about 10 ms of system calls. A snapshot has the others' keep-alive values as undefined. */
export const STATS_ASKED_MAX = 1000;
