/** ○ Reads pcap or pcapng, detected from the first four octets. */
import { concat, EMPTY } from "../../core/bytes.ts";
import { captureUnreadable, type CapturedFrame, type CapturedFrameReader } from "../captured-frame.ts";
import { PcapReader, isPcap } from "./pcap.ts";
import { PcapngReader, isPcapng } from "./pcapng.ts";

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
  throw captureUnreadable("it starts neither like a pcap nor like a pcapng file");
}
