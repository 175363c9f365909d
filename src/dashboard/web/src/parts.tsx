/** ○ Small pieces that every view is made of. */
import type { ComponentChildren } from "preact";

export function Card({ title, children, wide }: { title: string; children: ComponentChildren; wide?: boolean }) {
  const id = `card-${title.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
  return (
    <section class={wide ? "card wide" : "card"} aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  );
}

/** A number with its name. */
export function Stat({ name, value, note }: { name: string; value: string; note?: string }) {
  return (
    <div class="stat">
      <dt>{name}</dt>
      <dd>
        {value}
        {note === undefined ? null : <small> {note}</small>}
      </dd>
    </div>
  );
}

export function Stats({ children }: { children: ComponentChildren }) {
  return <dl class="stats">{children}</dl>;
}

/** Says that there is nothing, and how to change that. */
export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

/** A share of a whole as a bar, with its words. */
export function Bar({ share, label }: { share: number; label: string }) {
  return <meter min={0} max={1} value={Math.min(1, share)} aria-label={label} />;
}
