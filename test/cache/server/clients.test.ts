/** Clients in every language that people use memcached from, each against one running server: what they store they read back. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { CacheServer } from "../../../src/cache/index.ts";
import { requires } from "../../support/requires.ts";

const run = promisify(execFile);
const require = createRequire(import.meta.url);
const folder = mkdtempSync(join(tmpdir(), "holdfast-clients-"));

/** A value over half a page is kept in chunks; the largest needs an item size over memcached's 1 MB, since it counts the header. */
const SIZES = [0, 1, 100 * 1024, 1024 * 1024 - 1];
const server = new CacheServer({ listen: "127.0.0.1:0", memory: "64m", itemSize: "2m" });

const PYTHON = `
import sys
kind, port = sys.argv[1], int(sys.argv[2])
if kind == "pymemcache":
    from pymemcache.client.base import Client
    client = Client(("127.0.0.1", port), default_noreply=False)
    fetch = lambda key: client.get(key)
else:
    import pylibmc
    client = pylibmc.Client(["127.0.0.1:%d" % port], binary=(kind == "pylibmc-binary"), behaviors={"cas": True})
    fetch = lambda key: client.get(key)
for size in [${SIZES.join(", ")}]:
    value = bytes(i * 7 % 256 for i in range(256)) * (size // 256 + 1)
    value = value[:size]
    assert client.set("py%d" % size, value), size
    assert fetch("py%d" % size) == value, size
assert client.get("py-missing") is None
assert client.add("py-new", b"1") and not client.add("py-new", b"2")
assert client.replace("py-new", b"3")
assert client.incr("py-new", 7) == 10 and client.decr("py-new", 4) == 6
if kind == "pymemcache":
    value, cas = client.gets("py-new")
    assert client.cas("py-new", b"c", cas) and not client.cas("py-new", b"d", cas)
    assert client.append("py-new", b"z") and client.prepend("py-new", b"a") and client.get("py-new") == b"acz"
    assert client.touch("py-new", 100)
    assert client.get_many(["py-new", "py1", "no"]) == {"py-new": b"acz", "py1": client.get("py1")}
    assert client.stats()[b"curr_items"] > 0
else:
    value, cas = client.gets("py-new")
    assert client.cas("py-new", "c", cas) and not client.cas("py-new", "d", cas)
    assert set(client.get_multi(["py-new", "py1", "no"])) == {"py-new", "py1"}
    assert client.set_multi({"m%d" % i: i for i in range(500)}) == []
    assert len(client.get_multi(["m%d" % i for i in range(500)])) == 500
    assert int(client.get_stats()[0][1][b"curr_items" if b"curr_items" in client.get_stats()[0][1] else "curr_items"]) > 0
assert client.delete("py-new") and not client.delete("py-new")
print("done")
`;

const PERL = `
use strict; use Cache::Memcached;
my $client = Cache::Memcached->new({ servers => ["127.0.0.1:$ARGV[0]"], compress_threshold => 0 });
for my $size (${SIZES.join(", ")}) {
  my $value = substr(join("", map { chr($_ * 7 % 256) } 0 .. 255) x ($size / 256 + 1), 0, $size);
  $client->set("pl$size", $value) or die "set $size";
  $client->get("pl$size") eq $value or die "get $size";
}
$client->set("pl-list", [1, { a => "b" }]) or die "set list";
$client->get("pl-list")->[1]{a} eq "b" or die "get list";
$client->add("pl-n", 5) or die "add"; $client->add("pl-n", 6) and die "add twice";
$client->incr("pl-n", 10) == 15 or die "incr"; $client->decr("pl-n", 5) == 10 or die "decr";
my $many = $client->get_multi("pl1", "pl-n", "pl-missing"); keys(%$many) == 2 or die "get_multi";
$client->delete("pl-n") or die "delete"; defined $client->get("pl-n") and die "deleted";
$client->stats("misc")->{total}{curr_items} > 0 or die "stats";
print "done";
`;

suite("clients of memcached", () => {
  let port = "";
  before(async () => {
    await server.listen();
    port = server.address.split(":")[1]!;
  });
  after(() => server.close());

  const python = async (kind: string): Promise<void> => {
    assert.equal((await run("/usr/bin/python3", ["-c", PYTHON, kind, port])).stdout, "done\n");
  };
  test("pymemcache", requires("python3-pymemcache"), () => python("pymemcache"));
  test("pylibmc, text protocol", requires("python3-pylibmc"), () => python("pylibmc"));
  test("pylibmc, binary protocol", requires("python3-pylibmc"), () => python("pylibmc-binary"));

  test("Cache::Memcached for Perl", requires("libcache-memcached-perl"), async () => {
    assert.equal((await run("perl", ["-e", PERL, port])).stdout, "done");
  });

  for (const protocol of [[], ["--binary"]]) {
    test(`libmemcached's tools ${protocol.join()}`.trim(), requires("libmemcached-tools"), async () => {
      const servers = `--servers=127.0.0.1:${port}`;
      for (const size of SIZES.filter((bytes) => bytes > 0)) {
        const name = `file${size}${protocol.length}`;
        const bytes = Buffer.alloc(size, "\0\x01\xffvalue\r\n");
        writeFileSync(join(folder, name), bytes);
        await run("memccp", [servers, ...protocol, join(folder, name)]);
        const copy = join(folder, `${name}.copy`);
        await run("memccat", [servers, ...protocol, `--file=${copy}`, name]);
        assert.ok(readFileSync(copy).equals(bytes), name);
      }
      await run("memcexist", [servers, ...protocol, `file1${protocol.length}`]);
      await run("memcrm", [servers, ...protocol, `file1${protocol.length}`]);
      await assert.rejects(run("memcexist", [servers, ...protocol, `file1${protocol.length}`]));
      assert.match((await run("memcstat", [servers, ...protocol])).stdout, /curr_items: \d+/);
      await run("memcping", [servers]);
    });
  }

  test("memjs", async () => {
    const { Client } = require("memjs") as { Client: { create(servers: string): Memjs } };
    const client = Client.create(`127.0.0.1:${port}`);
    for (const size of SIZES) {
      const value = Buffer.alloc(size, "\0\xff\r\nx");
      assert.equal(await client.set(`mj${size}`, value, {}), true);
      assert.ok((await client.get(`mj${size}`)).value?.equals(value), String(size));
    }
    assert.equal((await client.get("mj-missing")).value, null);
    assert.equal((await client.increment("mj-n", 1, { initial: 5 })).value, 5);
    assert.equal((await client.increment("mj-n", 2, {})).value, 7);
    assert.equal(await client.delete("mj-n"), true);
    client.close();
  });

  test("memcached for Node", async () => {
    const Memcached = require("memcached") as new (server: string, options: object) => Callbacks;
    const client = new Memcached(`127.0.0.1:${port}`, { maxValue: 2 ** 21 });
    const set = promisify(client.set.bind(client)) as (key: string, value: unknown, seconds: number) => Promise<boolean>;
    const get = promisify(client.get.bind(client)) as (key: string) => Promise<unknown>;
    for (const size of SIZES) {
      const value = Buffer.alloc(size, "\0\xff\r\nx");
      assert.equal(await set(`mc${size}`, value, 0), true);
      const read = await get(`mc${size}`);
      assert.ok(Buffer.isBuffer(read) ? read.equals(value) : size === 0, String(size));
    }
    await set("mc-json", { a: [1, "é"] }, 100);
    assert.deepEqual(await get("mc-json"), { a: [1, "é"] });
    assert.equal(await get("mc-missing"), undefined);
    client.end();
  });

  test("memcache-client for Node", async () => {
    const { MemcacheClient } = require("memcache-client") as { MemcacheClient: new (options: object) => Promises };
    const client = new MemcacheClient({ server: `127.0.0.1:${port}` });
    for (const size of SIZES) {
      const value = Buffer.alloc(size, "\0\xff\r\nx");
      await client.set(`me${size}`, value);
      assert.ok((await client.get(`me${size}`))!.value.equals(value), String(size));
    }
    assert.equal(await client.get("me-missing"), undefined);
    client.shutdown();
  });

  test("memcache for Node", async () => {
    const { Memcache } = (await import("memcache")) as unknown as { Memcache: new (options: object) => Strings };
    const client = new Memcache({ nodes: [`127.0.0.1:${port}`] });
    for (const size of SIZES) {
      const value = "x".repeat(size);
      assert.equal(await client.set(`mm${size}`, value), true);
      if (size > 0) assert.ok((await client.get(`mm${size}`)) === value, String(size)); // it takes an empty value for none
    }
    assert.equal(await client.get("mm-missing"), undefined);
    assert.equal(await client.delete("mm1"), true);
    await client.disconnect();
  });
});

interface Memjs {
  set(key: string, value: Buffer, options: object): Promise<boolean>;
  get(key: string): Promise<{ value: Buffer | null }>;
  increment(key: string, by: number, options: object): Promise<{ value: number }>;
  delete(key: string): Promise<boolean>;
  close(): void;
}

interface Callbacks {
  set(...args: unknown[]): void;
  get(...args: unknown[]): void;
  end(): void;
}

interface Promises {
  set(key: string, value: Buffer): Promise<unknown>;
  get(key: string): Promise<{ value: Buffer } | undefined>;
  shutdown(): void;
}

interface Strings {
  set(key: string, value: string): Promise<boolean>;
  get(key: string): Promise<string | undefined>;
  delete(key: string): Promise<boolean>;
  disconnect(): Promise<void>;
}
