/** ● The traffic of the servers in this process, from their tap, as frames. */
import { tap, type TapEvent } from "../../core/tap.ts";
import type { CapturedFrame } from "../captured-frame.ts";
import { TappedFrames } from "./tapped-frames.ts";

/**
 * Calls `onFrame` with the traffic of the servers in this process, until the returned function is called.
 *
 * @param serverPorts listening ports, to know which side is the client
 */
export function onTappedFrames(serverPorts: readonly number[], onFrame: (frame: CapturedFrame) => void): () => void {
  const frames = new TappedFrames((port) => serverPorts.includes(port));
  const listener = (message: unknown): void => {
    for (const frame of frames.frames(message as TapEvent)) onFrame(frame);
  };
  tap.subscribe(listener);
  return () => tap.unsubscribe(listener);
}
