/** ○ Defaults and bounds of the dashboard, each with the reason for its number. */

/** Where the page is: loopback, a port that none of memcached, ZeroMQ's examples and the lecture uses. */
export const LISTEN_DEFAULT = "127.0.0.1:8280";

/** 1 s between two looks at the parts: a person sees no finer change, and rates over a second mean something. */
export const SAMPLE_MS = 1000;

/** A look at the links may take 1/50 of the time: one that costs 60 ms of CPU (a machine with 10,000 connections) comes every 3 s. */
export const SAMPLE_SHARE = 1 / 50;

/** 10 s between two looks at the links at most, whatever they cost: a dead peer must not stay hidden for longer. */
export const LINK_LOOK_MS_MAX = 10_000;

/** 300 points of history: five minutes at one a second, 30 KB when sent to a page that opens. */
export const HISTORY_POINTS_MAX = 300;

/** 64 pages open at once: more than a team has; each costs a socket and one write a second. */
export const STREAMS_MAX = 64;

/** 100 connections, queues or classes in one list sent to the page; the totals count all of them. */
export const ROWS_MAX = 100;

/** 1 MiB of a request's body: the largest task that can be added by hand. */
export const REQUEST_BYTES_MAX = 1024 * 1024;

/** 256 bits: what stands between another site and the actions. */
export const TOKEN_BYTES = 32;

/** 5 s for requests under way when the dashboard closes; streams are ended at once. */
export const CLOSE_MS_MAX = 5000;

/** 20 ms between two looks for connections that have become idle while the dashboard closes. */
export const SWEEP_MS = 20;

/** 100 ms between two looks at the one connection that is watched closely: the eye sees no finer countdown. */
export const LOOK_MS = 100;

/** 1 s between two close looks at most: a keep-alive of 1 s is still told probe by probe. */
export const LOOK_MS_MAX = 1000;

/** A close look may take 1/20 of the time: with 10,000 connections in the kernel's table it takes 20 ms, so it comes every 0.4 s. */
export const LOOK_SHARE = 1 / 20;

/** 200 ms between two tellings of the watched connection: five pictures a second, whatever passes. */
export const LAB_TELL_MS = 200;

/** 400 marks on a lifeline: more than two minutes of a busy connection fit no screen. */
export const LIFELINE_EVENTS_MAX = 400;

/** 4000 packets kept for the pcapng file: the demonstration's are 66 bytes, a full segment's 64 KiB, so 256 MiB at the very worst. */
export const LIFELINE_FRAMES_MAX = 4000;

/** 5 s for the parts to answer what the page asks: a disk's worst flush; then the page says so. */
export const ASK_MS_MAX = 5000;

/** 50 tasks a page: a screen or two. */
export const TASKS_PAGE_MAX = 50;

/** 12 prefixes shown: what a person compares at a glance. */
export const PREFIXES_SHOWN_MAX = 12;

/** 3 s that the page's stand-in worker waits for a task: if none came by then, none is there. */
export const WORK_MS_MAX = 3000;

/** 10,000 characters stored by hand from the page. */
export const STORED_CHARS_MAX = 10_000;

/** 4 MiB of tapped packets wait for a reader; what comes beyond is left out and counted. */
export const TAPPED_BYTES_MAX = 4 * 1024 * 1024;

/** 4 readers of the tapped stream: each costs the servers about as much as serving the traffic does. */
export const TAPPED_STREAMS_MAX = 4;
