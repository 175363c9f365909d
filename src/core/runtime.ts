/** ● What runtimes other than Node cannot do of what Node does without documenting it. */

/**
 * Whether an accepted socket's handle can be given to a socket made with `onread`, which then reads into memory of our own. Node does
 * it; Bun (1.4) takes the handle and never reads.
 */
export const ADOPTS_HANDLES = !("bun" in process.versions);
