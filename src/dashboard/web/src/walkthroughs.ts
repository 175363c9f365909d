/** ● The texts of the walkthroughs, and what each step does to the running parts. */
import { showCount, showDuration } from "./format.ts";
import { act, read } from "./live.ts";
import type { WalkthroughText } from "./walkthrough.tsx";

const LESSON_KEY = "lesson:greeting";
const LESSON_QUEUE = "lesson";

export const CACHE_WALKTHROUGH: WalkthroughText = {
  title: "What a cache does",
  question:
    "Reading from a database again and again is slow. A cache keeps what was read, in the memory of many servers, for whoever asks next.",
  picture: ["application", "cache", "database"],
  view: "cache",
  steps: [
    {
      title: "a miss",
      text: "The application asks the cache first. What was never stored, or has expired, is a miss: it must go to the database.",
      button: "Ask for a key that is not there",
      does: () => ask("lesson:never-stored"),
      watches: ({ cache }) => `Misses so far: ${showCount(cache?.totals.misses ?? 0)}`,
    },
    {
      title: "a set",
      text: "What the database said is stored under its key, with a time after which it is forgotten.",
      button: "Store a greeting for 60 seconds",
      does: async () => {
        await act("/api/cache/store", { key: LESSON_KEY, value: "hello", seconds: 60 });
        return `${LESSON_KEY} is stored.`;
      },
      watches: ({ cache }) => `Items now: ${showCount(cache?.items ?? 0)}, sets so far: ${showCount(cache?.totals.sets ?? 0)}`,
    },
    {
      title: "a hit",
      text: "Whoever asks next, from any server, gets it from memory. The share of such answers is the hit ratio: the number to watch.",
      button: "Ask for the greeting",
      does: () => ask(LESSON_KEY),
      watches: ({ cache }) => `Hits so far: ${showCount(cache?.totals.hits ?? 0)}`,
    },
    {
      title: "full",
      text: "Memory ends. Then what was not used for longest is thrown out: an eviction. Many of them mean that the cache is too small.",
      watches: ({ cache }) => `Evictions so far: ${showCount(cache?.totals.evictions ?? 0)}`,
    },
  ],
};

export const QUEUE_WALKTHROUGH: WalkthroughText = {
  title: "What a message queue does",
  question:
    "A front end must answer at once, but the work takes long. It puts a task into a queue; workers take tasks when they have time.",
  picture: ["front end", "queue", "worker"],
  view: "queue",
  steps: [
    {
      title: "a task is added",
      text: "The front end is answered when the task is on disk. From then on it is not lost, whatever breaks.",
      button: "Add a task",
      does: async () =>
        `Task ${(await act<{ id: string }>("/api/queue/add", { queue: LESSON_QUEUE, body: "hello", delayMs: 0 })).id} is on disk.`,
      watches: ({ queue }) => `Waiting in ${LESSON_QUEUE}: ${showCount(lesson(queue)?.states.waiting ?? 0)}`,
    },
    {
      title: "a worker takes it",
      text: "Workers come and go at any time. Each takes one task, does it, and says so; a task of a worker that dies goes to another.",
      button: "Be the worker for one task",
      does: async () => {
        const { task, body } = await act<{ task: string; body: string }>("/api/queue/work", { queue: LESSON_QUEUE });
        return `Task ${task} (“${body}”) is completed.`;
      },
      watches: ({ queue }) =>
        `Completed in ${LESSON_QUEUE} since the start: ${showCount(lesson(queue)?.states.completed ?? 0)}`,
    },
    {
      title: "why a task waits",
      text: "A task that waits can say why: no worker, a pause, a bound, or simply others before it.",
      button: "Ask the oldest task",
      does: async () => {
        const { tasks } = await read<{ tasks: { id: string }[] }>(`/api/queue/tasks?queue=${LESSON_QUEUE}&state=waiting`);
        const first = tasks[0];
        if (!first) return "No task waits; add one first.";
        const { task } = await read<{ task: { waits?: string } }>(`/api/queue/task?id=${encodeURIComponent(first.id)}`);
        return `Task ${first.id}: ${task.waits ?? "it does not wait"}.`;
      },
    },
  ],
};

export const LINK_WALKTHROUGH: WalkthroughText = {
  title: "What keep-alive does",
  question:
    "A connection that is silent for hours looks the same whether the other side lives or not. Keep-alive asks, in the kernel, without a byte of payload.",
  picture: ["server", "cable", "client"],
  view: "link",
  steps: [
    {
      title: "silence, then a probe",
      text: "After some silence the kernel sends an empty packet with an old number; the other kernel must answer. Applications see nothing of it.",
      button: "Connect, with probes after 2 s",
      does: async () => {
        await act("/api/lab/demonstrate", { idleMs: 2000, intervalMs: 2000, count: 3 });
        return "Connected. Wait two seconds.";
      },
      watches: probesAnswered,
    },
    {
      title: "a frozen process",
      text: "Stop the peer's process: its kernel still answers every probe. That TCP is alive does not mean that the application is.",
      button: "Freeze the peer",
      does: async () => {
        await toLab("freeze");
        return "Frozen. The probes are answered all the same.";
      },
      watches: probesAnswered,
    },
    {
      title: "a cut cable",
      text: "Now nothing arrives any more. After the agreed number of unanswered probes the kernel gives the connection up.",
      button: "Let it go on, and cut the cable",
      does: async () => {
        await toLab("thaw");
        await toLab("cut");
        return "Cut.";
      },
      watches: (_snapshot, lab) => {
        if (!lab) return "";
        const { probesUnanswered = 0, nextProbeInMs } = lab.connection;
        return lab.ended
          ? "The connection was given up."
          : `${probesUnanswered} unanswered, next in ${showDuration(nextProbeInMs ?? 0)}`;
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

function lesson(queue: Parameters<Watch>[0]["queue"]) {
  return queue?.queues.find(({ name }) => name === LESSON_QUEUE);
}
