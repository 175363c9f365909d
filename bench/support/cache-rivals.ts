/** The Node clients that teams come from, each behind the same few functions. They have no types of their own that fit ours. */
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

export interface Rival {
  get(key: string): Promise<unknown>;
  set(key: string, value: unknown): Promise<unknown>;
  getMany(keys: readonly string[]): Promise<unknown>;
  close(): void;
}

type Callback = (error: Error | undefined, value: unknown) => void;

/** A package's client as it is: functions that we know by their documentation. */
type Foreign = Readonly<Record<string, (...args: unknown[]) => unknown>>;

type Make = new (...args: unknown[]) => Foreign;

function promised(call: (callback: Callback) => void): Promise<unknown> {
  return new Promise((resolve, reject) => call((error, value) => (error ? reject(error) : resolve(value))));
}

/** By package name: a client for one server, with the options its README advises for load. */
export const RIVALS: Readonly<Record<string, (server: string) => Rival>> = {
  memjs(server) {
    const { Client } = require("memjs") as { Client: { create(server: string): Foreign } };
    const client = Client.create(server);
    const get = async (key: string): Promise<unknown> => ((await client["get"]!(key)) as { value: unknown }).value;
    return {
      get,
      set: async (key, value) => client["set"]!(key, value, {}),
      getMany: (keys) => Promise.all(keys.map(get)), // it has no multi-get
      close: () => void client["close"]!(),
    };
  },
  memcached(server) {
    const client = new (require("memcached") as Make)(server, { poolSize: 10 });
    return {
      get: (key) => promised((done) => client["get"]!(key, done)),
      set: (key, value) => promised((done) => client["set"]!(key, value, 0, done)),
      getMany: (keys) => promised((done) => client["getMulti"]!([...keys], done)),
      close: () => void client["end"]!(),
    };
  },
  "memcache-client"(server) {
    const { MemcacheClient } = require("memcache-client") as { MemcacheClient: Make };
    const client = new MemcacheClient({ server });
    return {
      get: async (key) => ((await client["get"]!(key)) as { value: unknown } | undefined)?.value,
      set: async (key, value) => client["set"]!(key, value),
      getMany: async (keys) => client["get"]!([...keys]),
      close: () => void client["shutdown"]!(),
    };
  },
  memcache(server) {
    const { Memcache } = require("memcache") as { Memcache: Make };
    const client = new Memcache({ nodes: [server] });
    return {
      get: async (key) => client["get"]!(key),
      set: async (key, value) => client["set"]!(key, value),
      getMany: async (keys) => client["gets"]!([...keys]),
      close: () => void client["disconnect"]!(),
    };
  },
};
