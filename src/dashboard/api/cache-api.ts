/** ● The cache in the HTTP API: values as they are stored, by their keys. */
import { described, object, optional, text, whole } from "../../core/schema.ts";
import type { ApiOperation } from "./api-operation.ts";

/** memcached's own bound of a key. */
const key = text({ min: 1, max: 250 });
/** 30 days: memcached takes what is longer for a date. */
const SECONDS_MAX = 2_592_000;

export const CACHE_API: readonly ApiOperation[] = [
  {
    name: "cacheGet",
    does: "Gives the value of a key as it is stored",
    scope: "cache:read",
    destroys: false,
    method: "GET",
    paths: ["/cache/{key}"],
    input: object({ key }),
    answers: { 200: "bytes", 404: undefined },
    async run({ cache, input }) {
      const bytes = await cache().get(input["key"] as string);
      return bytes ? { status: 200, bytes } : { status: 404 };
    },
  },
  {
    name: "cacheSet",
    does: "Stores a value under a key",
    scope: "cache:write",
    destroys: false,
    method: "PUT",
    paths: ["/cache/{key}"],
    input: object({
      key,
      seconds: optional(described(whole(0, SECONDS_MAX), "How long it may be kept; default 0: for as long as there is room")),
    }),
    answers: { 204: undefined },
    takesBytes: true,
    async run({ cache, input, bytes }) {
      await cache().store(input["key"] as string, Buffer.from(bytes), (input["seconds"] as number | undefined) ?? 0);
      return { status: 204 };
    },
  },
  {
    name: "cacheDelete",
    does: "Deletes a key",
    scope: "cache:write",
    destroys: true,
    method: "DELETE",
    paths: ["/cache/{key}"],
    input: object({ key }),
    answers: { 204: undefined, 404: undefined },
    async run({ cache, input }) {
      return { status: (await cache().delete(input["key"] as string)) ? 204 : 404 };
    },
  },
];
