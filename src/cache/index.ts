/** ● The door `holdfast/cache`. */
export * from "./client/exports.ts";
export * from "./serve/index.ts";
