import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hostsFile, inHostsNamespace } from "../../support/hosts-namespace.ts";
import { requires } from "../../support/requires.ts";
import { BROKER_HOSTS } from "../support/broker-hosts.ts";

test(
  "a client of one name connects to all of its addresses, follows when they change, and submits to the least busy",
  requires("root", "iproute2"),
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-dns-"));
    try {
      const child = join(import.meta.dirname, "dns-child.ts");
      const node = [process.execPath, "--conditions=holdfast-source", "--disable-warning=ExperimentalWarning", child];
      // The system's own look-up, as any name goes.
      const farm = inHostsNamespace(folder, hostsFile("brokers.test", BROKER_HOSTS.slice(0, 2)), [...node, "/etc/hosts"]);
      let [output, errors] = ["", ""];
      farm.stdout!.setEncoding("utf8").on("data", (text: string) => (output += text));
      farm.stderr!.setEncoding("utf8").on("data", (text: string) => (errors += text));
      const [code] = (await once(farm, "close")) as [number | null];
      assert.equal(code, 0, errors);
      const { two, moved, light } = JSON.parse(output) as Record<"two" | "moved" | "light", [number, number, number]>;
      assert.ok(two[0] > 0 && two[1] > 0 && two[2] === 0, `both addresses of the name: ${two.join()}`);
      assert.ok(moved[0] === 0 && moved[2] > 0, `the address that came, not the one that went: ${moved.join()}`);
      assert.deepEqual(light, [0, 0, 10], "the broker that has less to do");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
