/**
 * ● Mixed load on `holdfast up` for a while, with clients killed at random: `npm run soak -- --for 1h [--seed N] [--pace 1] [--json]`.
 * Prints a line a minute, then the books and the memory; exits 1 when something is wrong. The seed is printed first: the same seed
 * kills the same roles in the same order.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { durationMs } from "../src/core/units.ts";
import { type Memory, soak } from "../test/soak/soak.ts";

const { values } = parseArgs({
  options: {
    for: { type: "string", default: "1h" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) },
    pace: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
  },
});
const seed = Number(values.seed);
console.error(`seed ${seed}`);
const data = mkdtempSync(join(tmpdir(), "holdfast-soak-"));
try {
  const forMs = durationMs(values.for as `${number}m`, "--for");
  const report = await soak({ forMs, seed, data, pace: Number(values.pace), log: (line) => console.error(line) });
  if (values.json) console.log(JSON.stringify(report));
  else {
    const rows: Record<string, string | number> = {
      seconds: report.seconds.toFixed(0),
      "cores used by holdfast up": report.cpu.toFixed(3),
      kills: report.kills,
      freezes: report.freezes,
      ...report.counts,
      "memory of holdfast up": shown(report.up),
      "memory of the session server": shown(report.hub),
    };
    for (const [name, value] of Object.entries(rows)) console.log(`${name.padEnd(40)} ${value}`);
    for (const line of report.wrong) console.log(`WRONG: ${line}`);
  }
  process.exitCode = report.wrong.length > 0 ? 1 : 0;
} finally {
  rmSync(data, { recursive: true, force: true });
}

/** Its size at six moments, and the slope after the warm-up. */
function shown({ samples, slope }: Memory): string {
  const moments = [1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1].map((part) => samples[Math.ceil(samples.length * part) - 1]!);
  const sizes = moments.map((bytes) => (bytes / 2 ** 20).toFixed(1)).join(" ");
  const perHour = `${(slope.bytesPerHour / 2 ** 20).toFixed(2)} ± ${(slope.errorPerHour / 2 ** 20).toFixed(2)} MiB/h`;
  return `${sizes} MiB, slope ${perHour}, ${slope.flat ? "flat" : "GROWS"}`;
}
