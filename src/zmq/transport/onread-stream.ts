/**
 * ● Streams that read into one buffer which all of them share: the octets are parsed before the next read, and what is kept is
 * copied. That spares an allocation of 64 KiB a read and the collections that follow. Node offers it for connections made, by
 * `onread`; for accepted ones its handle must be given to a new stream, in a way that Node does not document: where that cannot
 * be done, the stream hands over chunks of its own, slower and else the same.
 */
import { connect, type NetConnectOpts, type Socket as Stream } from "node:net";
import { readInto } from "../../core/socket-handle.ts";
import { READ_BYTES } from "../limits.ts";

const shared = Buffer.allocUnsafeSlow(READ_BYTES);

/** Takes octets; borrowed ones must be copied before returning. */
export type Sink = (chunk: Buffer, borrowed: boolean) => void;

/** A stream whose octets go to a sink, once it has one. */
export interface OnReadStream {
  readonly stream: Stream;
  setSink(sink: Sink): void;
}

/** As `net.connect`. */
export function connectOnRead(options: NetConnectOpts): OnReadStream {
  const inlet = new OnRead();
  const stream = connect({ ...options, onread: inlet.onread });
  return { stream, setSink: (sink) => (inlet.sink = sink) };
}

/** For a stream accepted by a server with `pauseOnConnect`. */
export function acceptOnRead(accepted: Stream): OnReadStream {
  const inlet = new OnRead();
  const stream = readInto(accepted, inlet.onread);
  if (!stream) return plainReading(accepted);
  return {
    stream,
    setSink: (sink) => {
      inlet.sink = sink;
      stream.resume();
    },
  };
}

function plainReading(stream: Stream): OnReadStream {
  return {
    stream,
    setSink: (sink) => {
      stream.on("data", (chunk: Buffer) => sink(chunk, false));
      stream.resume();
    },
  };
}

/** Node's `onread` option, whose octets go to a sink that comes later. */
class OnRead {
  sink: Sink | undefined;
  readonly onread = {
    buffer: shared,
    callback: (length: number): boolean => {
      this.sink?.(shared.subarray(0, length), true);
      return true;
    },
  };
}
