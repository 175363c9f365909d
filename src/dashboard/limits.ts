/** ○ Defaults and bounds of the dashboard, each with the reason for its number. */

/** Where the page is: loopback, a port that none of memcached, ZeroMQ's examples and the lecture uses. */
export const LISTEN_DEFAULT = "127.0.0.1:8280";

/** 1 s between two looks at the parts: a person sees no finer change, and rates over a second mean something. */
export const SAMPLE_MS = 1000;

/** A look at the parts may take 1/50 of the time at most: one that takes 100 ms is repeated after 5 s. */
export const SAMPLE_SHARE = 1 / 50;

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
