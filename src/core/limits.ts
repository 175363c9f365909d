/**
 * ○ Defaults and bounds that more than one part uses, each with the reason for its number. What one part alone uses stands in
 * that part's own `limits.ts`.
 */

/** 5 s: long enough to answer what was asked before the signal, short of the 10 s after which container hosts kill. */
export const DRAIN_MS_MAX = 5000;

/** Loopback: nothing listens beyond this machine unless told to. */
export const HOST_DEFAULT = "127.0.0.1";

/** Lecture values, in ms and tries: first probe after 5 s of silence, then every 10 s, dead after 3 unanswered: 35 s. */
export const KEEP_ALIVE_DEFAULT = { idleMs: 5000, intervalMs: 10_000, count: 3 } as const;
