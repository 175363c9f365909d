/**
 * ○ A body of several frames in one. A task's body is one run of bytes; Majordomo's may be several frames, and they arrive as they
 * were sent when both ends speak Majordomo. One frame is kept as it is. Several (or one that looks like this form) are kept as
 * NUL "HQF", then for each u32 length + bytes, big-endian.
 */
import { Buffer } from "node:buffer";

const MARK = Buffer.from("\0HQF", "latin1");

export function packFrames(frames: readonly Buffer[]): Buffer {
  if (frames.length === 1 && !hasMark(frames[0]!)) return frames[0]!;
  const parts: Buffer[] = [MARK];
  for (const frame of frames) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(frame.length);
    parts.push(length, frame);
  }
  return Buffer.concat(parts);
}

/** What was packed; anything else is one frame. */
export function unpackFrames(body: Uint8Array): Buffer[] {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
  if (!hasMark(bytes)) return [bytes];
  const frames: Buffer[] = [];
  let at = MARK.length;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return [bytes];
    const end = at + 4 + bytes.readUInt32BE(at);
    if (end > bytes.length) return [bytes];
    frames.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return frames;
}

function hasMark(bytes: Buffer): boolean {
  return bytes.length >= MARK.length && bytes.compare(MARK, 0, MARK.length, 0, MARK.length) === 0;
}
