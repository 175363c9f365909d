/** ● What happens to the tasks of one queue, as it happens, newest first: asked for again and again from the cursor of the broker's ring. */
import { useEffect, useState } from "preact/hooks";
import { Card, Empty } from "./components.tsx";
import { showTimeMs } from "./format.ts";
import { read } from "./live.ts";
import { hrefOf, type ViewRoute } from "./route.ts";

interface Told {
  readonly event: string;
  readonly id: string;
  readonly atMs: number;
  readonly n: number;
  readonly live?: number;
  readonly attempt?: number;
  readonly reason?: string;
  readonly error?: string;
  readonly worker?: string;
}

interface Page {
  readonly events: readonly Told[];
  readonly epoch: string;
  readonly cursor: string;
  readonly gap?: boolean;
}

/** 50 rows: what an eye can follow; the ring has the rest. */
const SHOWN_MAX = 50;
/** 1 s between two looks: a busy queue tells a thousand at once then. */
const PAUSE_MS = 1000;
/** 5 s: a queue where nothing happens is asked about twelve times a minute. */
const WAIT_MS = 5000;

const EVENTS = ["waiting", "delayed", "blocked", "active", "failed", "retrying", "completed", "dead", "cancelled"];

interface Heard {
  readonly events: readonly (Told & { readonly key: string })[];
  /** Some were passed over: lost, or more than can be shown. */
  readonly isPartial: boolean;
}

export function QueueEvents({ queue, route }: { readonly queue: string; readonly route: ViewRoute }) {
  const [{ events, isPartial }, setHeard] = useState<Heard>({ events: [], isPartial: false });
  useEffect(() => {
    const life = { isOver: false };
    void follow(queue, life, (page) => setHeard((before) => withPage(before, page)));
    return () => void (life.isOver = true);
  }, [queue]);
  return (
    <Card title={`Events of ${queue}`}>
      {events.length === 0 ? <Empty>What happens from now on is shown here.</Empty> : null}
      <ol class="events" aria-label="Events, newest first">
        {events.map(({ key, event, id, atMs, attempt, reason, error, worker }) => (
          <li key={key}>
            <time>{showTimeMs(atMs)}</time> <b>{event}</b>{" "}
            <a href={hrefOf(route, { task: id })} aria-label={`Show task ${id}`}>
              {id}
            </a>{" "}
            {attempt === undefined ? null : <span>attempt {attempt} </span>}
            {worker === undefined ? null : <span>at {worker} </span>}
            {reason === undefined ? null : <span>({reason}) </span>}
            {error ? <code>{error}</code> : null}
          </li>
        ))}
      </ol>
      {isPartial ? <Empty>There were more than are shown.</Empty> : null}
    </Card>
  );
}

function withPage(before: Heard, { events, epoch, gap }: Page): Heard {
  if (events.length === 0 && !gap) return before;
  const newest = events.slice(-SHOWN_MAX).reverse();
  const keyed = newest.map((each) => ({ ...each, key: `${epoch}.${each.n}.${each.live ?? ""}` }));
  const isPartial = gap === true || before.isPartial || events.length > SHOWN_MAX;
  return { events: [...keyed, ...before.events].slice(0, SHOWN_MAX), isPartial };
}

/** Until `life` is over. Where the broker cannot be asked it is asked again later, from the same place. */
async function follow(queue: string, life: { readonly isOver: boolean }, heard: (page: Page) => void): Promise<void> {
  const path = `/api/v1/queues/${encodeURIComponent(queue)}/events`;
  let after: string | undefined;
  while (!life.isOver) {
    const asked = new URLSearchParams(EVENTS.map((event) => ["events", event]));
    if (after !== undefined) {
      asked.set("after", after);
      asked.set("waitMs", String(WAIT_MS));
    }
    let pauseMs = PAUSE_MS;
    try {
      const page = await read<Page>(`${path}?${asked.toString()}`);
      if (life.isOver) return;
      heard(page);
      if (after === undefined) pauseMs = 0;
      after = page.cursor;
    } catch {
      // The page says elsewhere that the broker is away.
    }
    await new Promise<void>((resolve) => void setTimeout(resolve, pauseMs));
  }
}
