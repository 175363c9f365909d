/** One sensor: a temperature that wanders by chance, sent over a session that outlives its connections. */
import { connect, type SessionClient } from "holdfast/link";

export class Sensor {
  /** Readings that the gateway has confirmed, which it does when the queue has them on disk. */
  confirmed = 0;
  readonly #client: SessionClient;
  readonly #timer: NodeJS.Timeout;
  #celsius = 15 + Math.random() * 10;

  private constructor(client: SessionClient, everyMs: number) {
    this.#client = client;
    this.#timer = setInterval(() => void this.#read(), everyMs);
  }

  static async start({ name, port, everyMs }: { name: string; port: number; everyMs: number }): Promise<Sensor> {
    const reconnect = { base: "50ms", cap: "500ms" };
    return new Sensor(await connect({ port, session: { name }, reconnect }), everyMs);
  }

  async #read(): Promise<void> {
    this.#celsius += Math.random() - 0.5;
    await this.#client.send(this.#celsius.toFixed(2));
    this.confirmed += 1;
  }

  /** Stops reading, sends what is still to be confirmed, and says goodbye. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#client.close();
  }
}
