/** ● Entry point of the dashboard. */
export { Dashboard } from "./server/dashboard.ts";
export type { DashboardOptions } from "./server/dashboard.ts";
export type { WholeSnapshot } from "./snapshot/snapshot.ts";
