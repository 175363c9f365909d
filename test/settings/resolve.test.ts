import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { nearest } from "../../src/core/nearest.ts";
import { choice, count, duration, list, named, secret, size } from "../../src/settings/kinds.ts";
import { jsonSchema } from "../../src/settings/json-schema.ts";
import { PARTS } from "../../src/settings/parts.ts";
import { resolve } from "../../src/settings/resolve.ts";
import { namedSettings, type Table } from "../../src/settings/table.ts";

type Sources = Parameters<typeof resolve>[1];

const TABLE: Table = {
  part: "queue",
  settings: {
    listen: { kind: list("endpoint"), text: "where", default: "tcp://a", together: "queue" },
    maxBytes: { kind: size, text: "most", default: "4g" },
    replicas: { kind: count, text: "copies" },
    wait: { kind: duration, text: "how long", default: "5s" },
    sync: { kind: choice("mode", ["group", "none"]), text: "when", default: "group" },
    token: { kind: secret, text: "who" },
    folder: { kind: named("folder"), text: "where" },
  },
};

const NOTHING: Sources = {
  flags: {},
  environment: {},
  file: undefined,
  firstLine: (path) => `line of ${path}`,
  credential: () => undefined,
};

function resolved(sources: Partial<Sources>, alone = false): Record<string, [unknown, string]> {
  const all = resolve(namedSettings(TABLE, alone), { ...NOTHING, ...sources });
  return Object.fromEntries(all.map(({ named: { key }, value, from }) => [key, [value, from]]));
}

const file = (content: unknown): Sources["file"] => ({ path: "holdfast.json", content });

suite("settings", () => {
  test("a flag comes before the environment, that before the file, that before the default", () => {
    const flags = { "queue-max-bytes": ["1g"] };
    const environment = { HOLDFAST_QUEUE_MAX_BYTES: "2g" };
    const settings = file({ queue: { maxBytes: "3g" } });
    assert.deepEqual(resolved({ flags, environment, file: settings })["maxBytes"], ["1g", "--queue-max-bytes"]);
    assert.deepEqual(resolved({ environment, file: settings })["maxBytes"], ["2g", "HOLDFAST_QUEUE_MAX_BYTES"]);
    assert.deepEqual(resolved({ file: settings })["maxBytes"], ["3g", "file holdfast.json"]);
    assert.deepEqual(resolved({})["maxBytes"], ["4g", "default"]);
    assert.deepEqual(resolved({})["replicas"], [undefined, "default"]);
  });

  test("where a part runs alone its flags do not name it; the variable and the file always do", () => {
    assert.deepEqual(resolved({ flags: { "max-bytes": ["1g"] } }, true)["maxBytes"], ["1g", "--max-bytes"]);
    assert.deepEqual(resolved({ flags: { queue: ["tcp://b"] } })["listen"], [["tcp://b"], "--queue"]);
    assert.deepEqual(resolved({ flags: { listen: ["tcp://b"] } }, true)["listen"], [["tcp://b"], "--listen"]);
    const environment = { HOLDFAST_QUEUE_MAX_BYTES: "2g" };
    assert.deepEqual(resolved({ environment }, true)["maxBytes"], ["2g", "HOLDFAST_QUEUE_MAX_BYTES"]);
  });

  test("a list is several flags, commas in a variable, an array in the file", () => {
    const both = ["tcp://a", "ipc://b"];
    assert.deepEqual(resolved({ flags: { queue: both } })["listen"]![0], both);
    assert.deepEqual(resolved({ environment: { HOLDFAST_QUEUE_LISTEN: "tcp://a,ipc://b" } })["listen"]![0], both);
    assert.deepEqual(resolved({ file: file({ queue: { listen: both } }) })["listen"]![0], both);
  });

  test("a secret may lie in a file of its own, which each place can name, or be a systemd credential", () => {
    const path = "/run/token";
    assert.deepEqual(resolved({ flags: { "queue-token-file": [path] } })["token"], [
      "line of /run/token",
      "--queue-token-file",
    ]);
    const environment = { HOLDFAST_QUEUE_TOKEN_FILE: path };
    assert.deepEqual(resolved({ environment })["token"], ["line of /run/token", "HOLDFAST_QUEUE_TOKEN_FILE"]);
    const inFile = resolved({ file: file({ queue: { tokenFile: path } }) })["token"];
    assert.deepEqual(inFile, ["line of /run/token", "file holdfast.json (queue.tokenFile)"]);
    const credential = (name: string): string | undefined => (name === "queue.token" ? "xyz" : undefined);
    assert.deepEqual(resolved({ credential })["token"], ["xyz", "credential queue.token"]);
    assert.deepEqual(resolved({ credential, environment: { HOLDFAST_QUEUE_TOKEN: "abc" } })["token"]![0], "abc");
  });

  test("a value that cannot be used is refused with the name under which it was given", () => {
    const refuses = (sources: Partial<Sources>, message: RegExp): void => {
      assert.throws(() => resolved(sources), { code: "SETTING_INVALID", message });
    };
    refuses({ flags: { "queue-replicas": ["three"] } }, /--queue-replicas 'three': it must be a whole number/);
    refuses({ environment: { HOLDFAST_QUEUE_WAIT: "soon" } }, /HOLDFAST_QUEUE_WAIT 'soon'/);
    refuses({ file: file({ queue: { sync: "never" } }) }, /queue\.sync 'never': it must be one of group, none/);
    refuses({ file: file({ queue: { maxBytes: {} } }) }, /queue\.maxBytes in holdfast\.json/);
    refuses({ file: file([]) }, /it must be a JSON object/);
    refuses({ file: file({ queue: 5 }) }, /'queue' in holdfast\.json: it must be a JSON object/);
  });

  test("a name in the file that is no setting is refused with the one it is like", () => {
    const unknown = (content: unknown, message: RegExp): void => {
      assert.throws(() => resolved({ file: file(content) }), { code: "SETTING_UNKNOWN", message });
    };
    unknown({ queue: { maxByte: 1 } }, /no setting 'queue\.maxByte'; is it queue\.maxBytes\?/);
    unknown({ queues: {} }, /no setting 'queues'; is it queue\?/);
    unknown({ zebra: {} }, /no setting 'zebra'$/);
    assert.deepEqual(resolved({ file: file({ $schema: "x", queue: { maxBytes: null } }) })["maxBytes"], ["4g", "default"]);
  });

  test("every setting of the parts has a name, a flag and a variable of its own, and a default that can be read", () => {
    for (const alone of [false, true]) {
      for (const tables of alone ? PARTS.map((table) => [table]) : [PARTS]) {
        const all = tables.flatMap((table) => namedSettings(table, alone));
        for (const name of ["name", "flag", "variable"] as const) {
          assert.equal(new Set(all.map((each) => each[name])).size, all.length, `${name} alone=${alone}`);
        }
        resolve(all, NOTHING);
      }
    }
  });

  test("the JSON Schema knows each setting of the file, and nothing else", () => {
    const { properties } = jsonSchema(namedSettings(TABLE, false)) as {
      properties: { queue: { additionalProperties: boolean; properties: Record<string, { default?: string }> } };
    };
    assert.equal(properties.queue.additionalProperties, false);
    assert.deepEqual(Object.keys(properties.queue.properties), [
      ...Object.keys(TABLE.settings).slice(0, 6),
      "tokenFile",
      "folder",
    ]);
    assert.equal(properties.queue.properties["sync"]!.default, "group");
  });
});

test("the nearest name differs in a third of its letters at most", () => {
  const names = ["priority", "delay", "attempts"];
  assert.equal(nearest("prioritty", names), "priority");
  assert.equal(nearest("Delay", names), "delay");
  assert.equal(nearest("attempt", names), "attempts");
  assert.equal(nearest("retry", names), undefined);
  assert.equal(nearest("", names), undefined);
});
