/** ● The entry point `holdfast/cache`. */
export * from "./client/index.ts";
export * from "./server/index.ts";
