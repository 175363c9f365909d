/** ● Three short walkthroughs; each step acts on the running servers. */
import type { Snapshot } from "../../snapshot/snapshot.ts";
import type { Lab } from "./live.ts";
import { Walkthrough } from "./walkthrough.tsx";
import { CACHE_WALKTHROUGH, LINK_WALKTHROUGH, QUEUE_WALKTHROUGH } from "./walkthroughs.ts";

export function LearnView({ snapshot, lab }: { snapshot: Snapshot; lab: Lab | undefined }) {
  return (
    <div class="grid three">
      <Walkthrough walkthrough={CACHE_WALKTHROUGH} ready={snapshot.cache !== undefined} snapshot={snapshot} lab={lab} />
      <Walkthrough walkthrough={QUEUE_WALKTHROUGH} ready={snapshot.queue !== undefined} snapshot={snapshot} lab={lab} />
      <Walkthrough walkthrough={LINK_WALKTHROUGH} ready={true} snapshot={snapshot} lab={lab} />
    </div>
  );
}
