/**
 * What goes wrong only where one thing follows another: each scenario takes a key of its own and a few members by chance. Their answers are
 * judged as all others: a scenario knows nothing of what is right.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { between, pick } from "../../../../src/core/random.ts";
import type { Member, Verb, World } from "./world.ts";

type Scenario = (world: World) => Promise<void>;

/** Verbs by which a placeholder must not be seen, and which leave it where it is. */
const LOOKING = ["get", "gets", "getWithTtl", "getAndTouch", "touch", "incr", "replace", "cas"] as const satisfies Verb[];

/** Beyond a placeholder's life by enough that whoever takes it for ended is seen to load while this loader runs. */
const LONG_LOAD_MS = 4000;

const anyone = ({ random, members }: World): Member => pick(random, members);

/** One who asks the servers, where there is one. */
function reader({ random, members }: World): Member {
  const readers = members.filter(({ near }) => !near);
  return pick(random, readers.length > 0 ? readers : members);
}

/** One who keeps what it read. */
function keeper({ random, members }: World, isOne = (_member: Member): boolean => true): Member {
  const keepers = members.filter((member) => member.near && isOne(member));
  return pick(random, keepers.length > 0 ? keepers : members);
}

async function again(world: World, forMs: number, act: () => Promise<void>): Promise<void> {
  const endMs = performance.now() + forMs;
  while (world.going() && performance.now() < endMs) {
    await act();
    await sleep(60);
  }
}

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  async "an item is read near until after its end"(world) {
    const key = world.freshKey();
    const reader = keeper(world, ({ near }) => near!.ttl === longestTtl(world));
    await world.do("set", anyone(world), key, { ttl: 1, tags: [] });
    await again(world, 2000, () => world.do("get", reader, key));
  },
  async "an item that is read near is touched, and ends"(world) {
    const key = world.freshKey();
    const reader = keeper(world);
    await world.do("set", anyone(world), key, { ttl: 5, tags: [] });
    await world.do("get", reader, key);
    await world.do("touch", anyone(world), key, { ttl: 1 });
    await again(world, 2000, () => world.do("get", reader, key));
  },
  async "an item that is read near is changed by its reader"(world) {
    const key = world.freshKey();
    const reader = keeper(world);
    for (const verb of ["set", "delete", "add", "replace"] as const) {
      await world.do("get", reader, key);
      await world.do(verb, reader, key, { tags: [] });
      await world.do("get", reader, key);
    }
  },
  async "an item that is read near is deleted by another"(world) {
    const key = world.freshKey(world.random() < 0.7);
    const reader = keeper(world, ({ near }) => near!.watch === true);
    await world.do("set", anyone(world), key, { ttl: 5, tags: [] });
    await world.do("get", reader, key);
    await world.do("get", reader, key);
    await world.do("delete", anyone(world), key);
    await again(world, 1500, () => world.do("get", reader, key));
  },
  async "all look at what is being computed"(world) {
    const key = world.freshKey();
    const computing = world.do("fetch", anyone(world), key, { ttl: 3, tags: [], loadMs: 600 });
    await sleep(100);
    for (const verb of LOOKING) await world.do(verb, anyone(world), key);
    await computing;
    await world.do("get", anyone(world), key);
  },
  async "a loader takes long, and others wait for it"(world) {
    const key = world.freshKey();
    const choice = { ttl: 5, tags: [], loadMs: LONG_LOAD_MS };
    const [one = anyone(world), ...others] = world.members;
    const computing = [world.do("fetch", one, key, choice)];
    for (const other of others.slice(0, 3)) {
      await sleep(between(world.random, 20, 150));
      computing.push(world.do("fetch", other, key, choice));
    }
    await Promise.all(computing);
  },
  async "what is being computed is deleted"(world) {
    const key = world.freshKey();
    const computing = world.do("fetch", anyone(world), key, { ttl: 5, tags: [], loadMs: 500 });
    await sleep(between(world.random, 50, 300));
    await world.do("delete", anyone(world), key);
    await computing;
    for (const member of world.members) await world.do("get", member, key);
  },
  async "a tag is invalidated"(world) {
    const key = world.freshKey();
    const tags = [world.freshTag()];
    await world.do("set", anyone(world), key, { ttl: 5, tags });
    for (const member of world.members) await world.do("get", member, key);
    await world.do("invalidateTag", anyone(world), key, { tags });
    await again(world, 1200, () => world.do("get", anyone(world), key));
    await world.do("fetch", anyone(world), key, { ttl: 5, tags, loadMs: 50 });
  },
  async "a tag is invalidated while a loader runs"(world) {
    const key = world.freshKey();
    const tags = [world.freshTag()];
    const computing = world.do("fetch", anyone(world), key, { ttl: 5, tags, loadMs: 500 });
    await sleep(200);
    await world.do("invalidateTag", anyone(world), key, { tags });
    await computing;
    for (const member of world.members) await world.do("get", member, key);
  },
  async "each change is read by everybody"(world) {
    const key = world.freshKey();
    for (const verb of ["set", "cas", "set", "delete", "fetch", "replace", "getAndTouch", "delete"] as const) {
      await world.do(verb, anyone(world), key, { ttl: 5, tags: [], loadMs: 0 });
      for (let read = 0; read < 4; read += 1) await world.do("get", reader(world), key);
    }
  },
};

/** The longest `ttl` of a near cache. */
function longestTtl({ members }: World): number {
  return Math.max(...members.map(({ near }) => (near?.ttl as number | undefined) ?? 0));
}
