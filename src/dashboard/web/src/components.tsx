/** ● Components that every view uses. */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { showSize } from "./format.ts";

interface CardProps {
  readonly title: string;
  /** Beside the title: an address, a choice, buttons. */
  readonly beside?: ComponentChildren;
  readonly children: ComponentChildren;
  readonly wide?: boolean;
}

export function Card({ title, beside, children, wide }: CardProps) {
  const id = useId();
  return (
    <section class={wide ? "card wide" : "card"} aria-labelledby={id}>
      <div class="title">
        <h2 id={id}>{title}</h2>
        {beside}
      </div>
      {children}
    </section>
  );
}

/** Named values, each with an optional note. */
export type NamedValues = readonly (readonly [name: string, value: string, note?: string])[];

/** A card about one part: its address, its statistics, and more content. */
export function PartCard({ title, address, stats, wide = false, children }: PartCardProps) {
  return (
    <Card title={title} beside={<span class="address">{address}</span>} wide={wide}>
      <dl class="stats">
        {stats.map(([name, value, note]) => (
          <div key={name} class="stat">
            <dt>{name}</dt>
            <dd>
              {value}
              {note === undefined ? null : <small> {note}</small>}
            </dd>
          </div>
        ))}
      </dl>
      {children}
    </Card>
  );
}

interface PartCardProps {
  readonly title: string;
  readonly address: string;
  readonly stats: NamedValues;
  readonly wide?: boolean;
  readonly children?: ComponentChildren;
}

/** Text in place of missing content. */
export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

export function NotRunning({ name, flag }: { name: string; flag: string }) {
  return (
    <Card title={name}>
      <Empty>
        Not running. Start it with <code>holdfast up {flag}</code>.
      </Empty>
    </Card>
  );
}

/** A fraction as a bar, with its label. */
export function Bar({ share, label }: { share: number; label: string }) {
  return <meter min={0} max={1} value={Math.min(1, share)} aria-label={label} />;
}

/** How much of a part's memory is in use. */
export function MemoryUsage({ bytes, bytesMax, part }: { bytes: number; bytesMax: number; part: string }) {
  return (
    <>
      <p class="usage">
        <Bar share={bytes / bytesMax} label={`Share of the ${part}'s bytes in use`} />
        <span>
          {showSize(bytes)} of {showSize(bytesMax)} in use
        </span>
      </p>
    </>
  );
}

/** Runs an action and shows its result or error. */
export function useAction(): { run: (action: () => Promise<string | void>) => void; said: ComponentChildren } {
  const [said, setSaid] = useState<{ text: string; bad: boolean }>();
  const run = (action: () => Promise<string | void>): void => {
    action()
      .then((text) => setSaid(text ? { text, bad: false } : undefined))
      .catch((error: unknown) => setSaid({ text: error instanceof Error ? error.message : String(error), bad: true }));
  };
  return {
    run,
    said: (
      <p class={said?.bad ? "said bad" : "said"} role="status">
        {said?.text}
      </p>
    ),
  };
}

/**
 * The answers may take 1/20 of the time: one that takes the broker half a second is asked for every 10 s. The shorter of two decides, so
 * that a single slow one changes nothing.
 */
const POLL_SHARE = 1 / 20;

/** Polls while the view is shown; the value is undefined until the first answer. */
export function usePolled<T>(
  ask: () => Promise<T>,
  everyMs: number,
  key: string,
): { value: T | undefined; failed: string | undefined; again: () => void } {
  const [value, setValue] = useState<T>();
  const [failed, setFailed] = useState<string>();
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let over = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let beforeMs = 0;
    const poll = async (): Promise<void> => {
      const startMs = performance.now();
      try {
        const answer = await ask();
        if (over) return;
        setValue(answer);
        setFailed(undefined);
      } catch (error) {
        if (!over) setFailed(error instanceof Error ? error.message : String(error));
      }
      const tookMs = performance.now() - startMs;
      if (!over) timer = setTimeout(() => void poll(), Math.max(everyMs, Math.min(tookMs, beforeMs) / POLL_SHARE));
      beforeMs = tookMs;
    };
    void poll();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [key, turn]);
  return { value, failed, again: () => setTurn(turn + 1) };
}
