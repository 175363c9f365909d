/** ● The calendar behind cron.ts: croner knows expressions and time zones. */
import { Cron } from "croner";
import type { NextRun } from "./cron.ts";

/** The first match after a time; undefined = never again. Throws on an expression or a time zone that is none. */
export const nextRun: NextRun = (expression, timeZone, afterMs) => {
  const cron = new Cron(expression, { timezone: timeZone ?? "UTC", paused: true });
  return cron.nextRun(new Date(afterMs))?.getTime();
};
