/** ○ Reads pcap or pcapng, detected from the first four octets. */
import { captureUnreadable, type CapturedFrame, type CapturedFrameReader } from "../captured-frame.ts";
import { PcapReader, isPcap } from "./pcap.ts";
import { PcapngReader, isPcapng } from "./pcapng.ts";

export class CaptureReader implements CapturedFrameReader {
  #reader: CapturedFrameReader | undefined;
  #first: Uint8Array = new Uint8Array(0);

  push(chunk: Uint8Array): void {
    if (this.#reader) {
      this.#reader.push(chunk);
      return;
    }
    const first = new Uint8Array(this.#first.length + chunk.length);
    first.set(this.#first);
    first.set(chunk, this.#first.length);
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
