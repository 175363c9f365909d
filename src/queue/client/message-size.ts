/** ○ What one message can carry. A message beyond that would end its connection, be sent again after it, and end the next. */
import { OperationError } from "../../core/errors.ts";
import { CARRIED_BYTES_MAX } from "../limits.ts";

/** @throws OperationError QUEUE_BODY_TOO_LARGE when these do not go into one message, whatever the broker allows */
export function mustFit(bodies: readonly Uint8Array[]): void {
  let bytes = 0;
  for (const body of bodies) bytes += body.length;
  if (bytes > CARRIED_BYTES_MAX) {
    throw new OperationError(
      "QUEUE_BODY_TOO_LARGE",
      `Cannot send ${bytes} bytes at once: at most ${CARRIED_BYTES_MAX} are allowed`,
    );
  }
}
