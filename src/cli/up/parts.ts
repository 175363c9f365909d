/**
 * ● The servers that one process runs together. Invariant: either all of them listen or none is left open. They close in reverse
 * order of their start: the dashboard first, the queue after the servers that use it.
 */
import { listenError } from "../shared/listen-error.ts";

/** A running server. */
export interface Part {
  readonly address: string;
  close(): Promise<void>;
}

export type PartName = "cache" | "queue" | "link" | "dashboard";

export interface PartPlan {
  /** Its name in the start-up line: "cache". */
  readonly name: PartName;
  /** The flag that sets its address: "--cache". */
  readonly flag: string;
  /** Its address as the user gave it. */
  readonly wanted: string;
  /** Starts it. Called in order, each after the previous one listens. */
  start(): Promise<Part>;
}

export interface RunningPart extends Part {
  readonly name: PartName;
}

/**
 * Starts all parts, or none.
 *
 * @param ready called for each part once all of them listen
 * @throws OperationError CLI_ADDRESS_IN_USE, CLI_ADDRESS_UNUSABLE with the flag to change; other errors of a part unchanged
 */
export async function startAll(plans: readonly PartPlan[], ready: (part: RunningPart) => void): Promise<RunningPart[]> {
  const running: RunningPart[] = [];
  for (const plan of plans) {
    try {
      const part = await plan.start();
      running.push({ name: plan.name, address: part.address, close: () => part.close() });
    } catch (error) {
      await closeAll(running);
      throw listenError(error, `start the ${plan.name} on ${plan.wanted}`, `give ${plan.flag} another address, or 'off'`);
    }
  }
  for (const part of running) ready(part);
  return running;
}

/** Closes the parts, last started first. An error of one part does not keep the others open. */
export async function closeAll(running: readonly RunningPart[]): Promise<void> {
  const failures: unknown[] = [];
  for (const part of running.toReversed()) {
    try {
      await part.close();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
