/**
 * ● The traffic of the servers in this process as a pcapng stream, for `holdfast wire` where capturing is not permitted. Packets are
 * dropped for a slow reader, and a comment on the next packet says how many; the servers never wait.
 */
import { PcapngWriter, onTappedFrames, type CapturedFrame } from "../../wire/index.ts";
import { TAPPED_BYTES_MAX, TAPPED_STREAMS_MAX } from "../limits.ts";

let open = 0;

/**
 * @param ports the servers' ports, to know which side is the client
 * @returns undefined when TAPPED_STREAMS_MAX are open
 */
export function tappedStream(ports: readonly number[]): ReadableStream<Uint8Array> | undefined {
  if (open >= TAPPED_STREAMS_MAX) return undefined;
  open += 1;
  const writer = new PcapngWriter();
  let untap = (): void => {};
  let dropped = 0;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        controller.enqueue(writer.start());
        untap = onTappedFrames({ serverPorts: ports }, (frame) => {
          if ((controller.desiredSize ?? 0) <= 0) {
            dropped += 1;
            return;
          }
          controller.enqueue(writer.frame(dropped > 0 ? withComment(frame, dropped) : frame));
          dropped = 0;
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

function withComment(frame: CapturedFrame, dropped: number): CapturedFrame {
  return {
    ...frame,
    comment: `${frame.comment ?? ""}\n${dropped} packets before this one were dropped: the reader was too slow`,
  };
}
