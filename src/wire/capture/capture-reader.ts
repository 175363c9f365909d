/** ○ A capture of either kind, told by its first four octets. */
import { concat, EMPTY } from "../../core/bytes.ts";
import { ProtocolError } from "../../core/errors.ts";
import type { CapturedFrame, CapturedFrameReader } from "../captured-frame.ts";
import { PcapReader, isPcap } from "./pcap.ts";
import { PcapngReader, isPcapng } from "./pcapng.ts";

/** Reads pcap or pcapng, whichever comes. */
export class CaptureReader implements CapturedFrameReader {
  #reader: CapturedFrameReader | undefined;
  #first: Uint8Array = EMPTY;

  push(chunk: Uint8Array): void {
    if (this.#reader) {
      this.#reader.push(chunk);
      return;
    }
    const first = concat(this.#first, chunk);
    this.#first = first;
    if (first.length < 4) return;
    this.#reader = readerFor(first);
    this.#reader.push(first);
  }

  next(): CapturedFrame | undefined {
    return this.#reader?.next();
  }

  get unfinished(): boolean {
    return this.#reader?.unfinished ?? true;
  }
}

function readerFor(first: Uint8Array): CapturedFrameReader {
  if (isPcap(first)) return new PcapReader();
  if (isPcapng(first)) return new PcapngReader();
  throw new ProtocolError("WIRE_CAPTURE_UNREADABLE", "Cannot read capture: it starts as neither a pcap nor a pcapng file does");
}
