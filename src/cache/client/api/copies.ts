/**
 * ● Items that lie on several servers, their owners (pool.ts): a read asks one, and another where that one misses or fails; what is
 * stored or deleted goes to all. Invariant: when a change is confirmed, no owner gives what was there before, unless it was told that it
 * may (CACHE_PARTIAL). What one server alone can decide (cas, incr, leases) is decided by the first owner that is not ejected, and the copies are
 * deleted with it, in the same tick.
 */
import { HoldfastError, OperationError, codeOf } from "../../../core/errors.ts";
import {
  GetManyOperation,
  GetManyResult,
  GetOperation,
  type ServerKeys,
  type ValueReader,
} from "../operations/get-operation.ts";
import type { Codec } from "../operations/codec.ts";
import {
  CommandOperation,
  type CacheOperation,
  type CallTimes,
  type CommandFields,
  type CommandVerb,
  type OperationOwner,
  type ReadVerb,
  type ReplyReader,
} from "../operations/operation.ts";
import type { PoolServer } from "../pool/pool-server.ts";
import type { CallOptions } from "./cache-client-options.ts";
import { foundOrNot } from "./command-replies.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Key } from "./key.ts";

/** What one of the owners answered. */
export interface OwnerAnswer<T> {
  /** Undefined: none answers for the key. */
  readonly poolServer: PoolServer | undefined;
  readonly answer: T;
}

export class Copies {
  readonly #dispatch: Dispatch;
  /** Of one of several requests of a call: hits and misses are counted when the last is done, and what a failure means is told then. */
  readonly #attempts: OperationOwner;

  constructor(dispatch: Dispatch) {
    this.#dispatch = dispatch;
    this.#attempts = {
      failed: (operation, error) => dispatch.failed(operation, error) && false,
      settled: (operation) => dispatch.told(operation),
      turnTaken: (...turn) => dispatch.turnTaken(...turn),
      checkTags: (...check) => dispatch.checkTags(...check),
    };
  }

  /** The item from the nearest or fastest owner that has it. */
  async lookup<T>(
    verb: ReadVerb,
    key: Key,
    codec: Codec<unknown>,
    read: ValueReader<T>,
    options: CallOptions | undefined,
  ): Promise<T | undefined> {
    const dispatch = this.#dispatch;
    const wireKey = dispatch.toWireKey(key);
    const turns = new Turns(dispatch, options);
    let failure: HoldfastError | undefined;
    let answered = false;
    const readers = dispatch.pool.readers(wireKey);
    for (const [turn, poolServer] of readers.entries()) {
      try {
        const found = await turns.take(poolServer, readers.length - turn, (times) =>
          this.#get(poolServer, verb, wireKey, codec, read, options, times),
        );
        answered = true;
        if (found === undefined) continue;
        dispatch.countReads(1, 0);
        return found;
      } catch (error) {
        failure = this.#ofOwner(error);
      }
    }
    if (failure && !answered) {
      if (dispatch.missesErrors) return undefined;
      throw failure;
    }
    dispatch.countReads(0, 1);
    return undefined;
  }

  /** The items found, each from the nearest or fastest owner that has it. */
  async lookupMany<T, K extends Key>(
    verb: ReadVerb,
    keys: Iterable<K>,
    codec: Codec<unknown>,
    read: ValueReader<T>,
    options: CallOptions | undefined,
  ): Promise<Map<K, T>> {
    const dispatch = this.#dispatch;
    const readers = new Map([...keys].map((key) => [key, dispatch.pool.readers(dispatch.toWireKey(key))]));
    const turns = new Turns(dispatch, options);
    const found = new Map<K, T>();
    const answered = new Set<K>();
    let failure: HoldfastError | undefined;
    for (let turn = 0; turn < dispatch.pool.copies; turn += 1) {
      const rest = [...readers].filter(([key]) => !found.has(key)).map(([key, owners]) => [key, owners[turn]] as const);
      const asking = [...byServer(dispatch, rest)].map(async ([poolServer, serverKeys]) => {
        try {
          const values = await turns.take(poolServer, dispatch.pool.copies - turn, (times) =>
            this.#getMany(poolServer, verb, serverKeys, codec, read, options, times),
          );
          for (const key of serverKeys.keys) answered.add(key);
          for (const [key, value] of values) found.set(key, value);
        } catch (error) {
          failure = this.#ofOwner(error);
        }
      });
      await Promise.all(asking);
    }
    const unanswered = [...readers].filter(([key, owners]) => owners.length > 0 && !answered.has(key)).length;
    dispatch.countReads(found.size, readers.size - found.size - unanswered);
    if (failure && unanswered > 0 && !dispatch.missesErrors) throw failure;
    return new Map([...readers.keys()].filter((key) => found.has(key)).map((key) => [key, found.get(key)!]));
  }

  /**
   * The same command at all owners: their answers, the first's first.
   *
   * @throws OperationError CACHE_PARTIAL when some confirm it and some do not; what the first failed with when none does
   */
  everywhere<T>(
    verb: CommandVerb,
    key: Key,
    options: CallOptions | undefined,
    reader: () => ReplyReader<T>,
    missed: T,
    fields: (poolServer: PoolServer | undefined) => CommandFields,
  ): Promise<readonly OwnerAnswer<T>[]> {
    return new Promise((resolve, reject) => {
      const dispatch = this.#dispatch;
      const wireKey = dispatch.toWireKey(key);
      const owners = dispatch.pool.owners(wireKey);
      const asked: readonly (PoolServer | undefined)[] = owners.some(({ usable }) => usable) ? owners : [undefined];
      const sent = asked.map((poolServer) => fields(poolServer)); // what cannot be sent is refused before anything is
      const times = dispatch.limits.times(options);
      const answers: OwnerAnswer<T>[] = Array.from({ length: asked.length });
      let confirmed = 0;
      let open = asked.length;
      let failure: HoldfastError | undefined;
      const settle = (): void => {
        open -= 1;
        if (open > 0) return;
        if (failure) reject(confirmed === 0 ? failure : partial(failure));
        else resolve(answers);
      };
      for (const [index, poolServer] of asked.entries()) {
        const answered = (answer: T): void => {
          answers[index] = { poolServer, answer };
          confirmed += 1;
          settle();
        };
        const failed = (error: HoldfastError): void => {
          failure ??= error;
          settle();
        };
        const operation = new CommandOperation(
          verb,
          wireKey,
          dispatch,
          times,
          sent[index]!,
          reader(),
          missed,
          answered,
          failed,
        );
        this.#submit(poolServer, operation, options);
      }
    });
  }

  /** What the first owner confirms, stored over the copies. @throws OperationError CACHE_PARTIAL */
  async follow(
    wireKey: string,
    options: CallOptions | undefined,
    reader: ReplyReader<boolean>,
    fields: (poolServer: PoolServer) => CommandFields,
  ): Promise<void> {
    await this.#toCopies("set", wireKey, options, reader, fields);
  }

  /** Changes the item at its first owner alone, and deletes its copies. @throws OperationError CACHE_PARTIAL */
  async alone<T>(wireKey: string, options: CallOptions | undefined, change: () => Promise<T>): Promise<T> {
    const changed = change();
    const [outcome, dropped] = await Promise.allSettled([
      changed,
      this.#toCopies("delete", wireKey, options, foundOrNot, () => ({})),
    ]);
    if (outcome.status === "rejected") throw outcome.reason;
    if (dropped.status === "rejected") throw dropped.reason;
    return outcome.value;
  }

  async #toCopies(
    verb: CommandVerb,
    wireKey: string,
    options: CallOptions | undefined,
    reader: ReplyReader<boolean>,
    fields: (poolServer: PoolServer) => CommandFields,
  ): Promise<void> {
    const copies = this.#dispatch.pool.copiesOf(wireKey);
    const answers = await Promise.allSettled(
      copies.map((poolServer) => this.#send(poolServer, verb, wireKey, options, reader, false, fields(poolServer))),
    );
    for (const answer of answers) if (answer.status === "rejected") throw partial(answer.reason);
  }

  /** A failure of one owner, which another may make good; what is the caller's own or the value's is thrown. */
  #ofOwner(error: unknown): HoldfastError {
    const code = codeOf(error);
    const isOwners = error instanceof HoldfastError && code !== "ABORTED" && code !== "CLOSED";
    if (isOwners && (code !== "CACHE_VALUE_UNREADABLE" || this.#dispatch.missesErrors)) return error;
    throw error;
  }

  #get<T>(
    poolServer: PoolServer,
    verb: ReadVerb,
    wireKey: string,
    codec: Codec<unknown>,
    read: ValueReader<T>,
    options: CallOptions | undefined,
    times: CallTimes,
  ): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const operation = new GetOperation(verb, wireKey, this.#attempts, times, codec, read, resolve, reject);
      this.#dispatch.submit(poolServer, operation, options);
    });
  }

  #getMany<T, K extends Key>(
    poolServer: PoolServer,
    verb: ReadVerb,
    serverKeys: ServerKeys<K>,
    codec: Codec<unknown>,
    read: ValueReader<T>,
    options: CallOptions | undefined,
    times: CallTimes,
  ): Promise<Map<K, T>> {
    return new Promise((resolve, reject) => {
      const result = new GetManyResult<K, T>(resolve, reject);
      for (const key of serverKeys.keys) result.expect(key);
      result.open = 1;
      const operation = new GetManyOperation(verb, serverKeys, this.#attempts, times, codec, read, result);
      this.#dispatch.submit(poolServer, operation, options);
    });
  }

  #send<T>(
    poolServer: PoolServer | undefined,
    verb: CommandVerb,
    wireKey: string,
    options: CallOptions | undefined,
    reader: ReplyReader<T>,
    missed: T,
    fields: CommandFields,
  ): Promise<T> {
    const dispatch = this.#dispatch;
    return new Promise((resolve, reject) => {
      const times = dispatch.limits.times(options);
      const operation = new CommandOperation(verb, wireKey, dispatch, times, fields, reader, missed, resolve, reject);
      this.#submit(poolServer, operation, options);
    });
  }

  #submit(poolServer: PoolServer | undefined, operation: CacheOperation, options: CallOptions | undefined): void {
    if (poolServer?.usable === false) {
      operation.server = poolServer.server.name;
      operation.fail(new OperationError("CACHE_UNREACHABLE", `${poolServer.server.name} is ejected`));
    } else this.#dispatch.submit(poolServer, operation, options);
  }
}

/** The turns of a call's owners: each has its share of the time that is left, and is measured by what it takes of it: all, if it fails. */
class Turns {
  readonly #dispatch: Dispatch;
  readonly #times: CallTimes;

  constructor(dispatch: Dispatch, options: CallOptions | undefined) {
    this.#dispatch = dispatch;
    this.#times = dispatch.limits.times(options);
  }

  /** @param left owners that have not been asked, this one included */
  async take<T>(poolServer: PoolServer, left: number, ask: (times: CallTimes) => Promise<T>): Promise<T> {
    const { clock, limits } = this.#dispatch;
    const startedMs = clock.now();
    const deadlineMs = startedMs + limits.leftMs(this.#times) / left;
    try {
      const answer = await ask({ startedMs, deadlineMs });
      poolServer.took(clock.now() - startedMs);
      return answer;
    } catch (error) {
      poolServer.took(deadlineMs - startedMs); // a server that refuses at once is no fast one
      throw error;
    }
  }
}

function byServer<K extends Key>(
  dispatch: Dispatch,
  keys: readonly (readonly [K, PoolServer | undefined])[],
): Map<PoolServer, ServerKeys<K>> {
  const groups = new Map<PoolServer, ServerKeys<K>>();
  for (const [key, poolServer] of keys) {
    if (!poolServer) continue;
    let group = groups.get(poolServer);
    if (!group) groups.set(poolServer, (group = { keys: [], wireKeys: [] }));
    group.keys.push(key);
    group.wireKeys.push(dispatch.toWireKey(key));
  }
  return groups;
}

function partial(cause: unknown): OperationError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new OperationError("CACHE_PARTIAL", `Not all servers of the item confirmed the change: ${reason}`, { cause });
}
