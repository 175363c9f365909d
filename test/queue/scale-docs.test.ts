import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { hostsFile, inHostsNamespace } from "../support/hosts-namespace.ts";
import { requires } from "../support/requires.ts";
import { snippetsOf } from "../support/snippets.ts";

const root = join(import.meta.dirname, "../..");
const NODE = `${process.execPath} --conditions=holdfast-source --disable-warning=ExperimentalWarning`;

/** All of a document's snippets as one script: what one starts is there for the next. */
function scriptOf(markdown: string): string {
  const parts = snippetsOf(markdown).map(({ language, code }) => {
    if (language !== "ts") return code;
    return `(cd ${root} && ${NODE} --input-type=module-typescript -e '${code.replaceAll("'", String.raw`'\''`)}')`;
  });
  return ["set -euo pipefail", ...parts].join("\n");
}

test("docs/scale.md's cluster runs as it says", requires("root", "iproute2", "nats-server"), async () => {
  const markdown = readFileSync(join(root, "docs/scale.md"), "utf8");
  const folder = mkdtempSync(join(tmpdir(), "holdfast-scale-"));
  try {
    const hosts = hostsFile("queue.farm", ["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    const farm = inHostsNamespace(folder, hosts, ["timeout", "-k", "1", "90", "bash", "-c", scriptOf(markdown)]);
    let output = "";
    for (const stream of [farm.stdout!, farm.stderr!])
      stream.setEncoding("utf8").on("data", (text: string) => (output += text));
    const [code] = (await once(farm, "close")) as [number | null];
    assert.equal(code, 0, output);
    const claims = [...markdown.matchAll(/^(?:#|\/\/) → (.*)$/gm)].map((match) => match[1]!);
    assert.equal(claims.length, 3);
    for (const claim of claims) assert.ok(output.includes(claim), `no '${claim}' in:\n${output}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
