/** A proxy that treats connections as bad networks and dying servers do: cuts them in the middle, splits, or slips garbage in. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { between, type Random } from "../../../../src/core/random.ts";

export interface Roughness {
  /** Chance, for each chunk from the server, that the connection is cut somewhere inside it. */
  readonly cut?: number;
  /** Chance that a chunk arrives in pieces. */
  readonly split?: number;
  /** Chance that bytes are slipped in at a chunk's start. */
  readonly garbage?: number;
}

/** Bytes that a confused peer might send: other replies, half replies, noise. */
const GARBAGE = [
  "STORED\r\n",
  "END\r\n",
  "VALUE item:1 0 3\r\nabc\r\nEND\r\n",
  "HTTP/1.1 400\r\n\r\n",
  "\u0081\u0000\u0001",
  "VALUE x",
  "ERROR\r\n",
];

/** @returns the proxy's address */
export async function roughProxy(t: TestContext, target: string, roughness: Roughness, random: Random): Promise<string> {
  const [host, port] = target.split(":") as [string, string];
  const { cut = 0, split = 0, garbage = 0 } = roughness;
  const server = createServer((near) => {
    const far = connect({ host, port: Number(port), noDelay: true });
    near.pipe(far);
    far.on("data", (chunk: Buffer) => {
      if (random() < garbage) near.write(GARBAGE[between(random, 0, GARBAGE.length - 1)]!, "latin1");
      const at = between(random, 0, chunk.length);
      if (random() < cut) {
        near.write(chunk.subarray(0, at), () => near.destroy());
        far.destroy();
      } else if (random() < split) {
        far.pause();
        near.write(chunk.subarray(0, at), () =>
          setImmediate(() => {
            near.write(chunk.subarray(at));
            far.resume();
          }),
        );
      } else near.write(chunk);
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
