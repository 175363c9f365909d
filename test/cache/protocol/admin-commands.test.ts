import assert from "node:assert/strict";
import { test } from "node:test";
import { TUNE } from "../../../src/cache/store/settings.ts";
import { DirectCache } from "../../support/direct-cache.ts";

const CASES: readonly (readonly [request: string, reply: string])[] = [
  ["lru tune 10 25 0.1 2.0", "OK"],
  ["lru tune 60 25 0.1 2.0", "ERROR hot and warm pcts must not exceed 80"],
  ["lru tune 10 25 0 2.0", "ERROR hot/warm age factors must be greater than 0"],
  ["lru tune 10 x 0.1 2.0", "ERROR"],
  ["lru mode flat", "OK"],
  ["lru mode segmented", "OK"],
  ["lru mode round", "ERROR"],
  ["lru temp_ttl 30", "OK"],
  ["lru temp_ttl -1", "OK"],
  ["lru", "ERROR"],
  ["slabs automove 2", "OK"],
  ["slabs automove 3", "ERROR"],
  ["slabs automove", "ERROR"],
  ["slabs automove window 2", "CLIENT_ERROR automove window too low or too high"],
  ["slabs automove window 30", "OK"],
  ["slabs automove ratio 0.5", "OK"],
  ["slabs automove ratio x", "ERROR"],
  ["slabs reassign 1 x", "CLIENT_ERROR bad command line format"],
  ["lru_crawler sleep 1000001", "CLIENT_ERROR sleep must be one second or less"],
  ["lru_crawler sleep 100", "OK"],
  ["lru_crawler tocrawl 5", "OK"],
  ["lru_crawler tocrawl x", "CLIENT_ERROR bad command line format"],
  ["lru_crawler disable", "OK"],
  ["lru_crawler disable noise\r\nlru_crawler crawl all", "ERROR\r\nOK"],
  ["lru_crawler disable\r\nlru_crawler crawl all", "OK\r\nCLIENT_ERROR lru crawler disabled"],
  ["cache_memlimit 7", "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m"],
  ["cache_memlimit 8", "OK"],
  ["cache_memlimit 1000000001", "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes"],
  ["cache_memlimit 900000000", "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust"],
  ["verbosity 1", "OK"],
  ["verbosity", "CLIENT_ERROR bad command line format"],
  ["  verbosity 1", "OK"],
  ["  get k", "ERROR"],
  ["shutdown", "SERVER_ERROR: shutdown not enabled"],
  ["debugtime 5", "ERROR"],
  ["stats cachedump 1", "CLIENT_ERROR bad command line"],
  ["stats cachedump 64 0", "CLIENT_ERROR Illegal slab id"],
  ["stats detail", "CLIENT_ERROR usage: stats detail on|off|dump"],
  ["stats nonsense", "ERROR"],
  ["stats reset", "RESET"],
];

for (const [request, reply] of CASES) {
  test(`'${request}' is answered by '${reply}'`, () => assert.equal(new DirectCache().say(`${request}\r\n`), `${reply}\r\n`));
}

test("cache_memlimit given up and raised again gives its pages back and takes them again", () => {
  const cache = new DirectCache({ memoryBytes: 32 * 1024 * 1024 });
  const fill = (): void => {
    for (let key = 0; key < 100; key += 1) cache.say(`set k${key} 0 0 400000\r\n${"x".repeat(400_000)}\r\n`);
  };
  fill();
  const pages = (): number => cache.store.memory.classPages.reduce((sum, count) => sum + count, 0);
  assert.equal(pages(), 32);
  assert.equal(cache.say("cache_memlimit 64\r\n"), "OK\r\n");
  fill();
  assert.ok(pages() > 45, `${pages()} pages`);
});

test("detail statistics count by the prefix of the key while they are on", () => {
  const cache = new DirectCache();
  cache.say("stats detail on\r\nset foo:1 0 0 1\r\na\r\nget foo:1\r\nget foo:2\r\ndelete foo:1\r\n");
  assert.equal(cache.say("stats detail dump\r\n"), "PREFIX foo get 2 hit 1 set 1 del 1\r\nEND\r\n");
});

test("a flat queue moves an item to its front once a minute at most", () => {
  const cache = new DirectCache();
  cache.store.memory.tune[TUNE.segmented] = 0;
  cache.say("set a 0 0 1\r\na\r\nset b 0 0 1\r\nb\r\n");
  cache.advance(30);
  cache.say("get a\r\n");
  assert.match(cache.say("stats cachedump 1 0\r\n"), /^ITEM b .*\r\nITEM a /);
  cache.advance(31);
  cache.say("get a\r\n");
  assert.match(cache.say("stats cachedump 1 0\r\n"), /^ITEM a .*\r\nITEM b /);
});
