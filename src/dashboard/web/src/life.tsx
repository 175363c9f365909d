/** ● The steps of a life in order, with the time between them; errors with their whole stacks. For a story, and for a task's drawer. */
import { showDate, showDuration, showTimeMs } from "./format.ts";

export interface Step {
  /** undefined: now. */
  readonly atMs?: number | undefined;
  readonly what: string;
  readonly text: string;
  readonly worker?: string | undefined;
  /** Whole, with its stack. */
  readonly error?: string | undefined;
}

const CLASSES: Readonly<Record<string, string>> = { error: "bad", dead: "bad", lost: "bad", packet: "packet" };

export function Life({ steps }: { readonly steps: readonly Step[] }) {
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
          <li key={`${index} ${text}`} class={CLASSES[what]}>
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
