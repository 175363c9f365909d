/** ● The cache: throughput, memory by slab class, LRU lists, key prefixes, and the hash ring that assigns keys to servers. */
import { useState } from "preact/hooks";
import type { SlabClassStats, CacheDetails, KeyPrefix, PrefixShares } from "../../inspectors/cache-details.ts";
import type { Columns } from "../../snapshot/history.ts";
import type { Snapshot } from "../../snapshot/snapshot.ts";
import { Chart } from "./chart.tsx";
import { showCount, showDuration, showRate, showShare, showSize } from "./format.ts";
import { act, read } from "./live.ts";
import { type SlabClassMoves, useLruMoves } from "./lru-moves.ts";
import { Bar, Card, MemoryUsage, NotRunning, PartCard, useAction, usePolled } from "./components.tsx";
import { CacheRates } from "./rates.tsx";
import { HashRing } from "./hash-ring.tsx";
import { type Column, Table } from "./table.tsx";

const POLL_MS = 2000;

export function CacheView({ cache, columns }: { cache: Snapshot["cache"]; columns: Columns }) {
  if (!cache) return <NotRunning name="Cache" flag="--cache" />;
  const returned = cache.ghostsReturnedPerSecond;
  return (
    <div class="grid">
      <PartCard
        title="Cache"
        address={cache.address}
        wide
        stats={[
          ["Items", showCount(cache.items)],
          ["Hit ratio now", showShare(cache.hitRatio)],
          ["Evictions", showRate(cache.evictionsPerSecond)],
          ...(returned === undefined ? [] : [["Ghosts returned", showRate(returned)] as const]),
          ["Connections", showCount(cache.connections)],
          ["Gets", showCount(cache.totals.gets)],
          ["Misses", showCount(cache.totals.misses)],
        ]}
      >
        <MemoryUsage bytes={cache.bytes} bytesMax={cache.limitBytes} part="cache" />
        {returned === undefined ? null : (
          <p class="dim">A ghost returns when an evicted key is soon stored again: a larger memory would have kept it.</p>
        )}
        <div class="charts">
          <CacheRates columns={columns} more={[{ label: "evictions", values: columns.cacheEvictions, colour: "bad" }]} />
          <Chart
            title="Hit ratio"
            time={columns.time}
            lines={[{ label: "hit ratio", values: columns.cacheHitRatio, colour: "three" }]}
            show={showShare}
            max={1}
          />
        </div>
      </PartCard>
      <Classes hasGhosts={returned !== undefined} />
      <Prefixes />
      <Value />
      <HashRing address={cache.address} />
    </div>
  );
}

const CLASS_COLUMNS: readonly Column<SlabClassMoves>[] = [
  ["Class", ({ id }) => id],
  ["Chunk", ({ chunkBytes }) => showSize(chunkBytes), { number: true }],
  ["Pages", ({ pages }) => showCount(pages), { number: true }],
  ["Chunks in use", (row) => <ChunksInUse row={row} />],
  ["HOT · WARM · COLD · TEMP", (row) => <Lists row={row} />],
  ["Moves per second", ({ moves }) => <Moves moves={moves} />],
  ["Evicted", ({ evicted }) => showCount(evicted), { number: true }],
  ["Oldest item", ({ oldestAgeSeconds }) => showDuration(oldestAgeSeconds * 1000)],
  ["Evicted at age", ({ evicted, evictedAgeSeconds }) => (evicted > 0 ? showDuration(evictedAgeSeconds * 1000) : "–")],
];

/** @param hasGhosts the eviction policy is S3-FIFO */
function Classes({ hasGhosts }: { hasGhosts: boolean }) {
  const { value, failed } = usePolled(() => read<CacheDetails>("/api/cache"), POLL_MS, "classes");
  const rows = useLruMoves(value);
  return (
    <Card title="Memory by slab class" wide>
      <p class="dim">
        Each item is stored in the smallest slab class whose chunks hold it.{" "}
        {hasGhosts
          ? "New items enter HOT, the small queue; those that were read until its end go on to WARM, the main queue, and the others are evicted. COLD stays empty."
          : "New items enter HOT; items read again move to WARM; the others move to COLD, and eviction removes items from the tail of COLD."}
      </p>
      {failed ? <p class="bad">{failed}</p> : null}
      <Table caption="Slab classes" columns={CLASS_COLUMNS} rows={rows} keyOf={({ id }) => id} empty="The cache is empty." />
    </Card>
  );
}

function ChunksInUse({ row: { id, usedChunks, totalChunks } }: { row: SlabClassStats }) {
  const share = totalChunks > 0 ? usedChunks / totalChunks : 0;
  return (
    <>
      <Bar share={share} label={`Class ${id}: chunks in use`} /> {showCount(usedChunks)} of {showCount(totalChunks)}
    </>
  );
}

/** Items that moved between the lists, per second since the last poll. */
function Moves({ moves }: { moves: SlabClassMoves["moves"] }) {
  if (moves === undefined) return "–";
  const { toWarm, toCold, evicted } = moves;
  const counts = [
    ["→ WARM", toWarm],
    ["→ COLD", toCold],
    ["evicted", evicted],
  ] as const;
  const moving = counts.filter(([, perSecond]) => perSecond > 0);
  return moving.length === 0 ? "none" : moving.map(([where, perSecond]) => `${where} ${showRate(perSecond)}`).join(", ");
}

/** The four lists as one bar, and as numbers. */
function Lists({ row: { hot, warm, cold, temp } }: { row: SlabClassStats }) {
  const total = Math.max(1, hot + warm + cold + temp);
  const lists = [
    ["hot", hot],
    ["warm", warm],
    ["cold", cold],
    ["temp", temp],
  ] as const;
  let x = 0;
  return (
    <span class="lists">
      <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
        {lists.map(([name, count]) => {
          const at = x;
          x += (count / total) * 100;
          return <rect key={name} class={name} x={at} y={0} width={(count / total) * 100} height={8} />;
        })}
      </svg>
      {lists.map(([, count]) => showCount(count)).join(" · ")}
    </span>
  );
}

function Prefixes() {
  const { value, failed, again } = usePolled(() => read<PrefixShares>("/api/cache/prefixes"), 15_000, "prefixes");
  const most = Math.max(1, ...(value?.prefixes.map(({ bytes }) => bytes) ?? []));
  const columns: readonly Column<KeyPrefix>[] = [
    ["Prefix", ({ prefix }) => prefix],
    ["Keys", ({ keys }) => showCount(keys), { number: true }],
    [
      "Bytes",
      ({ prefix, bytes }) => (
        <>
          <Bar share={bytes / most} label={`Bytes under ${prefix}`} /> {showSize(bytes)}
        </>
      ),
    ],
  ];
  return (
    <Card title="Key prefixes">
      {failed ? <p class="bad">{failed}</p> : null}
      <Table
        caption={`By bytes, of ${showCount(value?.looked ?? 0)} keys scanned`}
        columns={columns}
        rows={value?.prefixes}
        keyOf={({ prefix }) => prefix}
        empty="The cache is empty."
      />
      <button type="button" onClick={again}>
        Refresh
      </button>
    </Card>
  );
}

function Value() {
  const [key, setKey] = useState("");
  const [shown, setShown] = useState<string>();
  const { run, said } = useAction();
  const lookUp = (event: Event): void => {
    event.preventDefault();
    run(async () => {
      const answer = await act<{ text?: string; bytes?: number }>("/api/cache/value", { key });
      setShown(answer.text);
      return answer.text === undefined ? "This key is not stored." : `${answer.bytes} bytes`;
    });
  };
  return (
    <Card title="Look up a key">
      <form onSubmit={lookUp}>
        <label>
          Key <input value={key} onInput={(event) => setKey(event.currentTarget.value)} maxLength={250} required />
        </label>
        <button type="submit">Show value</button>
      </form>
      {said}
      {shown === undefined ? null : (
        <pre tabIndex={0} aria-label="Value">
          {shown}
        </pre>
      )}
    </Card>
  );
}
