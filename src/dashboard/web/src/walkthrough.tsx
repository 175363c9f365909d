/** ● One walkthrough: a picture, and steps whose button acts on the running servers and shows the result. */
import { useState } from "preact/hooks";
import type { Snapshot } from "../../snapshot/snapshot.ts";
import type { Lab } from "./live.ts";
import { Card, Empty, useAction } from "./components.tsx";

export interface WalkthroughStep {
  readonly title: string;
  readonly text: string;
  /** The label of the button; omitted in a step without an action. */
  readonly button?: string;
  readonly does?: () => Promise<string>;
  /** The current state of the running server. */
  readonly watches?: (snapshot: Snapshot, lab: Lab | undefined) => string;
}

export interface WalkthroughText {
  readonly title: string;
  readonly question: string;
  /** Boxes of the picture, from left to right. */
  readonly picture: readonly string[];
  readonly steps: readonly WalkthroughStep[];
  readonly view: string;
}

interface WalkthroughProps {
  readonly walkthrough: WalkthroughText;
  readonly ready: boolean;
  readonly snapshot: Snapshot;
  readonly lab: Lab | undefined;
}

export function Walkthrough({ walkthrough, ready, snapshot, lab }: WalkthroughProps) {
  const [at, setAt] = useState(0);
  const { run, said } = useAction();
  const step = walkthrough.steps[at]!;
  return (
    <Card title={walkthrough.title}>
      <p>{walkthrough.question}</p>
      <Picture boxes={walkthrough.picture} lit={at} />
      {ready ? (
        <>
          <h3>
            {at + 1} of {walkthrough.steps.length}: {step.title}
          </h3>
          <p>{step.text}</p>
          {step.does ? (
            <button type="button" onClick={() => run(step.does!)}>
              {step.button}
            </button>
          ) : null}
          {said}
          {step.watches ? <p class="watch">{step.watches(snapshot, lab)}</p> : null}
          <p class="buttons">
            <button type="button" disabled={at === 0} onClick={() => setAt(at - 1)}>
              Back<span class="hidden"> in {walkthrough.title}</span>
            </button>
            <button type="button" disabled={at === walkthrough.steps.length - 1} onClick={() => setAt(at + 1)}>
              Next<span class="hidden"> in {walkthrough.title}</span>
            </button>
            <a href={`#/${walkthrough.view}`}>Open the view</a>
          </p>
        </>
      ) : (
        <Empty>Not running.</Empty>
      )}
    </Card>
  );
}

function Picture({ boxes, lit }: { boxes: readonly string[]; lit: number }) {
  const width = 300 / boxes.length;
  return (
    <svg class="picture" viewBox="0 0 300 54" aria-hidden="true">
      {boxes.map((name, index) => (
        <g key={name} class={index === lit % boxes.length ? "lit" : undefined}>
          <rect x={index * width + 4} y={10} width={width - 26} height={34} rx={5} />
          <text x={index * width + 4 + (width - 26) / 2} y={31} class="middle">
            {name}
          </text>
          {index + 1 < boxes.length ? <path d={`M${(index + 1) * width - 20} 27h18m-6 -5l6 5l-6 5`} /> : null}
        </g>
      ))}
    </svg>
  );
}
