/** ● The texts of the walkthroughs, and the action of each step on the running servers. */
import { showCount, showDuration } from "./format.ts";
import { act, read } from "./live.ts";
import type { WalkthroughText } from "./walkthrough.tsx";

const LESSON_KEY = "lesson:greeting";
const LESSON_QUEUE = "lesson";

export const CACHE_WALKTHROUGH: WalkthroughText = {
  title: "What a cache does",
  question:
    "Reading the same data from a database again and again is slow. A cache keeps it in memory, shared by all servers of the application.",
  picture: ["application", "cache", "database"],
  view: "cache",
  steps: [
    {
      title: "a miss",
      text: "The application reads from the cache first. A key that was never stored, or has expired, is a miss: the application must read from the database.",
      button: "Get a key that is not stored",
      does: () => ask("lesson:never-stored"),
      watches: ({ cache }) => `Misses: ${showCount(cache?.totals.misses ?? 0)}`,
    },
    {
      title: "a set",
      text: "The application stores the result of the database query under its key, with a time to live after which it expires.",
      button: "Store a greeting for 60 seconds",
      does: async () => {
        await act("/api/cache/store", { key: LESSON_KEY, value: "hello", seconds: 60 });
        return `${LESSON_KEY} is stored.`;
      },
      watches: ({ cache }) => `Items: ${showCount(cache?.items ?? 0)}, sets: ${showCount(cache?.totals.sets ?? 0)}`,
    },
    {
      title: "a hit",
      text: "The next get of this key, from any server, is answered from memory. The fraction of gets that are hits is the hit ratio, the most important number of a cache.",
      button: "Get the greeting",
      does: () => ask(LESSON_KEY),
      watches: ({ cache }) => `Hits: ${showCount(cache?.totals.hits ?? 0)}`,
    },
    {
      title: "an eviction",
      text: "Memory is limited. When it is full, the least recently used item is evicted. Many evictions mean that the cache is too small.",
      watches: ({ cache }) => `Evictions: ${showCount(cache?.totals.evictions ?? 0)}`,
    },
  ],
};

export const QUEUE_WALKTHROUGH: WalkthroughText = {
  title: "What a message queue does",
  question:
    "A front end must answer immediately, but the work takes long. It adds a task to a queue; workers fetch tasks when they are idle.",
  picture: ["front end", "queue", "worker"],
  view: "queue",
  steps: [
    {
      title: "a task is added",
      text: "The front end gets its answer once the task is on disk. After that it survives a crash of the broker.",
      button: "Add a task",
      does: async () =>
        `Task ${(await act<{ id: string }>(`/api/v1/queues/${LESSON_QUEUE}/tasks`, { bodyBase64: btoa("hello") })).id} was stored.`,
      watches: ({ queue }) => `Waiting in all queues: ${showCount(queue?.states.waiting ?? 0)}`,
    },
    {
      title: "a worker takes it",
      text: "Workers connect and disconnect at any time. A worker takes a task, processes it and acknowledges it; if the worker dies, another one gets the task.",
      button: "Process one task",
      does: async () => {
        const { task, body } = await act<{ task: string; body: string }>("/api/queue/work", { queue: LESSON_QUEUE });
        return `Task ${task} (“${body}”) is completed.`;
      },
      watches: ({ queue }) => `Completed in all queues, and still kept: ${showCount(queue?.states.completed ?? 0)}`,
    },
    {
      title: "why a task waits",
      text: "A waiting task shows why it waits: no worker, a paused queue, a limit, or other tasks before it.",
      button: "Show why the oldest task waits",
      does: async () => {
        const { tasks } = await read<{ tasks: { id: string }[] }>(`/api/v1/tasks?queue=${LESSON_QUEUE}&state=waiting&limit=1`);
        const first = tasks[0];
        if (!first) return "No waiting task; add one first.";
        const { waits } = await read<{ waits?: string }>(`/api/v1/tasks/${encodeURIComponent(first.id)}`);
        return `Task ${first.id}: ${waits ?? "it does not wait"}.`;
      },
    },
  ],
};

export const LINK_WALKTHROUGH: WalkthroughText = {
  title: "What keep-alive does",
  question:
    "An idle connection looks the same whether the peer is alive or not. TCP keep-alive lets the kernel check the connection without sending payload.",
  picture: ["server", "network", "client"],
  view: "link",
  steps: [
    {
      title: "idle time, then a probe",
      text: "After the idle time the kernel sends an empty segment with an old sequence number, which the peer's kernel must acknowledge. The applications do not notice.",
      button: "Connect, with probes after 2 s",
      does: async () => {
        await act("/api/lab/demonstrate", { idleMs: 2000, intervalMs: 2000, count: 3 });
        return "Connected. The first probe is sent after 2 s.";
      },
      watches: probesAnswered,
    },
    {
      title: "a suspended process",
      text: "Suspend the peer process: its kernel still answers every probe. A live TCP connection does not prove that the application works.",
      button: "Suspend the peer process",
      does: async () => {
        await toLab("freeze");
        return "Suspended. Its kernel still answers the probes.";
      },
      watches: probesAnswered,
    },
    {
      title: "a cut network",
      text: "Now no packet arrives. After the configured number of unanswered probes the kernel closes the connection.",
      button: "Resume the peer and cut the network",
      does: async () => {
        await toLab("thaw");
        await toLab("cut");
        return "The network is cut.";
      },
      watches: (_snapshot, lab) => {
        if (!lab) return "";
        const { probesUnanswered = 0, nextProbeInMs } = lab.connection;
        return lab.ended
          ? "The connection was closed."
          : `${probesUnanswered} unanswered, next probe in ${showDuration(nextProbeInMs ?? 0)}`;
      },
    },
  ],
};

async function ask(key: string): Promise<string> {
  const answer = await act<{ text?: string }>("/api/cache/value", { key });
  return answer.text === undefined ? `${key}: a miss.` : `${key}: a hit, “${answer.text}”.`;
}

async function toLab(action: "freeze" | "thaw" | "cut"): Promise<void> {
  await act("/api/lab/act", { action });
}

type Watch = NonNullable<WalkthroughText["steps"][number]["watches"]>;

function probesAnswered(...[, lab]: Parameters<Watch>): string {
  return lab ? `Probes answered: ${lab.events.filter(({ kind }) => kind === "answer").length}` : "";
}
