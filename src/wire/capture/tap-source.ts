/** ● The traffic of the servers in this process, from their tap, as frames. */
import { tap, type TapEvent } from "../../core/tap.ts";
import type { CapturedFrame } from "../captured-frame.ts";
import { TappedFrames } from "./tapped-frames.ts";

export interface TapSourceOptions {
  /** Listening ports, to know which side is the client. */
  readonly serverPorts: readonly number[];
  /** Which connections; default: all. What is not wanted is not copied. */
  wants?(ends: { readonly local: string; readonly remote: string }): boolean;
}

/** Calls `onFrame` with the traffic of the servers in this process, until the returned function is called. */
export function onTappedFrames(
  { serverPorts, wants = () => true }: TapSourceOptions,
  onFrame: (frame: CapturedFrame) => void,
): () => void {
  const frames = new TappedFrames((port) => serverPorts.includes(port));
  const listener = (message: unknown): void => {
    const event = message as TapEvent;
    if (wants(event)) for (const frame of frames.frames(event)) onFrame(frame);
  };
  tap.subscribe(listener);
  return () => tap.unsubscribe(listener);
}
