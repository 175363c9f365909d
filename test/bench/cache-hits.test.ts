/** The tiny form of bench/cache-hits.ts: streams are the same for a seed, and S3-FIFO is asked in vain less often than memcached. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { footprintMegabytes, replay } from "../../bench/cache-hits.ts";
import { makeStream, STREAMS, type StreamName } from "../../bench/cache-hits/streams.ts";
import { requires } from "../support/requires.ts";

test("a stream is the same for the same seed, and another for another", () => {
  const digest = (name: StreamName, seed: number): string => {
    const { keys, valueBytes, ttl } = makeStream(name, seed, 0.002);
    return createHash("sha256").update(keys).update(valueBytes).update(ttl).digest("hex");
  };
  for (const name of Object.keys(STREAMS) as StreamName[]) {
    assert.equal(digest(name, 1), digest(name, 1));
    assert.notEqual(digest(name, 1), digest(name, 2), name);
  }
});

for (const name of ["tw10", "scan"] as const) {
  test(
    `S3-FIFO misses less of '${name}' than memcached, and ours with its policy as often`,
    requires("memcached"),
    async () => {
      const stream = makeStream(name, 1, 0.05);
      const megabytes = Math.round(footprintMegabytes(stream) * 0.3);
      const [s3fifo, lru, memcached] = [
        await replay("s3fifo", stream, megabytes),
        await replay("lru", stream, megabytes),
        await replay("memcached", stream, megabytes),
      ];
      const said = `s3fifo ${s3fifo.missed}, lru ${lru.missed}, memcached ${memcached.missed} %`;
      assert.ok(Math.abs(lru.missed / memcached.missed - 1) < 0.03, said);
      assert.ok(s3fifo.missed < 0.99 * memcached.missed, said);
    },
  );
}
