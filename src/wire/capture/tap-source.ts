/** ● Listens to the tap of the servers in this process and hands their traffic on as frames. */
import { tap } from "../../core/tap.ts";
import type { TapEvent } from "../../core/tap.ts";
import type { CapturedFrame } from "../captured-frame.ts";
import { TappedFrames } from "./tapped-frames.ts";

/**
 * Calls `onFrame` with what the servers of this process read and write, until the returned function is called.
 *
 * @param serverPorts ports that are listened at, to tell who opened a connection
 */
export function onTappedFrames(serverPorts: readonly number[], onFrame: (frame: CapturedFrame) => void): () => void {
  const frames = new TappedFrames((port) => serverPorts.includes(port));
  const listener = (message: unknown): void => {
    for (const frame of frames.frames(message as TapEvent)) onFrame(frame);
  };
  tap.subscribe(listener);
  return () => tap.unsubscribe(listener);
}
