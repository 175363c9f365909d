/** ● One task beside the list that it was opened from: everything that is known of it, live, under a URL of its own. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { SHOWN_BYTES_MAX } from "../../limits.ts";
import { useAction, usePolled } from "./components.tsx";
import { showDuration, showMoment, showSize, showTimeMs } from "./format.ts";
import { Life, type Step } from "./life.tsx";
import { act, read, readBytes, urlOf } from "./live.ts";
import { go, hrefOf, type ViewRoute } from "./route.ts";
import type { FlowDetail, TaskDetail } from "./task.ts";
import { StateBadge, TaskActions } from "./task-actions.tsx";

const POLL_MS = 1000;
/** 20 tasks of a flow as links: more are counted. */
const FLOW_LINKS_MAX = 20;

interface TaskDrawerProps {
  readonly id: string;
  readonly route: ViewRoute;
  /** The time by the server's clock. */
  readonly nowMs: number;
  readonly changed: () => void;
}

export function TaskDrawer({ id, route, nowMs, changed }: TaskDrawerProps) {
  const path = `/api/v1/tasks/${encodeURIComponent(id)}`;
  const { value: task, failed, again } = usePolled(() => read<TaskDetail>(`${path}?body=false`), POLL_MS, id);
  const title = useId();
  const host = useRef<HTMLElement>(null);
  // Who opens it with the keyboard goes on in it, and with Escape back to the list.
  useEffect(() => host.current?.focus({ preventScroll: true }), []);
  const close = (): void => {
    go(route, { task: undefined });
    document.querySelector<HTMLElement>(`a[href*="task=${CSS.escape(encodeURIComponent(id))}"]`)?.focus();
  };
  return (
    <aside
      ref={host}
      class="drawer"
      tabIndex={-1}
      aria-labelledby={title}
      onKeyDown={(event) => {
        if (event.key === "Escape") close();
      }}
    >
      <div class="title">
        <h3 id={title}>Task {id}</h3>
        <button type="button" class="close" aria-label="Close the task" onClick={close}>
          ✕
        </button>
      </div>
      {failed ? <p class="bad">{failed}</p> : null}
      {task ? (
        <>
          <p class="buttons">
            <StateBadge task={task} />
            <a href={`#/task/${encodeURIComponent(id)}`}>Story</a>
            <TaskActions
              task={task}
              changed={() => {
                again();
                changed();
              }}
            />
          </p>
          {task.waits ? <p>Waiting because: {task.waits}.</p> : null}
          <Facts task={task} route={route} nowMs={nowMs} />
          <Life steps={stepsOf(task)} />
          <Body key={task.state} path={path} task={task} />
        </>
      ) : null}
    </aside>
  );
}

function Facts({ task, route, nowMs }: { task: TaskDetail; route: ViewRoute; nowMs: number }) {
  const { state, atMs } = task;
  const when = (ms: number | undefined): string | undefined => (ms === undefined ? undefined : showMoment(ms, nowMs));
  const facts: readonly (readonly [name: string, value: ComponentChildren])[] = [
    ["Queue", task.queue],
    ["Group", task.group],
    ["Priority", task.priority],
    ["Key", keyText(task)],
    ["Added", when(task.createdMs)],
    [state === "active" ? "Began" : "Last began", when(task.startedMs)],
    [AT_MEANS[state], when(atMs)],
    ["Expires", when(task.expiresMs)],
    [state === "active" ? "Worker" : "Last worker", task.worker],
    ["Progress", task.progress === undefined ? undefined : <Progress said={task.progress} />],
    ["Failures", task.attempts === undefined ? task.failures : `${task.failures} of at most ${task.attempts} attempts`],
    ["Workers lost", task.lost ? task.lost : undefined],
    ["Timeout", task.timeoutMs ? showDuration(task.timeoutMs) : undefined],
    ["Waits for", task.after?.map((id) => <TaskLink key={id} id={id} route={route} />)],
    ["Trace", task.traceId === undefined ? undefined : <code>{task.traceId}</code>],
    ["Flow", task.flow === undefined ? undefined : <FlowFacts id={task.id} route={route} />],
    ["Body", task.bodyBytes > 0 ? showSize(task.bodyBytes) : undefined],
    ["Result", task.resultBytes ? showSize(task.resultBytes) : undefined],
  ];
  return (
    <dl class="facts">
      {facts.map(([name, value]) =>
        value === undefined ? null : (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ),
      )}
    </dl>
  );
}

/** The states of all tasks of its flow, the first of them as links, and what can be done to all. */
/** With how long it is this task's, where that is not as long as it is known. */
function keyText({ key, unique }: TaskDetail): string | undefined {
  if (key === undefined || unique === undefined) return key;
  if (typeof unique === "number") return `${key}, for ${showDuration(unique)}`;
  return `${key}, until it has ${unique === "waiting" ? "begun" : "ended"}`;
}

function FlowFacts({ id, route }: { id: string; route: ViewRoute }) {
  const path = `/api/v1/tasks/${encodeURIComponent(id)}/flow`;
  const { value: flow, again } = usePolled(() => read<FlowDetail>(path), POLL_MS, id);
  const { run, said } = useAction();
  if (!flow) return null;
  const states = Object.entries(flow.states).map(([state, count]) => `${count} ${state}`);
  const change = (what: "cancel" | "retry"): void =>
    run(async () => {
      await act(`${path}/${what}`);
      again();
    });
  return (
    <>
      {states.join(", ")}{" "}
      {flow.tasks.slice(0, FLOW_LINKS_MAX).map((task) => (
        <TaskLink key={task.id} id={task.id} route={route} />
      ))}
      <span class="buttons">
        {flow.states["dead"] ? (
          <button type="button" onClick={() => change("retry")}>
            Retry the flow
          </button>
        ) : null}
        <button type="button" onClick={() => change("cancel")}>
          Cancel the flow
        </button>
      </span>
      {said}
    </>
  );
}

/** What the time `atMs` means in each state. */
const AT_MEANS: Readonly<Record<TaskDetail["state"], string>> = {
  waiting: "Waiting since",
  delayed: "Due",
  blocked: "Due",
  retrying: "Next attempt",
  active: "Attempt times out",
  completed: "Completed",
  dead: "Died",
  cancelled: "Cancelled",
};

function TaskLink({ id, route }: { id: string; route: ViewRoute }) {
  return (
    <>
      <a href={hrefOf(route, { task: id })}>{id}</a>{" "}
    </>
  );
}

/** A share of 1 or of 100 as a bar; anything else as it was said. */
function Progress({ said }: { said: string }) {
  const value = Number(said);
  const isShare = said.trim() !== "" && value >= 0 && value <= 100;
  if (!isShare) return <code>{said}</code>;
  const share = value <= 1 && said.includes(".") ? value : value / 100;
  return (
    <>
      <meter min={0} max={1} value={share} aria-label="Progress" /> {said}
    </>
  );
}

function stepText({ type, name, untilMs, task, state }: NonNullable<TaskDetail["steps"]>[number]): string {
  const until = untilMs === undefined ? "" : ` until ${showTimeMs(untilMs)}`;
  const what = { step: `step ${name}`, sleep: `slept${until}`, wait: `waited for the signal ${name}`, call: `called ${task}` };
  return `${what[type]}: ${state}`;
}

/** What the store keeps of its life; its story has more. */
function stepsOf({ createdMs, errors, steps = [], atMs, state }: TaskDetail): readonly Step[] {
  const failed = errors.map(({ error, atMs, attempt }) => {
    const [line = ""] = error.split("\n");
    return { atMs, what: "error", text: attempt ? `attempt ${attempt} failed: ${line}` : line, error };
  });
  const recorded = steps.map((step) => ({ atMs: step.atMs, what: step.type, text: stepText(step) }));
  return [
    { atMs: createdMs, what: "added", text: "added" },
    ...[...failed, ...recorded].sort((a, b) => (a.atMs ?? 0) - (b.atMs ?? 0)),
    ...(atMs === undefined ? [] : [{ atMs, what: state, text: AT_MEANS[state].toLowerCase() }]),
  ];
}

/** The body, or the result of a completed task: shown when it is asked for. */
function Body({ path, task }: { path: string; task: TaskDetail }) {
  const [body, setBody] = useState<ShownBody>();
  const [raw, setRaw] = useState(false);
  const { run, said } = useAction();
  const isResult = task.state === "completed";
  const bodyBytes = isResult ? (task.resultBytes ?? 0) : task.bodyBytes;
  if (bodyBytes === 0) return null;
  const what = isResult ? "result" : "body";
  const show = (): void => run(async () => setBody(shownBody(await readBytes(`${path}/body?first=${SHOWN_BYTES_MAX}`))));
  if (!body) {
    return (
      <>
        <button type="button" onClick={show}>
          Show {what} ({showSize(bodyBytes)})
        </button>
        {said}
      </>
    );
  }
  const pretty = body.text === undefined ? undefined : prettyOf(body.text);
  const text = body.text === undefined ? hexLines(body.hex ?? "") : raw || pretty === undefined ? body.text : pretty;
  return (
    <section aria-label={`The ${what}`}>
      <div class="buttons">
        {pretty === undefined ? (
          <span class="dim">{body.text === undefined ? "Not text: in hex" : "As it is"}</span>
        ) : (
          <>
            <button type="button" aria-pressed={!raw} onClick={() => setRaw(false)}>
              Pretty
            </button>
            <button type="button" aria-pressed={raw} onClick={() => setRaw(true)}>
              Raw
            </button>
          </>
        )}
        <a href={urlOf(`${path}/body`)} download="task-body">
          Save {showSize(bodyBytes)}
        </a>
      </div>
      <pre tabIndex={0} aria-label={what === "body" ? "Body" : "Result"}>
        {text}
      </pre>
      {bodyBytes > SHOWN_BYTES_MAX ? (
        <p class="dim">
          The first {showSize(SHOWN_BYTES_MAX)} of {showSize(bodyBytes)}.
        </p>
      ) : null}
      {said}
    </section>
  );
}

interface ShownBody {
  readonly text?: string;
  readonly hex?: string;
}

/** As text where it is text, else in hex. The last character may be cut. */
function shownBody(bytes: Uint8Array): ShownBody {
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true }) };
  } catch {
    return { hex: Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("") };
  }
}

/** JSON with its structure shown; undefined when it is none. */
function prettyOf(text: string): string | undefined {
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2);
  } catch {
    return undefined;
  }
}

function hexLines(hex: string): string {
  return hex.replaceAll(/(..)/g, "$1 ").replaceAll(/(.{48})/g, "$1\n");
}
