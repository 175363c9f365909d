/** ● The first view: the problems, then a card for each part that runs in this process. */
import type { Columns } from "../../snapshot/history.ts";
import type { Snapshot } from "../../snapshot/snapshot.ts";
import { Chart } from "./chart.tsx";
import { showAge, showCount, showDuration, showShare, showSize } from "./format.ts";
import { Card, MemoryUsage, PartCard } from "./components.tsx";
import { CacheRates, QueueRates } from "./rates.tsx";
import { Table } from "./table.tsx";

export function Overview({ snapshot, columns }: { snapshot: Snapshot; columns: Columns }) {
  return (
    <div class="grid">
      <Problems snapshot={snapshot} />
      <CacheCard cache={snapshot.cache} columns={columns} />
      <QueueCard queue={snapshot.queue} columns={columns} />
      <LinkCard link={snapshot.link} columns={columns} />
      <WorkersCard workers={snapshot.workers} />
      <ProcessCard snapshot={snapshot} columns={columns} />
    </div>
  );
}

function Problems({ snapshot: { problems, wallMs } }: { snapshot: Snapshot }) {
  return (
    <section class="card wide problems" aria-labelledby="problems" aria-live="polite">
      <h2 id="problems">{problems.length === 0 ? "No problems" : "Problems"}</h2>
      <ul>
        {problems.map(({ key, level, text, link, sinceMs }) => (
          <li key={key} class={level}>
            <a href={`#/${link}`}>{text}</a> <small>for {showAge(wallMs - sinceMs)}</small>
          </li>
        ))}
      </ul>
    </section>
  );
}

function CacheCard({ cache, columns }: { cache: Snapshot["cache"]; columns: Columns }) {
  if (!cache) return null;
  return (
    <PartCard
      title="Cache"
      address={cache.address}
      stats={[
        ["Items", showCount(cache.items)],
        ["Hit ratio", showShare(cache.hitRatio)],
        ["Connections", showCount(cache.connections)],
      ]}
    >
      <MemoryUsage bytes={cache.bytes} bytesMax={cache.limitBytes} part="cache" />
      <CacheRates columns={columns} />
    </PartCard>
  );
}

function QueueCard({ queue, columns }: { queue: Snapshot["queue"]; columns: Columns }) {
  if (!queue) return null;
  return (
    <PartCard
      title="Queue"
      address={queue.address}
      stats={[
        ["Waiting", showCount(queue.states.waiting)],
        ["Active", showCount(queue.states.active)],
        ["Workers", showCount(queue.workers)],
        ["Dead", showCount(queue.states.dead)],
      ]}
    >
      <MemoryUsage bytes={queue.bytes} bytesMax={queue.bytesMax} part="queue" />
      <QueueRates columns={columns} />
    </PartCard>
  );
}

function LinkCard({ link, columns }: { link: Snapshot["link"]; columns: Columns }) {
  if (!link) return null;
  return (
    <PartCard
      title="Link"
      address={link.address}
      stats={[
        ["Open", showCount(link.open)],
        ["Silent", showCount(link.silent)],
        ["Accepted", showCount(link.accepted)],
        ["Bytes", `${showSize(link.bytesInPerSecond + link.bytesOutPerSecond)}/s`],
      ]}
    >
      <p class="usage">
        {link.silent === 0
          ? "Every peer answers its probes"
          : `${showCount(link.silent)} of ${showCount(link.open)} peers do not answer`}
      </p>
      <Chart
        title="Connections"
        time={columns.time}
        lines={[{ label: "open", values: columns.linkOpen, colour: "one" }]}
        show={showCount}
        whole
      />
    </PartCard>
  );
}

function WorkersCard({ workers }: { workers: Snapshot["workers"] }) {
  if (!workers) return null;
  return (
    <Card title="Workers">
      <Table
        caption="Workers of this process"
        columns={[
          ["Queue", ({ queue }) => queue],
          ["Busy", ({ running, concurrency }) => `${showCount(running)} of ${showCount(concurrency)}`, { number: true }],
          ["Completed", ({ completed }) => showCount(completed), { number: true }],
          ["Failed", ({ failed }) => showCount(failed), { number: true }],
          ["Brokers", ({ brokers }) => showCount(brokers), { number: true, isBad: ({ brokers }) => brokers === 0 }],
        ]}
        rows={workers}
        keyOf={({ queue }) => queue}
        empty="No worker."
      />
    </Card>
  );
}

function ProcessCard({ snapshot, columns }: { snapshot: Snapshot; columns: Columns }) {
  return (
    <PartCard
      title="Process"
      address={`up ${showDuration(snapshot.upMs)}`}
      stats={[
        ["Resident memory", showSize(snapshot.residentBytes)],
        ["CPU of one core", showShare(snapshot.cpuShare)],
      ]}
    >
      <p class="usage">{showSize(snapshot.heapBytes)} of it is JavaScript's heap</p>
      <Chart
        title="Memory"
        time={columns.time}
        lines={[{ label: "resident", values: columns.residentBytes, colour: "three" }]}
        show={showSize}
        binary
      />
    </PartCard>
  );
}
