/** ● Small pieces that every view is made of. */
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { showSize } from "./format.ts";

export function Card({ title, children, wide }: { title: string; children: ComponentChildren; wide?: boolean }) {
  const id = `card-${title.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
  return (
    <section class={wide ? "card wide" : "card"} aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  );
}

/** Numbers with their names, and a note where one is needed. */
export type NamedValues = readonly (readonly [name: string, value: string, note?: string])[];

/** A card about one part: where it is, its numbers, and what else there is to say. */
export function PartCard({ title, address, stats, children }: PartCardProps) {
  return (
    <Card title={title}>
      <p class="address">{address}</p>
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
  readonly children?: ComponentChildren;
}

/** Says that there is nothing, and how to change that. */
export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

export function Off({ name, flag }: { name: string; flag: string }) {
  return (
    <Card title={name}>
      <Empty>
        This part is off. Start it with <code>holdfast up {flag}</code>.
      </Empty>
    </Card>
  );
}

/** A share of a whole as a bar, with its words. */
export function Bar({ share, label }: { share: number; label: string }) {
  return <meter min={0} max={1} value={Math.min(1, share)} aria-label={label} />;
}

/** How full a part's memory is. */
export function Fullness({ bytes, bytesMax, part }: { bytes: number; bytesMax: number; part: string }) {
  return (
    <>
      <p>
        {showSize(bytes)} of {showSize(bytesMax)} in use
      </p>
      <Bar share={bytes / bytesMax} label={`Share of the ${part}'s bytes in use`} />
    </>
  );
}

/** Runs an action, and says how it went. */
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

/** Asks again every so often while the view is shown; undefined until the first answer. */
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
    const look = async (): Promise<void> => {
      try {
        const answer = await ask();
        if (over) return;
        setValue(answer);
        setFailed(undefined);
      } catch (error) {
        if (!over) setFailed(error instanceof Error ? error.message : String(error));
      }
      if (!over) timer = setTimeout(() => void look(), everyMs);
    };
    void look();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [key, turn]);
  return { value, failed, again: () => setTurn(turn + 1) };
}
