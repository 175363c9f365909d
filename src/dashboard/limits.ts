/** ○ Defaults and bounds of the dashboard, each with the reason for its number. */

/** Loopback, and a port that neither memcached nor ZeroMQ's examples use. */
export const LISTEN_DEFAULT = "127.0.0.1:8280";

/** 1 s between two samples of the parts: long enough for meaningful rates, short enough for a live page. */
export const SAMPLE_MS = 1000;

/** Sampling the links may take 1/50 of the time: a sample of 60 ms of CPU (10,000 connections) is taken every 3 s. */
export const SAMPLE_SHARE = 1 / 50;

/** At most 10 s between two samples of the links, so that a dead peer is shown within that time. */
export const LINK_SAMPLE_MS_MAX = 10_000;

/** 300 points of history: five minutes at one a second, 30 KB when sent to a page that opens. */
export const HISTORY_POINTS_MAX = 300;

/** 64 pages open at once: more than a team has; each costs a socket and one write a second. */
export const STREAMS_MAX = 64;

/** 100 rows of a list in one answer to the page, which asks for those that it shows; the totals count all of them. */
export const ROWS_MAX = 100;

/** 1 MiB of a request's body: the largest task that can be added by hand. */
export const REQUEST_BYTES_MAX = 1024 * 1024;

/** 256 bits: the token that protects the actions against requests of other sites. */
export const TOKEN_BYTES = 32;

/** 5 s for running requests when the dashboard closes; streams end at once. */
export const CLOSE_MS_MAX = 5000;

/** 20 ms between two checks for idle connections while the dashboard closes. */
export const SWEEP_MS = 20;

/** 100 ms between two polls of the watched connection: a smooth countdown. */
export const WATCH_MS = 100;

/** At most 1 s between two polls of the watched connection, so that a keep-alive of 1 s is still shown probe by probe. */
export const WATCH_MS_MAX = 1000;

/** Polling may take 1/20 of the time: with 10,000 connections in the kernel's table a poll takes 20 ms and runs every 0.4 s. */
export const WATCH_SHARE = 1 / 20;

/** 200 ms between two updates of the watched connection: five a second under any traffic. */
export const LAB_UPDATE_MS = 200;

/** 10,000 events of links, 2 MB: a day of a farm whose peers come and go seven times a minute. */
export const LINK_EVENTS_MAX = 10_000;

/** 400 events on a lifeline: more do not fit on a screen. */
export const LIFELINE_EVENTS_MAX = 400;

/** 4000 packets kept for the pcapng file: 66 bytes each in the demonstration, 64 KiB for a full segment, so 256 MiB at most. */
export const LIFELINE_FRAMES_MAX = 4000;

/** 5 s for an answer of a part, as long as a slow disk flush; then the page shows an error. */
export const REQUEST_MS_MAX = 5000;

/** 50 tasks a page: a screen or two. */
export const TASKS_PAGE_MAX = 50;

/** 12 prefixes shown: few enough to compare. */
export const PREFIXES_SHOWN_MAX = 12;

/** 3 s that the Learn page's worker waits for a task. */
export const WORK_MS_MAX = 3000;

/** 10,000 characters of a value stored from the page. */
export const STORED_CHARS_MAX = 10_000;

/** 4 MiB of tapped packets are buffered for a reader; further ones are dropped and counted. */
export const TAPPED_BYTES_MAX = 4 * 1024 * 1024;

/** 1000 who listen to a queue's events over HTTP: each costs a socket and about 20 KB. */
export const EVENT_STREAMS_MAX = 1000;
/** 15 s without an event, then a comment: proxies end what is silent for 30 s to 60 s. */
export const EVENT_STREAM_SILENCE_MS = 15_000;

/** 4 readers of the tapped stream: each costs the servers about as much as serving the traffic. */
export const TAPPED_STREAMS_MAX = 4;

/** 64 KiB of a task's body are shown; the whole of it can be saved. */
export const SHOWN_BYTES_MAX = 64 * 1024;

/** 30 s that a call over HTTP waits for a result: proxies end what is silent for a minute. At most 10 min, where none is between. */
export const CALL_WAIT_MS_DEFAULT = 30_000;
export const CALL_WAIT_MS_MAX = 600_000;

/** 24 MiB of a request to the API: the largest body of a task by default, in base64. */
export const API_BODY_BYTES_MAX = 24 * 1024 * 1024;

/** 10 s to undo a removal: long enough to see what one has done. */
export const UNDO_MS = 10_000;

/** 60 s for what is done to many tasks: a million are written in ten parts of half a second. */
export const BULK_MS_MAX = 60_000;

/** 256 processes of a farm on one page: each costs a request every two seconds while somebody looks. */
export const FARM_MEMBERS_MAX = 256;

/** 2 s for a peer's answer: a healthy one takes milliseconds, and whoever looks wants to know of the others now. */
export const MEMBER_MS_MAX = 2000;

/** 5 s between two words of a broker to its group: a few hundred bytes. */
export const MEMBER_NEWS_MS = 5000;

/** 2 s between two questions to a peer. */
export const MEMBERS_STALE_MS = 2000;

/** 64 KiB of a peer's answer, which has a few hundred bytes. */
export const MEMBER_BYTES_MAX = 64 * 1024;

/** 1,000 queues with 20 series each in /metrics: 2 MB a scrape; those beyond are one, "(others)". */
export const QUEUE_SERIES_MAX = 1000;

/** A day in minutes. */
export const DAY_POINTS_MAX = 1440;

/** A month, 31 days, in hours. */
export const MONTH_POINTS_MAX = 744;

/** 200 queues whose history is kept by name; the others are one. Each is 30 kB in memory, 26 kB in the file. */
export const QUEUES_TRACKED_MAX = 200;

/** 5.4 MB of history of queues in its file, with 200 queues of the longest names; a queue costs 26 kB. */
export const QUEUE_HISTORY_BYTES_MAX = 5_400_000;

/** 5 min between two writes of it: 18 kB a second at most. A process that is killed loses so much of its queues' charts. */
export const QUEUE_HISTORY_SAVE_MS = 300_000;

/** 200 queues with histograms of 26 series each in /metrics: 0.5 MB a scrape; those beyond are one, "(others)". */
export const HISTOGRAM_QUEUES_MAX = 200;

/** 60 s between two writes of the history's file, of less than 300 kB: what a process that is killed may lose of a chart. */
export const ARCHIVE_SAVE_MS = 60_000;
