/** ● The story of one thing, under an address of its own: a task's from the broker, a link's from what was seen of its connections. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { type StoryPacket, withPackets } from "../../../wire/analysis/story-steps.ts";
import { CaptureField, type CaptureFieldProps } from "./capture-field.tsx";
import { Card, Empty, usePolled } from "./components.tsx";
import { Life, type Step } from "./life.tsx";
import { read } from "./live.ts";
import { StateBadge } from "./task-actions.tsx";
import type { TaskRow } from "./task.ts";

const POLL_MS = 2000;

interface Story {
  readonly steps: readonly (Step & { readonly peer?: string })[];
  readonly unknown: readonly string[];
}

interface TaskStory extends Story, Pick<TaskRow, "id" | "queue" | "state"> {
  readonly traceId?: string;
}

export function TaskStoryView({ id }: { readonly id: string | undefined }) {
  const path = `/api/v1/tasks/${encodeURIComponent(id ?? "")}/story`;
  const { value, failed } = usePolled(() => read<TaskStory>(path), POLL_MS, path);
  return (
    <StoryCard title={`Task ${id ?? ""}`} story={value} failed={failed} about={({ aboutTask }) => aboutTask(id ?? "")}>
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
  const peers = new Set([name, ...(value?.steps ?? []).flatMap(({ peer }) => peer ?? [])]);
  return (
    <StoryCard title={`Links of ${name}`} story={value} failed={failed} about={({ ofPeers }) => ofPeers(peers)}>
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
  /** Which packets of a capture are of it. */
  readonly about: CaptureFieldProps["about"];
  readonly children: ComponentChildren;
}

function StoryCard({ title, story, failed, about, children }: StoryCardProps) {
  const [packets, setPackets] = useState<readonly StoryPacket[]>([]);
  const steps = withPackets<Step | StoryPacket>(story?.steps ?? [], packets);
  const [copied, setCopied] = useState("");
  const copy = (): void => {
    const done =
      navigator.clipboard?.writeText(textOf(title, steps, story!.unknown)) ?? Promise.reject(new Error("no clipboard"));
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
        <Life steps={steps} />
        {story && steps.length === 0 ? <Empty>Nothing is known of it.</Empty> : null}
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
        {story ? <CaptureField about={about} onPackets={setPackets} /> : null}
      </Card>
    </div>
  );
}

/** For a mail or a ticket. */
function textOf(title: string, steps: readonly Step[], unknown: readonly string[]): string {
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
