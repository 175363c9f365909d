import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryStore } from "../../../src/store/memory-store.ts";
import { SqliteStore } from "../../../src/store/sqlite/sqlite-store.ts";
import { makeStore } from "../../../src/queue/store-url.ts";

test("a store's address names its kind; the error for another lists the kinds", () => {
  assert.ok(makeStore("memory:") instanceof MemoryStore);
  assert.ok(makeStore("sqlite:./.holdfast") instanceof SqliteStore);
  const refused = (url: string, message: RegExp): void =>
    assert.throws(() => makeStore(url), { name: "UsageError", code: "QUEUE_OPTIONS_INVALID", message });
  refused("./.holdfast", /must begin with sqlite: or memory: or nats: or tls:/);
  refused("sqlite:", /folder is missing/);
  refused("nets://user:secret@host:4222", /^Cannot use the store nets:\/\/…@host:4222: /);
  refused("memory:large", /nothing follows/);
});
