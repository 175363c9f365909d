/**
 * ● The leases of a key's copies: while its first server has the lease (lease.ts), each of the others has a placeholder too, in place of
 * the copy that was there. Invariant: what is computed is stored on one only while its own placeholder stands, which any store or delete
 * ends, and only once the first server has stored it: so a delete that was confirmed is not undone anywhere.
 */
import { metaDone } from "./command-replies.ts";
import type { Dispatch } from "./dispatch.ts";
import { leaseDropped, leasedStore, placed, placeholder, type ToldVersion } from "./lease.ts";
import { RenewedLease } from "./renewed-lease.ts";
import type { PoolServer } from "../pool/pool-server.ts";

/** What is stored, as a server gets it. */
export interface StoredItem {
  readonly exptime: number;
  readonly flags: number;
  readonly body: string | Uint8Array;
}

interface CopyLease {
  readonly poolServer: PoolServer;
  readonly lease: RenewedLease;
}

export class CopyLeases {
  readonly #dispatch: Dispatch;
  readonly #wireKey: string;
  /** Resolves when all placeholders stand that can: before that nothing may be stored anywhere. */
  readonly begun: Promise<readonly CopyLease[]>;

  /** @param token what the placeholders hold */
  constructor(dispatch: Dispatch, wireKey: string, token: string, signal: AbortSignal) {
    this.#dispatch = dispatch;
    this.#wireKey = wireKey;
    const copies = dispatch.pool.copiesOf(wireKey).filter(({ usable, meta }) => usable && meta);
    this.begun = Promise.all(copies.map((poolServer) => this.#begin(poolServer, token, signal))).then((leases) =>
      leases.filter((each) => each !== undefined),
    );
  }

  /** The first server has stored what was computed. */
  async store(item: (poolServer: PoolServer) => StoredItem): Promise<void> {
    await this.#end((version, poolServer) => leasedStore(this.#wireKey, version, item(poolServer)));
  }

  /** Nothing is stored. */
  async drop(): Promise<void> {
    await this.#end((version) => leaseDropped(this.#wireKey, version));
  }

  async #end(request: (version: ToldVersion, poolServer: PoolServer) => Parameters<Dispatch["errandAt"]>[3]): Promise<void> {
    const ending = (await this.begun).map(async ({ poolServer, lease }) => {
      const version = await lease.end();
      if (!version) return;
      await this.#dispatch.errandAt(poolServer, metaDone, false, request(version, poolServer), undefined).catch(() => false);
    });
    await Promise.all(ending);
  }

  async #begin(poolServer: PoolServer, token: string, signal: AbortSignal): Promise<CopyLease | undefined> {
    const put = async (last: ToldVersion | "whatever is there"): Promise<ToldVersion | undefined> => {
      const request = placeholder(this.#wireKey, token, last);
      const cas = await this.#dispatch.errandAt(poolServer, placed, 0n, request, undefined).catch(() => 0n);
      return cas === 0n ? undefined : { cas, connection: poolServer.connection };
    };
    const version = await put("whatever is there");
    return version && { poolServer, lease: new RenewedLease(this.#dispatch.clock, version, put, signal) };
  }
}
