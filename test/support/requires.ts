/**
 * Real peers that a test needs. In CI a missing one is a failure (the test runs and breaks); elsewhere it is a skip that says
 * what to install.
 */
import { execFileSync } from "node:child_process";
import { codeOf } from "../../src/core/errors.ts";

/** Debian package → a command that succeeds only where it is installed. */
const PROBES: Readonly<Record<string, readonly [string, ...string[]]>> = {
  memcached: ["memcached", "-V"],
  "libmemcached-tools": ["memccat", "--version"],
  "libcache-memcached-perl": ["perl", "-MCache::Memcached", "-e", "1"],
  "python3-pymemcache": ["/usr/bin/python3", "-c", "import pymemcache"],
  "python3-pylibmc": ["/usr/bin/python3", "-c", "import pylibmc"],
  python3: ["/usr/bin/python3", "-c", "import asyncio"],
  "python3-zmq": ["/usr/bin/python3", "-c", "import zmq"],
  "python3-build": ["/usr/bin/python3", "-c", "import build, setuptools, wheel"],
  "dpkg-dev": ["dpkg-source", "--version"],
  perl: ["prove", "--version"],
  "libzmq3-dev": ["sh", "-c", "echo '#include <zmq.h>' | g++ -x c++ -fsyntax-only -"],
  "sasl2-bin": ["sh", "-c", "command -v saslpasswd2"],
  "redis-server": ["redis-server", "--version"],
  beanstalkd: ["beanstalkd", "-v"],
  "nats-server": ["nats-server", "--version"],
  postgresql: ["sh", "-c", "ls /usr/lib/postgresql/*/bin/postgres"],
  openssl: ["openssl", "version"],
  prometheus: ["promtool", "--version"],
  systemd: ["systemd-analyze", "--version"],
  iproute2: ["ip", "-V"],
  nftables: ["nft", "-v"],
  tun: ["test", "-c", "/dev/net/tun"],
  tcpdump: ["tcpdump", "--version"],
  tshark: ["tshark", "--version"],
  "nginx-light": ["/usr/sbin/nginx", "-v"],
  haproxy: ["/usr/sbin/haproxy", "-v"],
  chromium: ["/usr/bin/chromium", "--version"],
  root: ["sh", "-c", "test $(id -u) = 0"],
  /** Root, or a kernel that lets users make namespaces: see `ownNamespace`. */
  namespace: ["sh", "-c", "unshare -n true || unshare -Urn true"],
};

/**
 * Options for `test()`: `test("…", requires("python3-zmq"), async () => …)`.
 *
 * @returns `{ skip: false }` where all are there or in CI, else `{ skip: "install …" }`
 */
export function requires(...packages: readonly string[]): { skip: string | false } {
  if (process.env["CI"] === "true") return { skip: false };
  const missing = packages.filter((name) => !works(PROBES[name]!));
  return { skip: missing.length > 0 && `needs Debian's ${missing.join(", ")}: apt-get install them to run this test` };
}

function works([command, ...args]: readonly [string, ...string[]]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM";
  }
}
