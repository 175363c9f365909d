/** ● The entry point `holdfast/express-session`: a store of sessions for express-session. */
import { ownClient, deleteBehind, keysBehind, ttlOfMs, type ClientSource } from "./own-client.ts";

export type { ClientSource } from "./own-client.ts";

/** Options of a store of sessions. */
export interface SessionStoreOptions {
  /** A client, which stays open, or options of one. */
  readonly cache?: ClientSource;
  /** What session ids stand behind as keys; default "sess:". */
  readonly prefix?: string;
  /** Seconds that a session without an end of its own lives after its last request; default a day. */
  readonly ttl?: number;
}

/** What is asked of express-session: the class that stores are made of. */
export interface ExpressSession<S extends object> {
  readonly Store: new (...options: never[]) => S;
}

/** What a session holds that the store looks at. */
interface SessionData {
  readonly cookie?: { readonly expires?: Date | string | null | false };
}

type Done<T = unknown> = (error?: unknown, value?: T) => void;

/** What the store adds to express-session's class. */
export interface SessionStore {
  get(sid: string, done: Done): void;
  set(sid: string, session: object, done?: Done): void;
  destroy(sid: string, done?: Done): void;
  touch(sid: string, session: object, done?: Done): void;
  /** All sessions, by listing the servers' keys. */
  all(done: Done<unknown[]>): void;
  /** How many there are, by listing the servers' keys. */
  length(done: Done<number>): void;
  /** Destroys all, by listing the servers' keys. */
  clear(done?: Done): void;
  /** Closes the client if it is the store's own. */
  close(): Promise<void>;
}

/** A day, as express-session's own stores have it. */
const TTL_S_DEFAULT = 86_400;

/**
 * A store for express-session on memcached or Holdfast. A session lives as long as its cookie, each request anew.
 *
 * @param session the package express-session itself
 * @throws UsageError as `new CacheClient` does
 * @example
 * app.use(session({ store: sessionStore(session, { cache: { servers: ["10.0.0.1:11211"] } }), secret, resave: false, saveUninitialized: false }));
 */
export function sessionStore<S extends object>(
  session: ExpressSession<S>,
  options: SessionStoreOptions = {},
): S & SessionStore {
  const { prefix = "sess:", ttl = TTL_S_DEFAULT } = options;
  const { cache, close } = ownClient(options.cache ?? {});
  const leftMs = (data: object): number => {
    const expires = (data as SessionData).cookie?.expires;
    return expires ? new Date(expires).getTime() - Date.now() : ttl * 1000;
  };
  /** Calls back with what came of it, also where the callback throws: that is its own caller's error. */
  const settle = <T>(work: Promise<T>, done: Done<T> | undefined): void => {
    work.then(
      (value) => done && process.nextTick(done, null, value),
      (error: unknown) => done && process.nextTick(done, error),
    );
  };
  const methods: SessionStore = {
    get: (sid, done) => settle(cache.get(prefix + sid), done),
    set(sid, data, done) {
      const ms = leftMs(data);
      settle<unknown>(
        ms <= 0 ? cache.delete(prefix + sid) : cache.set(prefix + sid, data, ttlOfMs(ms)),
        done && ((error) => done(error)),
      );
    },
    destroy: (sid, done) => settle(cache.delete(prefix + sid), done && ((error) => done(error))),
    touch(sid, data, done) {
      const ms = leftMs(data);
      settle(
        ms <= 0 ? cache.delete(prefix + sid) : cache.touch(prefix + sid, ttlOfMs(ms).ttl!),
        done && ((error) => done(error)),
      );
    },
    all: (done) => settle(listed(), done),
    length: (done) =>
      settle(
        listed().then((all) => all.length),
        done,
      ),
    clear: (done) => settle(deleteBehind(cache, prefix), done && ((error) => done(error))),
    close,
  };
  async function listed(): Promise<unknown[]> {
    const keys: string[] = [];
    for await (const sid of keysBehind(cache, prefix)) keys.push(prefix + sid);
    return [...(await cache.getMany(keys)).values()];
  }
  return Object.assign(new session.Store(), methods);
}
