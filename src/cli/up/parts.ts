/**
 * ● Parts that one process runs together. Invariant: either all of them listen, or none is left behind; they end in the reverse
 * of the order they started in, so that the page goes first and the queue outlives whoever uses it.
 */
import { listenError } from "../shared/listen-error.ts";

/** A server of ours, as the command sees it. */
export interface Part {
  readonly address: string;
  close(): Promise<void>;
}

export interface PartPlan {
  /** The part's name in the ready line: "cache". */
  readonly name: string;
  /** The flag that moves it elsewhere: "--cache". */
  readonly flag: string;
  /** Where it should listen, as the user gave it. */
  readonly wanted: string;
  /** Starts it. Called in order, each after the one before listens. */
  start(): Promise<Part>;
}

export interface RunningPart extends Part {
  readonly name: string;
}

/**
 * Starts all parts, or none.
 *
 * @param ready told of each part as soon as it listens
 * @throws OperationError CLI_ADDRESS_IN_USE, CLI_ADDRESS_UNUSABLE with the flag to change; other errors of a part as they are
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

/** Closes the parts, last started first. A part that fails to close does not keep the others open. */
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
