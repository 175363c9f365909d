/** ● The dashboard's door. */
export { Dashboard } from "./dashboard.ts";
export type { DashboardOptions } from "./dashboard.ts";
export type { Snapshot } from "./snapshot.ts";
