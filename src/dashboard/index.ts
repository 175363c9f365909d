/** ● Entry point of the dashboard. */
export { Dashboard } from "./server/dashboard.ts";
export type { DashboardOptions } from "./server/dashboard.ts";
export type { Snapshot } from "./snapshot/snapshot.ts";
