/**
 * ● A client's connection to one broker: over the network (a DEALER), or to a broker in the same process. Either is up or down;
 * what was sent when it went down is the client's to send again. Invariant: `up` and `down` are told alternately, `up` first.
 */
import type { Buffer } from "node:buffer";
import { backoffDelayMs } from "../../core/backoff.ts";
import { codeOf } from "../../core/errors.ts";
import { Dealer } from "../../zmq/index.ts";
import { MESSAGE_BYTES_MAX } from "../limits.ts";
import type { Frames } from "../protocols/messages.ts";
import type { LocalPort } from "../protocols/protocol-handler.ts";

export interface BrokerConnectionListener {
  up(): void;
  down(): void;
  /** The broker, or whatever listens there, refuses this client. */
  refused?(why: string): void;
  heard(frames: Frames): void;
}

export interface BrokerConnection {
  readonly address: string;
  /** @returns false when it is down or the broker does not read: nothing was sent */
  send(frames: Frames): boolean;
  /** Ends the connection for a fault of the broker's and makes it again, each time later. `down` is told at once. */
  reset(): void;
  close(): Promise<void>;
}

/** How a client proves who it is; as set at the broker. */
export type ClientSecurity =
  | { readonly plain: { readonly username: string; readonly password: string } }
  | { readonly curve: { readonly serverKey: string; readonly publicKey: string; readonly secretKey: string } };

/** 10 s of silence after a PING: shorter than the default deadline of a submission, so that it can still be sent again. */
const HEARTBEAT_ALONE = { heartbeatInterval: 5000, heartbeatTimeout: 10_000 };
/** 2 s: where others can be asked, a machine that is gone is worth a wait of 3.5 s at most. */
const HEARTBEAT_AMONG_OTHERS = { heartbeatInterval: 1500, heartbeatTimeout: 2000 };
const RECONNECT_MS = 100;
/** 1 s: a broker that restarts is found within that. */
const RECONNECT_MS_MAX = 1000;
/** 10 s without a fault: the next one is answered as the first. */
const FAULTLESS_MS = 10_000;
/** As much may wait for one broker as it will take from us at once. */
const UNSENT_MESSAGES_MAX = 1_000_000;

export interface RemoteOptions {
  readonly security: ClientSecurity | undefined;
  /** Other brokers can be asked as well. */
  readonly hasOthers: boolean;
}

/** When to connect again after a fault. */
class FaultBackoff {
  #faults = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Keeps the process alive until then: what was asked must settle. */
  again(connect: () => void): void {
    this.stop();
    this.#faults += 1;
    const waitMs = backoffDelayMs({ minMs: RECONNECT_MS, maxMs: RECONNECT_MS_MAX, jitter: 0 }, this.#faults, () => 0);
    this.#timer = setTimeout(() => {
      this.#timer = setTimeout(() => (this.#faults = 0), FAULTLESS_MS).unref();
      connect();
    }, waitMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

export class RemoteConnection implements BrokerConnection {
  readonly address: string;
  readonly #options: RemoteOptions;
  readonly #listener: BrokerConnectionListener;
  readonly #backoff = new FaultBackoff();
  /** Another one after each fault. */
  #dealer: Dealer;
  #reading: Promise<void>;
  #up = false;

  constructor(address: string, options: RemoteOptions, listener: BrokerConnectionListener) {
    this.address = address;
    this.#options = options;
    this.#listener = listener;
    this.#dealer = this.#connect();
    this.#reading = this.#read(this.#dealer);
  }

  send(frames: Frames): boolean {
    return this.#up && this.#dealer.trySend(frames as Buffer[]) === "sent";
  }

  reset(): void {
    this.#dealer.linger = 0;
    void this.#dealer.close();
    this.#down();
    this.#backoff.again(() => {
      this.#dealer = this.#connect();
      this.#reading = this.#read(this.#dealer);
    });
  }

  async close(): Promise<void> {
    this.#backoff.stop();
    // Resolves when what was sent is on its way.
    await this.#dealer.close();
    await this.#reading;
  }

  #connect(): Dealer {
    const { security, hasOthers } = this.#options;
    const dealer = new Dealer({
      immediate: true,
      linger: 1000,
      ...(hasOthers ? HEARTBEAT_AMONG_OTHERS : HEARTBEAT_ALONE),
      reconnectInterval: RECONNECT_MS,
      reconnectMaxInterval: RECONNECT_MS_MAX,
      sendHighWaterMark: UNSENT_MESSAGES_MAX,
      maxMessageSize: MESSAGE_BYTES_MAX,
      ...dealerSecurity(security),
    });
    dealer.events.on("handshake", () => {
      if (this.#up || dealer.closed) return;
      this.#up = true;
      this.#listener.up();
    });
    dealer.events.on("disconnect", () => {
      if (!dealer.closed) this.#down();
    });
    for (const type of ["handshake:error:auth", "handshake:error:protocol"] as const)
      dealer.events.on(type, ({ error }) => this.#listener.refused?.(error.detail ?? error.message));
    dealer.connect(this.address);
    return dealer;
  }

  #down(): void {
    if (!this.#up) return;
    this.#up = false;
    this.#listener.down();
  }

  async #read(dealer: Dealer): Promise<void> {
    for (;;) {
      let frames: Frames | undefined;
      try {
        frames = await dealer.receive();
      } catch (error) {
        if (dealer.closed) return;
        throw error;
      }
      while (frames && !dealer.closed) {
        this.#listener.heard(frames);
        frames = dealer.closed ? undefined : dealer.tryReceive();
      }
    }
  }
}

function dealerSecurity(security: ClientSecurity | undefined): Readonly<Record<string, string>> {
  if (!security) return {};
  if ("plain" in security) {
    const { username, password } = security.plain;
    // Sockets take no empty text; without one an empty password is sent.
    return { plainUsername: username, ...(password !== "" && { plainPassword: password }) };
  }
  const { serverKey, publicKey, secretKey } = security.curve;
  return { curveServerKey: serverKey, curvePublicKey: publicKey, curveSecretKey: secretKey };
}

/** Something in this process that takes connections: a Broker. */
export interface LocalBroker {
  readonly address: string;
  /** @internal */
  attach(send: (frames: Frames) => void, closed: () => void): LocalPort;
}

export class LocalConnection implements BrokerConnection {
  readonly address: string;
  readonly #broker: LocalBroker;
  readonly #listener: BrokerConnectionListener;
  readonly #backoff = new FaultBackoff();
  #port: LocalPort | undefined;

  constructor(broker: LocalBroker, listener: BrokerConnectionListener) {
    this.address = broker.address;
    this.#broker = broker;
    this.#listener = listener;
    this.#attach();
  }

  send(frames: Frames): boolean {
    this.#port?.receive(frames);
    return this.#port !== undefined;
  }

  reset(): void {
    this.#leave();
    this.#listener.down();
    this.#attachAgain();
  }

  async close(): Promise<void> {
    this.#backoff.stop();
    this.#leave();
  }

  /** @throws UsageError CLOSED */
  #attach(): void {
    const port = this.#broker.attach(
      // Never while the broker is in the middle of something.
      (frames) => queueMicrotask(() => this.#port === port && this.#listener.heard(frames)),
      () => {
        if (this.#port !== port) return;
        this.#port = undefined;
        this.#listener.down();
        this.#attachAgain();
      },
    );
    this.#port = port;
    queueMicrotask(() => this.#port === port && this.#listener.up());
  }

  #attachAgain(): void {
    this.#backoff.again(() => {
      try {
        this.#attach();
      } catch (error) {
        // The broker was closed: there is nothing to come back to.
        if (codeOf(error) !== "CLOSED") throw error;
      }
    });
  }

  #leave(): void {
    const port = this.#port;
    this.#port = undefined;
    port?.gone();
  }
}
