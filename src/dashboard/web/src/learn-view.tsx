/** ● Three short walks, each driving the real thing that runs underneath. */
import type { Snapshot } from "../../snapshot/snapshot.ts";
import type { Lab } from "./live.ts";
import { Walk } from "./walkthrough.tsx";
import { CACHE_WALK, LINK_WALK, QUEUE_WALK } from "./walkthroughs.ts";

export function LearnView({ snapshot, lab }: { snapshot: Snapshot; lab: Lab | undefined }) {
  return (
    <div class="grid">
      <Walk walk={CACHE_WALK} ready={snapshot.cache !== undefined} snapshot={snapshot} lab={lab} />
      <Walk walk={QUEUE_WALK} ready={snapshot.queue !== undefined} snapshot={snapshot} lab={lab} />
      <Walk walk={LINK_WALK} ready={true} snapshot={snapshot} lab={lab} />
    </div>
  );
}
