/** A peer made of octets: a plain TCP connection, what it sends written by hand from the RFCs, what it reads compared octet by octet. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** 5 s: every answer comes within milliseconds; what does not come must fail the test with its own words. */
const READ_MS_MAX = 5000;

export class RawPeer {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (octets) => {
      this.#received = Buffer.concat([this.#received, octets as Buffer]);
      this.#wake();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake();
    };
    socket.on("end", end).on("close", end).on("error", end);
  }

  /** Connects to "tcp://127.0.0.1:PORT". */
  static async connect(endpoint: string): Promise<RawPeer> {
    const socket = connect(Number(endpoint.split(":").at(-1)), "127.0.0.1");
    await once(socket, "connect");
    return new RawPeer(socket);
  }

  /** Waits for the one connection made to `endpoint`. */
  static async listen(): Promise<{ endpoint: string; accepted: Promise<RawPeer>; close: () => void }> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const accepted = once(server, "connection").then(([socket]) => new RawPeer(socket as Socket));
    const endpoint = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return { endpoint, accepted, close: () => server.close() };
  }

  send(...octets: readonly Uint8Array[]): this {
    this.socket.write(Buffer.concat(octets));
    return this;
  }

  /** The next octets, exactly as many. */
  async read(count: number): Promise<Buffer> {
    await this.#until(() => this.#received.length >= count || this.#ended, `${count} octets`);
    if (this.#received.length < count) throw new Error(`The connection ended after ${this.#received.toString("hex")}`);
    const octets = this.#received.subarray(0, count);
    this.#received = this.#received.subarray(count);
    return octets;
  }

  /** Waits until the other side has closed. @returns what it sent last */
  async ended(): Promise<Buffer> {
    await this.#until(() => this.#ended, "the end");
    return this.#received;
  }

  close(): void {
    this.socket.destroy();
  }

  async #until(happened: () => boolean, what: string): Promise<void> {
    const late = AbortSignal.timeout(READ_MS_MAX);
    late.addEventListener("abort", () => this.#wake());
    while (!happened()) {
      if (late.aborted)
        throw new Error(`${what} did not come within ${READ_MS_MAX} ms, only ${this.#received.toString("hex")}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

/** Octets of hex digits; spaces are for the reader. */
export function hex(digits: string): Buffer {
  return Buffer.from(digits.replaceAll(" ", ""), "hex");
}

const SIGNATURE = hex("ff 0000000000000001 7f");

/** A greeting of ZMTP 3 (RFC 37, "greeting"). */
export function greeting({ minor = 1, mechanism = "NULL", asServer = false } = {}): Buffer {
  const octets = Buffer.alloc(64);
  SIGNATURE.copy(octets);
  octets.set([3, minor], 10);
  octets.write(mechanism, 12, "latin1");
  octets[32] = asServer ? 1 : 0;
  return octets;
}

/** What a ZMTP 2.0 peer sends first (RFC 15): signature, revision 1, its socket type, and its identity as a frame. */
export function greeting2(socketType: number, identity = ""): Buffer {
  return Buffer.concat([SIGNATURE, Buffer.of(1, socketType, 0, identity.length), Buffer.from(identity, "latin1")]);
}

/** A frame of ZMTP 2.0 and later. */
export function frame(flags: number, body: Uint8Array | string): Buffer {
  const octets = Buffer.from(body as string);
  if (octets.length <= 255) return Buffer.concat([Buffer.of(flags, octets.length), octets]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(octets.length));
  return Buffer.concat([Buffer.of(flags | 2), length, octets]);
}

/** A frame of ZMTP 1.0: the length counts the flags behind it. */
export function frame1(flags: number, body: Uint8Array | string): Buffer {
  const octets = Buffer.from(body as string);
  if (octets.length + 1 < 255) return Buffer.concat([Buffer.of(octets.length + 1, flags), octets]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(octets.length + 1));
  return Buffer.concat([Buffer.of(255), length, Buffer.of(flags), octets]);
}

/** READY with the properties given (RFC 37, "metadata"). */
export function ready(properties: Readonly<Record<string, string>>): Buffer {
  return frame(4, Buffer.concat([Buffer.from("\u0005READY", "latin1"), metadata(properties)]));
}

export function metadata(properties: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(
    Object.entries(properties).flatMap(([name, value]) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(value.length);
      return [Buffer.of(name.length), Buffer.from(name, "latin1"), length, Buffer.from(value, "latin1")];
    }),
  );
}
