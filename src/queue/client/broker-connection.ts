/**
 * ● A client's connection to one broker: over the network (a DEALER), or to a broker in the same process. Either is up or down;
 * what was sent when it went down is the client's to send again. Invariant: `up` and `down` are told alternately, `up` first.
 */
import type { Buffer } from "node:buffer";
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
/** As much may wait for one broker as it will take from us at once. */
const UNSENT_MESSAGES_MAX = 1_000_000;

export interface RemoteOptions {
  readonly security: ClientSecurity | undefined;
  /** Other brokers can be asked as well. */
  readonly hasOthers: boolean;
}

export class RemoteConnection implements BrokerConnection {
  readonly address: string;
  readonly #dealer: Dealer;
  readonly #reading: Promise<void>;
  #up = false;

  constructor(address: string, { security, hasOthers }: RemoteOptions, listener: BrokerConnectionListener) {
    this.address = address;
    this.#dealer = new Dealer({
      immediate: true,
      linger: 1000,
      ...(hasOthers ? HEARTBEAT_AMONG_OTHERS : HEARTBEAT_ALONE),
      reconnectInterval: RECONNECT_MS,
      reconnectMaxInterval: RECONNECT_MS_MAX,
      sendHighWaterMark: UNSENT_MESSAGES_MAX,
      maxMessageSize: MESSAGE_BYTES_MAX,
      ...dealerSecurity(security),
    });
    this.#dealer.events.on("handshake", () => {
      if (this.#up) return;
      this.#up = true;
      listener.up();
    });
    this.#dealer.events.on("disconnect", () => {
      if (!this.#up) return;
      this.#up = false;
      listener.down();
    });
    for (const type of ["handshake:error:auth", "handshake:error:protocol"] as const)
      this.#dealer.events.on(type, ({ error }) => listener.refused?.(error.message));
    this.#dealer.connect(address);
    this.#reading = this.#read(listener);
  }

  send(frames: Frames): boolean {
    return this.#up && this.#dealer.trySend(frames as Buffer[]) === "sent";
  }

  async close(): Promise<void> {
    void this.#dealer.close();
    await this.#reading;
  }

  async #read(listener: BrokerConnectionListener): Promise<void> {
    for (;;) {
      let frames: Frames | undefined;
      try {
        frames = await this.#dealer.receive();
      } catch (error) {
        if (this.#dealer.closed) return;
        throw error;
      }
      for (; frames; frames = this.#dealer.tryReceive()) listener.heard(frames);
    }
  }
}

function dealerSecurity(security: ClientSecurity | undefined): Readonly<Record<string, string>> {
  if (!security) return {};
  if ("plain" in security) return { plainUsername: security.plain.username, plainPassword: security.plain.password };
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
  readonly #port: LocalPort;
  #open = true;

  constructor(broker: LocalBroker, listener: BrokerConnectionListener) {
    this.address = broker.address;
    this.#port = broker.attach(
      // Never while the broker is in the middle of something.
      (frames) => queueMicrotask(() => this.#open && listener.heard(frames)),
      () => {
        if (!this.#open) return;
        this.#open = false;
        listener.down();
      },
    );
    queueMicrotask(() => listener.up());
  }

  send(frames: Frames): boolean {
    if (this.#open) this.#port.receive(frames);
    return this.#open;
  }

  async close(): Promise<void> {
    if (this.#open) this.#port.gone();
    this.#open = false;
  }
}
