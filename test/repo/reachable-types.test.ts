/** Of the package's types what no entry point leads to is left out (scripts/reachable-types.ts), and nothing else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { reachableTypes } from "../../scripts/reachable-types.ts";

function reached(files: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(reachableTypes(["index.d.ts"], (path) => files[path]));
}

test("of a file that is exported from, the declarations that are not needed are left out, with what they import", () => {
  const files = {
    "index.d.ts": `/** ● The entry. */\nexport { type Wanted } from "./inner/some.ts";\n`,
    "inner/some.d.ts":
      `import type { Part, Other } from "../part.ts";\nimport { Deep } from "../deep.ts";\n` +
      `/** Said of it. */\nexport interface Wanted {\n    readonly part: Part;\n}\n/** Deep. */\nexport declare class Unwanted {\n    deep: Deep;\n    other: Other;\n}\n`,
    "part.d.ts": `export type Part = Local;\ntype Local = "a";\nexport declare const unused = 1;\n`,
    "deep.d.ts": `export declare class Deep {}\n`,
  };
  assert.deepEqual(reached(files), {
    "index.d.ts": `export { type Wanted } from "./inner/some.ts";\n`,
    "inner/some.d.ts": `import type { Part } from "../part.ts";\n/** Said of it. */\nexport interface Wanted {\n    readonly part: Part;\n}\n`,
    "part.d.ts": `export type Part = Local;\ntype Local = "a";\n`,
  });
});

test("renamed exports, exports of all, namespaces and imports inside a type lead on", () => {
  const files = {
    "index.d.ts": `export * from "./all.ts";\nexport { a as b } from "./renamed.ts";\nexport * as space from "./space.ts";\n`,
    "all.d.ts": `declare class Hidden {}\nexport declare const made: Hidden;\nexport declare function f(): import("./inline.ts").Inline;\n`,
    "renamed.d.ts": `declare const x = 1;\ndeclare const y = 2;\nexport { x as a, y };\n`,
    "space.d.ts": `export declare const one = 1;\n`,
    "inline.d.ts": `export interface Inline {}\nexport interface Beside {}\n`,
  };
  assert.deepEqual(reached(files), {
    ...files,
    "renamed.d.ts": `declare const x = 1;\nexport { x as a };\n`,
    "inline.d.ts": `export interface Inline {}\n`,
  });
});

test("a word in a comment leads nowhere", () => {
  const files = {
    "index.d.ts": `import { Inner } from "./inner.ts";\n/** As Inner does. */\nexport declare class A {\n    // Inner\n}\nexport declare class B extends Inner {}\n`,
    "inner.d.ts": `/** Not Beside. */\nexport declare class Inner {}\nexport declare class Beside {}\n`,
  };
  assert.deepEqual(reached(files)["inner.d.ts"], `/** Not Beside. */\nexport declare class Inner {}\n`);
});

test("a comment before a member of a union begins no statement", () => {
  const files = {
    "index.d.ts": `export { type Event } from "./event.ts";\n`,
    "event.d.ts": `/** What happened. */\nexport type Event = \n/** One. */\n{\n    readonly kind: "one";\n}\n/** Two. */\n | {\n    readonly kind: "two";\n};\n`,
  };
  assert.deepEqual(reached(files), files);
});
