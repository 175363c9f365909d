/** Clients that nobody here wrote keep values in our cache: Python, Perl and the C command-line tools. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { execFileSync } from "node:child_process";
import { seeded } from "../../src/core/random.ts";
import { Holdfast } from "../support/holdfast.ts";
import { requires } from "../support/requires.ts";

const random = seeded(20);
const VALUES: readonly (readonly [string, Buffer])[] = [
  ["nothing", Buffer.alloc(0)],
  ["one byte", Buffer.from("x")],
  ["every byte twice", Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256))],
  ["line ends and words of the protocol", Buffer.from("END\r\nSTORED\r\n\0\r\nget x\r\n")],
  ["100 KB of chance", Buffer.from(Array.from({ length: 100_000 }, () => Math.floor(random() * 256)))],
];

suite("values of 0 B, 1 B, 100 KB and all bytes come back from the cache as they went in", () => {
  let holdfast: Holdfast;
  let folder: string;
  let port: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "holdfast-lecture-"));
    holdfast = new Holdfast(["up", "--cache", "127.0.0.1:0", "--queue", "off", "--link", "off", "--dashboard", "off"], {
      cwd: folder,
    });
    port = (await holdfast.printed(/^cache .*:(\d+)$/m))[1]!;
    VALUES.forEach(([, value], index) => writeFileSync(join(folder, `value-${index}`), value));
  });
  after(async () => {
    await holdfast.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const echo = (command: string, ...args: string[]): void => {
    execFileSync(command, args, { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
  };

  for (const [index, [name, value]] of VALUES.entries()) {
    test(`pymemcache: ${name}`, requires("python3-pymemcache"), () => {
      const script = [
        "import sys, pymemcache",
        "client = pymemcache.Client(('127.0.0.1', int(sys.argv[1])), no_delay=True)",
        "value = open(sys.argv[2], 'rb').read()",
        "assert client.set(b'py-' + sys.argv[2].encode(), value, noreply=False)",
        "open(sys.argv[2] + '.py', 'wb').write(client.get(b'py-' + sys.argv[2].encode()))",
      ].join("\n");
      echo("/usr/bin/python3", "-c", script, port, `value-${index}`);
      assert.deepEqual(readFileSync(join(folder, `value-${index}.py`)), value);
    });

    test(`Cache::Memcached: ${name}`, requires("libcache-memcached-perl"), () => {
      const script = `use Cache::Memcached; my ($port, $file) = @ARGV; local $/;
        open my $in, '<:raw', $file; my $value = <$in> // ''; 
        my $cache = Cache::Memcached->new({ servers => ["127.0.0.1:$port"] });
        $cache->set("perl-$file", $value) or die "not stored";
        open my $out, '>:raw', "$file.perl"; print $out $cache->get("perl-$file");`;
      echo("perl", "-e", script, port, `value-${index}`);
      assert.deepEqual(readFileSync(join(folder, `value-${index}.perl`)), value);
    });

    test(`memccp and memccat: ${name}`, requires("libmemcached-tools"), () => {
      echo("memccp", `--servers=127.0.0.1:${port}`, `value-${index}`);
      echo("memccat", `--servers=127.0.0.1:${port}`, `--file=value-${index}.c`, `value-${index}`);
      assert.deepEqual(readFileSync(join(folder, `value-${index}.c`)), value);
    });
  }
});
