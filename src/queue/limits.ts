/** ○ Bounds and defaults of the queue, each with the reason for its number. Times in ms, sizes in bytes. */

/** 4 GiB of waiting bodies: they lie on disk, and a disk of a small virtual machine has 20 GB. */
export const QUEUE_BYTES_MAX = 4 * 1024 ** 3;

/** 64 MiB of bodies kept in memory so that what is taken soon after it came is not read back from disk. */
export const BODY_CACHE_BYTES_MAX = 64 * 1024 ** 2;

/** 64 MiB of results and rows of ended tasks; past it the oldest go first, so that a flood of results cannot fill the disk. */
export const ENDED_BYTES_MAX = 64 * 1024 ** 2;

/** 64 MiB of tasks whose results had to go and whose keys are remembered: half a million of them. */
export const EVICTED_BYTES_MAX = 64 * 1024 ** 2;

/** 256 MiB of dead tasks: they are evidence, so they get more room than results that nobody fetched. */
export const DEAD_BYTES_MAX = 256 * 1024 ** 2;

/** What one task costs beside its body: its row, its place in the indices, its share of the schedule. Counted into every bound. */
export const TASK_OVERHEAD_BYTES = 128;

/** 16 MiB: a body or result larger than that belongs in an object store, with its address in the queue. */
export const BODY_BYTES_MAX = 16 * 1024 ** 2;

/** 128 MiB: the largest message of either side; a longer one ends its connection. */
export const MESSAGE_BYTES_MAX = 128 * 1024 ** 2;

/** Bodies of one message; a MiB is left for what goes with them: 10,000 frames' headers, options, 1000 ids to wait for. */
export const CARRIED_BYTES_MAX = MESSAGE_BYTES_MAX - 1024 ** 2;

/** 16 MiB of submissions held for producers that chose to wait for room; beyond that even they are refused. */
export const HELD_BYTES_MAX = 16 * 1024 ** 2;

/** 255: one length octet on disk; a name is read by people. */
export const NAME_BYTES_MAX = 255;

/** 10,000 bodies in one submission: one commit of a few MB, about 50 ms of the disk's time. */
export const BATCH_TASKS_MAX = 10_000;

/** 10,000 named queues: each costs about 2 KB; more means names are made from data, which is what groups are for. */
export const QUEUES_MAX = 10_000;

/** 100,000 groups that have tasks, or starts that count against a rate: about 400 bytes each. */
export const GROUPS_MAX = 100_000;

/** 1000 groups with bounds of their own in one queue: 100 KB of settings. */
export const NAMED_GROUPS_MAX = 1000;

/** 1000 tasks that one task may wait for: a fan-in of more is made of stages. */
export const AFTER_MAX = 1000;

/** 1000 concurrent tasks asked for by one consumer. */
export const SLOTS_MAX = 1000;

/** 64 threads of one worker: each takes 10 MB and more, and there are more cores than that in few machines. */
export const THREADS_MAX = 64;

/** 10 s: whoever gives priorities expects the lower ones to wait, not to be forgotten. */
export const AGING_MS_DEFAULT = 10_000;

/** One of 8 starts goes to a task that has waited for long: an eighth of the workers is what a higher priority loses at most. */
export const AGED_STARTS = 8;

/** RabbitMQ's range: 0 (default) to 255, higher first. */
export const PRIORITY_MAX = 255;

/** 64 listed pauses between attempts, 512 bytes of a task's record: from there on the last one will do. */
export const PAUSES_MAX = 64;

/** 65,535: two octets in a row, and years with the longest pauses. */
export const ATTEMPTS_MAX = 65_535;

/** Five attempts at 1, 2, 4 and 8 s ride out a restart of what the task depends on; more is for the task's owner to ask. */
export const ATTEMPTS_DEFAULT = 5;
export const BACKOFF_MS_DEFAULT = 1000;
/** 5 min: past it a longer pause no longer helps whoever has to recover, it only delays. */
export const BACKOFF_MS_MAX_DEFAULT = 5 * 60_000;

/** 10 min: a caller that lost its broker is back by then and finds its result. */
export const KEEP_MS_DEFAULT = 10 * 60_000;

/** 14 days: dead tasks outlive a holiday. */
export const DEAD_KEEP_MS = 14 * 24 * 3_600_000;

/** 1 h: a listener that is deployed anew, or whose machine restarts, is back by then. */
export const EVENTS_KEEP_MS = 3_600_000;

/** 64 MiB of events: four million, of about a million tasks. */
export const EVENTS_BYTES_MAX = 64 * 1024 ** 2;

/** A task during which ten workers' connections broke is itself suspected, and is buried. */
export const LOST_MAX = 10;

/**
 * After 2 such losses a task is a suspect and runs alone: one loss is what each restart of a worker brings, and with two the tasks
 * that were merely beside it have lost no more than a fifth of what they may.
 */
export const SUSPECT_LOSSES = 2;

/** 5 s: after a restart, workers that still hold leases come back within a few reconnect intervals; then their tasks are waiting. */
export const RESUME_MS = 5000;

/**
 * 10 min: how long a task without an `attemptTimeout` stays with a worker that lives and does not answer, because a handler holds its
 * event loop. Ten times what a handler that computes should take, and short enough that a task caught in an endless loop is known the
 * same hour.
 */
export const KEPT_MS_MAX = 10 * 60_000;

/** 100,000 edges of one flow: ten for each of its tasks at most, 800 KB in their heads. */
export const FLOW_EDGES_MAX = 100_000;

/** 10,000 steps of one task's handler: each run reads them all. */
export const STEPS_MAX = 10_000;
/** 16 MiB of results of steps and of signals of one task, as of a body: each run is sent them all. */
export const HISTORY_BYTES_MAX = 16 * 1024 ** 2;

/** 20 ms: a lease is written down only when the task takes longer than that; a shorter one costs no write. */
export const LEASE_WRITE_MS = 20;

/** Three heartbeats missed mean gone: one may be late, two unlucky. */
export const HEARTBEATS_MISSED_MAX = 3;

/** 8 KiB of each attempt's error is kept: a message and a whole stack of ten frames with long paths. */
export const ERROR_BYTES_MAX = 8 * 1024;

/** 64 KiB for options, settings and inspection requests: all are a handful of fields. */
export const OPTIONS_BYTES_MAX = 64 * 1024;
/** 1 MiB for options of each of many tasks: 100 bytes for each of 10,000. */
export const EACH_BYTES_MAX = 1024 ** 2;

/** 500 ms between looks at the wall clock while something waits for it: when it was set, that is noticed within a second. */
export const WALL_LOOK_MS = 500;

/**
 * 5 s: a run of a schedule that comes later than that was missed. No broker that runs is held up for so long; one that was stopped
 * (SIGSTOP, a sleeping laptop), or whose clock was set forward, is.
 */
export const CRON_LATE_MS = 5000;

/** Missed cron runs made up for with `missed: "all"`: a day of minutes is too many, an hour and a half is bearable. */
export const CRON_CATCH_UP_MAX = 100;

/** 100 workers listed in STATS, the newest; the counts are of all. */
export const WORKERS_LISTED_MAX = 100;

/** 20 workers that left, for a minute: an operator who reads an alarm still sees which left. */
export const LEFT_MAX = 20;
export const LEFT_MS = 60_000;

/** Year 2255 in ms: what a time field may say at most (also keeps sums of times safe integers). */
export const TIME_MS_MAX = 9_000_000_000_000;

/** 100,000 tasks in one purge: one commit of about half a second. A client asks again while so many go. */
export const PURGE_TASKS_MAX = 100_000;

/** 200,000 removed tasks that may come back at once: 30 MB. */
export const UNDO_TASKS_MAX = 200_000;

/** 1 min at most that removed tasks may come back: they take room in the store meanwhile. */
export const UNDO_MS_MAX = 60_000;
