/** ● Lets a thread end when it has nothing left to do: Deno's `parentPort` cannot be closed, but need not hold its thread. */
import type { MessagePort } from "node:worker_threads";

export function closePort(port: MessagePort): void {
  if (typeof port.close === "function") port.close();
  else (globalThis as { close?: () => void }).close?.();
}
