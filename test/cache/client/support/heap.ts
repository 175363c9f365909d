import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Live bytes of this process's heap, garbage collected. */
export function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  return process.memoryUsage().heapUsed;
}
