/** The way between sensors and gateway: passes bytes on, until it is told to cut some of the connections in the middle of them. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export class Cable {
  cuts = 0;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  readonly #server;

  /** @param port where the gateway listens */
  constructor(port: number) {
    this.#server = createServer((sensor) => {
      const gateway = connect(port, "127.0.0.1");
      const pair = [sensor, gateway] as const;
      this.#pairs.add(pair);
      sensor.pipe(gateway).pipe(sensor);
      for (const end of pair) {
        end.on("error", () => this.#drop(pair)); // the other end was cut; that is what this is for
        end.on("close", () => this.#drop(pair));
      }
    });
  }

  /** Starts to listen on a free port and returns it. */
  async listen(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  /** Cuts this share of the connections, without a goodbye. */
  cut(share: number): void {
    for (const pair of this.#pairs) {
      if (Math.random() >= share) continue;
      this.cuts += 1;
      this.#drop(pair);
    }
  }

  close(): void {
    this.#server.close();
    for (const pair of this.#pairs) this.#drop(pair);
  }

  #drop(pair: readonly [Socket, Socket]): void {
    this.#pairs.delete(pair);
    for (const end of pair) end.destroy();
  }
}
