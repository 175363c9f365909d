import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemoryStore } from "../../src/store/memory-store.ts";
import { SqliteStore } from "../../src/store/sqlite/sqlite-store.ts";
import { storeConformance } from "./store-conformance.ts";

storeConformance({
  name: "memory",
  make: async () => {
    const store = new MemoryStore();
    return { store, again: () => store, dispose: async () => {} };
  },
});

for (const sync of ["group", "none"] as const) {
  storeConformance({
    name: `sqlite, sync ${sync}`,
    make: async () => {
      const folder = await mkdtemp(join(tmpdir(), "holdfast-store-"));
      const make = (): SqliteStore => new SqliteStore({ folder, sync });
      return { store: make(), again: make, dispose: () => rm(folder, { recursive: true }) };
    },
  });
}
