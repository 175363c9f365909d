/** ● The story of one thing, under an address of its own: a task's from the broker, a link's from what was seen of its connections. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Card, Empty, usePolled } from "./components.tsx";
import { showDuration, showDate, showTimeMs } from "./format.ts";
import { read } from "./live.ts";
import { StateBadge } from "./task-actions.tsx";
import type { TaskRow } from "./task.ts";

const POLL_MS = 2000;

interface Step {
  readonly atMs?: number;
  readonly what: string;
  readonly text: string;
  readonly worker?: string;
  readonly error?: string;
}

interface Story {
  readonly steps: readonly Step[];
  readonly unknown: readonly string[];
}

interface TaskStory extends Story, Pick<TaskRow, "id" | "queue" | "state"> {
  readonly traceId?: string;
}

export function TaskStoryView({ id }: { readonly id: string | undefined }) {
  const path = `/api/v1/tasks/${encodeURIComponent(id ?? "")}/story`;
  const { value, failed } = usePolled(() => read<TaskStory>(path), POLL_MS, path);
  return (
    <StoryCard title={`Task ${id ?? ""}`} story={value} failed={failed}>
      {value ? (
        <p class="buttons">
          <StateBadge task={value} />
          <a href={`#/queue/${encodeURIComponent(value.queue)}?task=${encodeURIComponent(value.id)}`}>{value.queue}</a>
          {value.traceId === undefined ? null : (
            <span>
              Trace <code>{value.traceId}</code>
            </span>
          )}
        </p>
      ) : null}
    </StoryCard>
  );
}

/** @param name a session's, a peer's address, or its host alone: all connections of that host */
export function LinkStoryView({ name }: { readonly name: string }) {
  const path = `/api/links/${encodeURIComponent(name)}/story`;
  const { value, failed } = usePolled(() => read<Story>(path), POLL_MS, path);
  return (
    <StoryCard title={`Links of ${name}`} story={value} failed={failed}>
      <p>
        <a href="#/link">All links</a>
      </p>
    </StoryCard>
  );
}

interface StoryCardProps {
  readonly title: string;
  readonly story: Story | undefined;
  readonly failed: string | undefined;
  readonly children: ComponentChildren;
}

function StoryCard({ title, story, failed, children }: StoryCardProps) {
  const [copied, setCopied] = useState("");
  const copy = (): void => {
    const done = navigator.clipboard?.writeText(textOf(title, story!)) ?? Promise.reject(new Error("no clipboard"));
    done.then(
      () => setCopied("Copied"),
      () => setCopied("The browser does not let this page copy"),
    );
  };
  const beside = story ? (
    <p class="buttons no-print">
      <span role="status">{copied}</span>
      <button type="button" onClick={copy}>
        Copy
      </button>
      <button type="button" onClick={() => print()}>
        Print
      </button>
    </p>
  ) : null;
  return (
    <div class="grid">
      <Card title={title} wide beside={beside}>
        {failed ? <p class="bad">{failed}</p> : null}
        {children}
        {story ? <Steps steps={story.steps} /> : null}
        {story?.steps.length === 0 ? <Empty>Nothing is known of it.</Empty> : null}
        {story && story.unknown.length > 0 ? (
          <>
            <h3>Not known any more</h3>
            <ul>
              {story.unknown.map((text) => (
                <li key={text}>{text}</li>
              ))}
            </ul>
          </>
        ) : null}
      </Card>
    </div>
  );
}

function Steps({ steps }: { readonly steps: readonly Step[] }) {
  let day = "";
  return (
    <ol class="life">
      {steps.map(({ atMs, what, text, worker, error }, index) => {
        const before = steps[index - 1]?.atMs;
        const date = atMs === undefined ? day : showDate(atMs).slice(0, 10);
        const isNewDay = date !== day;
        day = date;
        const stack = error?.split("\n").slice(1).join("\n") ?? "";
        return (
          <li key={`${index} ${text}`} class={what === "error" || what === "dead" || what === "lost" ? "bad" : undefined}>
            {atMs === undefined ? <time>now</time> : <time>{`${isNewDay ? `${date} ` : ""}${showTimeMs(atMs)}`}</time>} {text}
            {worker === undefined ? null : (
              <>
                {" "}
                <small>
                  worker <code>{worker}</code>
                </small>
              </>
            )}
            {atMs === undefined || before === undefined ? null : (
              <small> after {showDuration(roundMs(Math.max(0, atMs - before)))}</small>
            )}
            {stack === "" ? null : (
              <pre tabIndex={0} aria-label={`Stack of ${text}`}>
                {stack}
              </pre>
            )}
          </li>
        );
      })}
    </ol>
  );
}

function roundMs(ms: number): number {
  return ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms);
}

/** For a mail or a ticket. */
function textOf(title: string, { steps, unknown }: Story): string {
  const lines = steps.map(({ atMs, text, worker, error }) => {
    const time = atMs === undefined ? "now" : new Date(atMs).toISOString();
    const stack =
      error
        ?.split("\n")
        .slice(1)
        .map((line) => `\n    ${line}`)
        .join("") ?? "";
    return `${time} ${text}${worker === undefined ? "" : ` (worker ${worker})`}${stack}`;
  });
  return [title, ...lines, ...unknown.map((text) => `not known any more: ${text}`), ""].join("\n");
}
