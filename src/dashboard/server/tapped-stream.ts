/**
 * ● What the servers of this process read and write, as a pcapng stream for `holdfast wire` where capturing is not permitted. A reader
 * that falls behind misses packets, and a comment on the next one says how many; the servers never wait for it.
 */
import { PcapngWriter, onTappedFrames } from "../../wire/index.ts";
import type { CapturedFrame } from "../../wire/index.ts";
import { TAPPED_BYTES_MAX, TAPPED_STREAMS_MAX } from "../limits.ts";

let open = 0;

/**
 * @param ports the servers' ports, to tell who opened a connection
 * @returns undefined when as many are open as the servers can bear
 */
export function tappedStream(ports: readonly number[]): ReadableStream<Uint8Array> | undefined {
  if (open >= TAPPED_STREAMS_MAX) return undefined;
  open += 1;
  const writer = new PcapngWriter();
  let untap = (): void => {};
  let missed = 0;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        controller.enqueue(writer.start());
        untap = onTappedFrames(ports, (frame) => {
          if ((controller.desiredSize ?? 0) <= 0) {
            missed += 1;
            return;
          }
          controller.enqueue(writer.frame(missed > 0 ? noted(frame, missed) : frame));
          missed = 0;
        });
      },
      cancel: () => {
        untap();
        open -= 1;
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: TAPPED_BYTES_MAX }),
  );
}

function noted(frame: CapturedFrame, missed: number): CapturedFrame {
  return {
    ...frame,
    comment: `${frame.comment ?? ""}\n${missed} packets before this one were left out: they were not read in time`,
  };
}
