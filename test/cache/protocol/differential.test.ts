/**
 * The same random commands to Debian's memcached and to `holdfast cache`: every byte of the answers is compared. A failure prints
 * the seed and the first command that was answered differently.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { seeded } from "../../../src/core/random.ts";
import { requires } from "../../support/requires.ts";
import { CAS_HOLE, type Command, KEYS, randomCommand } from "../support/command-stream.ts";
import { casNumbers, comparable, splitReplies } from "../support/replies.ts";
import { type CacheServer, converse, Dialogue, HOLDFAST_CACHE, MEMCACHED, withCaches } from "../support/servers.ts";

/** Commands of a stream, which is sent in one write so that commands meet the ends of read buffers. */
const COMMANDS = 150;

/**
 * What 1.6.18 does otherwise in a stream: it rewrites a number in place, with blanks behind, unless an earlier answer still reads it;
 * and an over-long key of a `get` swallows the answer before its own.
 */
const NOT_IN_STREAMS = /^(incr|decr|ma) |k{251}/;

/** CAS numbers that a server last told, by key. */
type CasNumbers = ReadonlyMap<string, string>;

/** The order of items is kept by commands alone: no thread holds an item back while a command would change it in place. */
const FLAGS = ["-o", "no_lru_maintainer,no_lru_crawler"];

const READ_ALL = `gets ${KEYS.join(" ")}\r\n`;

function fill({ text, casOf }: Command, cas: CasNumbers): string {
  return text.replace(CAS_HOLE, cas.get(casOf ?? "") ?? "987654321");
}

/** Sends a stream in one write; learns the CAS numbers that the next stream may use. */
async function send(
  server: CacheServer,
  commands: readonly Command[],
  cas: CasNumbers,
): Promise<[readonly string[], CasNumbers]> {
  const bytes = Buffer.from(`${commands.map((command) => fill(command, cas)).join("")}${READ_ALL}quit\r\n`, "latin1");
  const replies = splitReplies((await converse(server.at, [bytes])).toString("latin1"));
  return [comparable(replies), casNumbers(replies.slice(-1 - 2 * KEYS.length))];
}

/** Asks both servers each command in turn; undefined when all answers are alike, else the first that is not. */
async function firstDifference(
  [ours, theirs]: readonly [Dialogue, Dialogue],
  commands: readonly Command[],
): Promise<string | undefined> {
  const said: [string[], string[]] = [[], []];
  const last = ["", ""];
  const cas: [CasNumbers, CasNumbers] = [new Map(), new Map()];
  for (const command of commands) {
    for (const [side, server] of [ours, theirs].entries()) {
      last[side] = await server.ask(fill(command, cas[side]!));
      said[side]!.push(...splitReplies(last[side]));
      if (command.casOf !== undefined) cas[side] = casNumbers(splitReplies(await server.ask(READ_ALL)));
    }
    if (comparable(said[0]).join("") !== comparable(said[1]).join("")) {
      const before = commands.slice(0, commands.indexOf(command)).filter(({ text }) => related(text, command.text));
      const history = before.slice(-6).map(({ text }) => `before: ${show(text)}`);
      return [...history, `command: ${show(command.text)}`, `ours: ${show(last[0])}`, `theirs: ${show(last[1])}`].join("\n");
    }
    if (said[0].length > 200) said[0].length = said[1].length = 0; // so that comparing does not grow with the square
  }
  return undefined;
}

async function withDialogues<T>(body: (pair: readonly [Dialogue, Dialogue]) => Promise<T>): Promise<T> {
  return withCaches([HOLDFAST_CACHE, MEMCACHED], FLAGS, async (ours, theirs) => {
    const pair = [await Dialogue.open(ours!.at), await Dialogue.open(theirs!.at)] as const;
    try {
      return await body(pair);
    } finally {
      for (const dialogue of pair) dialogue.close();
    }
  });
}

/** Whether an earlier command may have changed what a later one finds. */
function related(earlier: string, later: string): boolean {
  const key = later.split(/[ \r\n]/)[1] ?? "";
  return (
    earlier.startsWith("flush_all") ||
    earlier
      .split(/[ \r\n]/)
      .slice(1, 6)
      .includes(key)
  );
}

function show(text: string | undefined): string {
  return JSON.stringify(text !== undefined && text.length > 200 ? `${text.slice(0, 200)}…` : text);
}

test("random commands are answered byte for byte as Debian's memcached answers them", requires("memcached"), async () => {
  const seed = Math.floor(Math.random() * 1e9);
  const random = seeded(seed);
  const commands = Array.from({ length: 15_000 }, () => randomCommand(random));
  const difference = await withDialogues((pair) => firstDifference(pair, commands));
  assert.equal(difference, undefined, `seed ${seed}\n${difference}`);
});

test("random commands in one packet are answered as Debian's memcached answers them", requires("memcached"), async () => {
  const seed = Math.floor(Math.random() * 1e9);
  const random = seeded(seed);
  const history: Command[] = [];
  const different = await withCaches([HOLDFAST_CACHE, MEMCACHED], FLAGS, async (ours, theirs) => {
    let [cas, originalCas]: [CasNumbers, CasNumbers] = [new Map(), new Map()];
    for (let round = 0; round < 100; round += 1) {
      const commands = Array.from({ length: COMMANDS }, () => randomCommand(random)).filter(
        ({ text }) => !NOT_IN_STREAMS.test(text),
      );
      history.push(...commands);
      let [mine, original]: [readonly string[], readonly string[]] = [[], []];
      [mine, cas] = await send(ours!, commands, cas);
      [original, originalCas] = await send(theirs!, commands, originalCas);
      const at = original.findIndex((reply, index) => reply !== mine[index]);
      if (at < 0 && mine.length === original.length) continue;
      return [`round ${round}, reply ${at}`, `ours: ${show(mine[at])}`, `theirs: ${show(original[at])}`].join("\n");
    }
    return undefined;
  });
  if (different === undefined) return;
  const alone = await withDialogues((pair) => firstDifference(pair, history));
  assert.fail(`seed ${seed}\n${different}\n${alone ?? "each command alone is answered alike: it takes several in one packet"}`);
});
