/** ○ The first view: what is wrong, then each part in a card. */
import type { Columns } from "../../history.ts";
import type { Snapshot } from "../../snapshot.ts";
import { Chart } from "./chart.tsx";
import { showCount, showDuration, showRate, showShare, showSize } from "./format.ts";
import { Bar, Card, Off, Stat, Stats } from "./parts.tsx";

export function Overview({ snapshot, columns }: { snapshot: Snapshot; columns: Columns }) {
  return (
    <div class="grid">
      <Problems snapshot={snapshot} />
      <CacheCard cache={snapshot.cache} columns={columns} />
      <QueueCard queue={snapshot.queue} columns={columns} />
      <LinkCard link={snapshot.link} columns={columns} />
      <ProcessCard snapshot={snapshot} columns={columns} />
    </div>
  );
}

function Problems({ snapshot: { problems, wallMs } }: { snapshot: Snapshot }) {
  return (
    <section class="card wide problems" aria-labelledby="problems" aria-live="polite">
      <h2 id="problems">{problems.length === 0 ? "All is well" : "What is wrong"}</h2>
      {problems.length === 0 ? <p>No problem is known in any part.</p> : null}
      <ul>
        {problems.map(({ key, level, part, text, sinceMs }) => (
          <li key={key} class={level}>
            <a href={`#/${part}`}>{part}</a> {text} <small>for {showDuration(wallMs - sinceMs)}</small>
          </li>
        ))}
      </ul>
    </section>
  );
}

function CacheCard({ cache, columns }: { cache: Snapshot["cache"]; columns: Columns }) {
  if (!cache) return <Off name="Cache" flag="--cache" />;
  return (
    <Card title="Cache">
      <p class="address">{cache.address}</p>
      <Stats>
        <Stat name="Items" value={showCount(cache.items)} />
        <Stat name="Hit ratio" value={showShare(cache.hitRatio)} />
        <Stat name="Connections" value={showCount(cache.connections)} />
        <Stat name="Memory" value={showSize(cache.bytes)} note={`of ${showSize(cache.limitBytes)}`} />
      </Stats>
      <Bar share={cache.bytes / cache.limitBytes} label="Share of the cache's memory in use" />
      <Chart
        title="Requests"
        time={columns.time}
        lines={[
          { label: "gets", values: columns.cacheGets, colour: "one" },
          { label: "sets", values: columns.cacheSets, colour: "two" },
        ]}
        show={showRate}
      />
    </Card>
  );
}

function QueueCard({ queue, columns }: { queue: Snapshot["queue"]; columns: Columns }) {
  if (!queue) return <Off name="Queue" flag="--queue" />;
  return (
    <Card title="Queue">
      <p class="address">{queue.address}</p>
      <Stats>
        <Stat name="Waiting" value={showCount(queue.states.ready)} />
        <Stat name="In work" value={showCount(queue.states.leased)} />
        <Stat name="Workers" value={showCount(queue.workers)} />
        <Stat name="Dead" value={showCount(queue.states.dead)} />
      </Stats>
      <Bar share={queue.bytes / queue.bytesMax} label="Share of the queue's bytes in use" />
      <Chart
        title="Tasks"
        time={columns.time}
        lines={[
          { label: "added", values: columns.queueAdded, colour: "one" },
          { label: "done", values: columns.queueFinished, colour: "two" },
        ]}
        show={showRate}
      />
    </Card>
  );
}

function LinkCard({ link, columns }: { link: Snapshot["link"]; columns: Columns }) {
  if (!link) return <Off name="Link" flag="--link" />;
  return (
    <Card title="Link">
      <p class="address">{link.address}</p>
      <Stats>
        <Stat name="Open" value={showCount(link.open)} />
        <Stat name="Silent" value={showCount(link.silent)} />
        <Stat name="Accepted" value={showCount(link.accepted)} />
        <Stat name="Bytes" value={`${showSize(link.bytesInPerSecond + link.bytesOutPerSecond)}/s`} />
      </Stats>
      <Chart
        title="Connections"
        time={columns.time}
        lines={[{ label: "open", values: columns.linkOpen, colour: "one" }]}
        show={showCount}
      />
    </Card>
  );
}

function ProcessCard({ snapshot, columns }: { snapshot: Snapshot; columns: Columns }) {
  return (
    <Card title="Process">
      <p class="address">up {showDuration(snapshot.upMs)}</p>
      <Stats>
        <Stat name="Resident memory" value={showSize(snapshot.residentBytes)} />
        <Stat name="Heap" value={showSize(snapshot.heapBytes)} />
        <Stat name="CPU" value={showShare(snapshot.cpuShare)} note="of a core" />
      </Stats>
      <Chart
        title="Memory"
        time={columns.time}
        lines={[{ label: "resident", values: columns.residentBytes, colour: "three" }]}
        show={showSize}
      />
    </Card>
  );
}
