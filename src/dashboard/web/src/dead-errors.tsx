/** ● What the dead tasks of a queue died of, by kind: with each, how often, since when, and what to do about all of that kind. */
import { Empty } from "./components.tsx";
import { showCount, showWhen } from "./format.ts";
import { hrefOf, type ViewRoute } from "./route.ts";
import type { ErrorRow } from "./task.ts";
import { SelectionActions } from "./task-actions.tsx";

interface DeadErrorsProps {
  readonly queue: string;
  readonly route: ViewRoute;
  readonly groups: readonly ErrorRow[];
  /** Tasks whose errors are still being read. */
  readonly unread: number;
  readonly changed: () => void;
}

export function DeadErrors({ queue, route, groups, unread, changed }: DeadErrorsProps) {
  const { error: chosen } = route.query;
  return (
    <section class="errors" aria-label="Errors">
      <h3>Why they died</h3>
      {groups.length === 0 && unread === 0 ? <Empty>No errors are kept.</Empty> : null}
      <ul>
        {groups.map(({ error, text, count, firstMs, lastMs }) => (
          <li key={error} class={error === chosen ? "chosen" : undefined}>
            <b class="number">{showCount(count)}</b>
            <div>
              <a
                href={hrefOf(route, { error: error === chosen ? undefined : error, after: undefined })}
                aria-current={error === chosen ? "true" : undefined}
              >
                {text || "no message"}
              </a>
              <small>
                {count === 1
                  ? `at ${showWhen(lastMs, Date.now())}`
                  : `from ${showWhen(firstMs, Date.now())} to ${showWhen(lastMs, Date.now())}`}
                {error === chosen ? ", shown below" : ""}
              </small>
            </div>
            <div class="buttons">
              <SelectionActions selection={{ queue, state: "dead", error, count }} changed={changed} />
            </div>
          </li>
        ))}
      </ul>
      {unread > 0 ? <Empty>The errors of {showCount(unread)} more are still being read from the store.</Empty> : null}
    </section>
  );
}
