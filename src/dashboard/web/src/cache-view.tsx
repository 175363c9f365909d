/** ● The cache: rates, memory by slab class, the lists of the LRU, prefixes, and the ring that decides which server has a key. */
import { useState } from "preact/hooks";
import type { CacheClass, CacheDetails, PrefixShares } from "../../cache-details.ts";
import type { Columns } from "../../history.ts";
import type { Snapshot } from "../../snapshot.ts";
import { Chart } from "./chart.tsx";
import { showCount, showDuration, showRate, showShare, showSize } from "./format.ts";
import { act, read } from "./live.ts";
import { Bar, Card, Empty, Off, Stat, Stats, Table, useAction, usePolled } from "./parts.tsx";
import { Ring } from "./ring.tsx";

const LOOK_MS = 2000;

export function CacheView({ cache, columns }: { cache: Snapshot["cache"]; columns: Columns }) {
  if (!cache) return <Off name="Cache" flag="--cache" />;
  return (
    <div class="grid">
      <Card title="Now">
        <p class="address">{cache.address}</p>
        <Stats>
          <Stat name="Items" value={showCount(cache.items)} />
          <Stat name="Hit ratio" value={showShare(cache.hitRatio)} note="in the last second" />
          <Stat name="Evictions" value={showRate(cache.evictionsPerSecond)} />
          <Stat name="Connections" value={showCount(cache.connections)} />
          <Stat name="Gets so far" value={showCount(cache.totals.gets)} />
          <Stat name="Misses so far" value={showCount(cache.totals.misses)} />
        </Stats>
        <p>
          {showSize(cache.bytes)} of {showSize(cache.limitBytes)} in use
        </p>
        <Bar share={cache.bytes / cache.limitBytes} label="Share of the cache's memory in use" />
      </Card>
      <Card title="Rates">
        <Chart
          title="Requests"
          time={columns.time}
          lines={[
            { label: "gets", values: columns.cacheGets, colour: "one" },
            { label: "sets", values: columns.cacheSets, colour: "two" },
            { label: "evictions", values: columns.cacheEvictions, colour: "bad" },
          ]}
          show={showRate}
        />
        <Chart
          title="Hit ratio"
          time={columns.time}
          lines={[{ label: "hits", values: columns.cacheHitRatio, colour: "three" }]}
          show={showShare}
          max={1}
        />
      </Card>
      <Classes />
      <Prefixes />
      <Value />
      <Ring address={cache.address} />
    </div>
  );
}

function Classes() {
  const { value, failed } = usePolled(() => read<CacheDetails>("/api/cache"), LOOK_MS, "classes");
  return (
    <Card title="Memory by slab class" wide>
      <p class="dim">
        An item lies in the class whose chunks it just fits. New items enter HOT; those used again live in WARM; the rest sink
        through COLD and are evicted from its end.
      </p>
      {failed ? <p class="bad">{failed}</p> : null}
      {value?.classes.length === 0 ? <Empty>Nothing is stored yet.</Empty> : null}
      {value && value.classes.length > 0 ? (
        <Table
          caption="Slab classes"
          head={["Class", "Chunk", "Pages", "Chunks in use", "HOT · WARM · COLD · TEMP", "Evicted", "Oldest", "Evicted at age"]}
        >
          {value.classes.map((row) => (
            <ClassRow key={row.id} row={row} />
          ))}
        </Table>
      ) : null}
    </Card>
  );
}

function ClassRow({ row }: { row: CacheClass }) {
  const share = row.totalChunks > 0 ? row.usedChunks / row.totalChunks : 0;
  return (
    <tr>
      <th scope="row">{row.id}</th>
      <td>{showSize(row.chunkBytes)}</td>
      <td>{showCount(row.pages)}</td>
      <td>
        <Bar share={share} label={`Class ${row.id}: chunks in use`} /> {showCount(row.usedChunks)} of{" "}
        {showCount(row.totalChunks)}
      </td>
      <td>
        <Lists row={row} />
      </td>
      <td>{showCount(row.evicted)}</td>
      <td>{showDuration(row.oldestAgeSeconds * 1000)}</td>
      <td>{row.evicted > 0 ? showDuration(row.evictedAgeSeconds * 1000) : "–"}</td>
    </tr>
  );
}

/** The four lists as one bar, and in numbers. */
function Lists({ row: { hot, warm, cold, temp } }: { row: CacheClass }) {
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
  return (
    <Card title="Key prefixes">
      {failed ? <p class="bad">{failed}</p> : null}
      {value?.prefixes.length === 0 ? <Empty>No key is stored yet.</Empty> : null}
      {value && value.prefixes.length > 0 ? (
        <Table caption={`By bytes, of ${showCount(value.looked)} keys looked at`} head={["Prefix", "Keys", "Bytes"]}>
          {value.prefixes.map(({ prefix, keys, bytes }) => (
            <tr key={prefix}>
              <th scope="row" class="key">
                {prefix}
              </th>
              <td>{showCount(keys)}</td>
              <td>
                <Bar share={bytes / most} label={`Bytes under ${prefix}`} /> {showSize(bytes)}
              </td>
            </tr>
          ))}
        </Table>
      ) : null}
      <button type="button" onClick={again}>
        Look again
      </button>
    </Card>
  );
}

function Value() {
  const [key, setKey] = useState("");
  const [shown, setShown] = useState<string>();
  const { run, said } = useAction();
  const look = (event: Event): void => {
    event.preventDefault();
    run(async () => {
      const answer = await act<{ text?: string; bytes?: number }>("/api/cache/value", { key });
      setShown(answer.text);
      return answer.text === undefined ? "This key is not stored." : `${answer.bytes} bytes`;
    });
  };
  return (
    <Card title="One value">
      <form onSubmit={look}>
        <label>
          Key <input value={key} onInput={(event) => setKey(event.currentTarget.value)} maxLength={250} required />
        </label>
        <button type="submit">Show its value</button>
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
