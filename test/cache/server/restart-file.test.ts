import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CacheServer } from "../../../src/cache/index.ts";
import { ManualClock } from "../../../src/core/manual-clock.ts";
import { MemcachedClient } from "../../support/memcached-client.ts";

const WALL_MS = 1_767_225_600_000;

function file(): string {
  return join(mkdtempSync(join(tmpdir(), "holdfast-")), "items");
}

/** Runs requests against a server over the file, at a time of the wall clock, and returns the replies. */
async function run(memoryFile: string, wallMs: number, requests: readonly string[]): Promise<string[]> {
  const server = new CacheServer({ listen: "127.0.0.1:0", memoryFile, itemSize: "2m" }, new ManualClock({ wallMs }));
  await server.listen();
  const client = await MemcachedClient.connect(server.address);
  const replies: string[] = [];
  for (const request of requests) replies.push(await client.ask(request, /(END|STORED|TOUCHED|VERSION.*)\r\n$/));
  client.close();
  await server.close();
  return replies;
}

test("items, flags, CAS numbers and large values survive a restart", async () => {
  const memoryFile = file();
  const large = "x".repeat(900_000);
  const [, , before] = await run(memoryFile, WALL_MS, [
    "set k 7 0 5\r\nhello\r\n",
    `set large 0 0 ${large.length}\r\n${large}\r\n`,
    "gets k\r\n",
  ]);
  const [after, chunked] = await run(memoryFile, WALL_MS + 10_000, ["gets k\r\n", "get large\r\n"]);
  assert.equal(after, before);
  assert.equal(chunked, `VALUE large 0 ${large.length}\r\n${large}\r\nEND\r\n`);
});

test("what expires while the server is down is gone, the rest keeps its time", async () => {
  const memoryFile = file();
  await run(memoryFile, WALL_MS, ["set short 0 5 1\r\na\r\n", "set long 0 100 1\r\na\r\n"]);
  const replies = await run(memoryFile, WALL_MS + 60_000, ["get short\r\n", "get long\r\n"]);
  assert.deepEqual(replies, ["END\r\n", "VALUE long 0 1\r\na\r\nEND\r\n"]);
  assert.deepEqual(await run(memoryFile, WALL_MS + 101_000, ["get long\r\n"]), ["END\r\n"]);
});

test("a data file cut short is not loaded", async () => {
  const memoryFile = file();
  await run(memoryFile, WALL_MS, ["set k 0 0 5\r\nhello\r\n"]);
  truncateSync(memoryFile, readFileSync(memoryFile).length - 1);
  assert.deepEqual(await run(memoryFile, WALL_MS, ["get k\r\n"]), ["END\r\n"]);
});

test("a data file with one bit changed is not loaded", async () => {
  const memoryFile = file();
  await run(memoryFile, WALL_MS, ["set k 0 0 5\r\nhello\r\n"]);
  const bytes = readFileSync(memoryFile);
  bytes[bytes.length - 3]! ^= 1;
  writeFileSync(memoryFile, bytes);
  assert.deepEqual(await run(memoryFile, WALL_MS, ["get k\r\n"]), ["END\r\n"]);
});

test("the file is used up by a start, so that a crash afterwards leaves nothing old to load", async () => {
  const memoryFile = file();
  await run(memoryFile, WALL_MS, ["set k 0 0 5\r\nhello\r\n"]);
  const server = new CacheServer({ memoryFile, itemSize: "2m" }, new ManualClock({ wallMs: WALL_MS }));
  assert.equal(server.stats().items, 1);
  assert.equal(existsSync(memoryFile) || existsSync(`${memoryFile}.meta`), false);
  await server.close();
});

test("metadata that cannot be read refuses the start instead of losing the items", () => {
  const memoryFile = file();
  writeFileSync(`${memoryFile}.meta`, "");
  assert.throws(() => new CacheServer({ memoryFile }), { code: "CACHE_RESTART_FILE_INVALID" });
});
