/**
 * ● Writes batches to a store, and after each the number of it into a file of its own, as one who acknowledges: for
 * power-cut.test.ts, under write-log.c. `node writer-child.ts FOLDER SYNC BATCHES`. Ends without closing anything.
 */
import { openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { SqliteStore, type SyncMode } from "../../../src/store/sqlite/sqlite-store.ts";
import { batchOf } from "./batches.ts";

const [folder, sync, batches] = process.argv.slice(2) as [string, SyncMode, string];
const store = new SqliteStore({ folder, sync });
await store.open();
const acknowledged = openSync(join(folder, "acknowledged-by-test"), "w");
for (let batch = 1; batch <= Number(batches); batch += 1) {
  await store.write(batchOf(batch));
  writeSync(acknowledged, `${batch}\n`);
}
process.kill(process.pid, "SIGKILL");
