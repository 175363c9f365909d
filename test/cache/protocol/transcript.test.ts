/**
 * Recorded conversations: each is replayed whole, byte by byte and in random chunks, with the answers that memcached 1.6.45 gave; those
 * that 1.6.18 answers alike are sent to Debian's memcached too.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { between, seeded } from "../../../src/core/random.ts";
import { DirectCache } from "../../support/direct-cache.ts";
import { requires } from "../../support/requires.ts";
import { comparable, splitReplies } from "../support/replies.ts";
import { converse, MEMCACHED, withCaches } from "../support/servers.ts";

interface Transcript {
  readonly name: string;
  readonly sent: string;
  readonly answer: string;
  /** 1.6.18 answers otherwise. */
  readonly since1645: boolean;
}

/** "# name" starts a transcript ("# name (1.6.45)"), "> " is sent, "< " is answered; each line ends in CR LF on the wire. */
function read(file: string): readonly Transcript[] {
  const text = readFileSync(join(import.meta.dirname, "transcripts", file), "utf8");
  return text
    .split(/^# /m)
    .slice(1)
    .map((part) => {
      const [title, ...lines] = part.split("\n");
      const of = (mark: string): string =>
        lines
          .filter((line) => line.startsWith(mark))
          .map((line) => `${line.slice(2)}\r\n`)
          .join("");
      return {
        name: title!.replace(" (1.6.45)", ""),
        sent: of("> "),
        answer: of("< "),
        since1645: title!.endsWith("(1.6.45)"),
      };
    });
}

const transcripts = [...read("classic.txt"), ...read("meta.txt")];

/** CAS numbers by the order in which they appear: a number is the server's to choose. */
const numbered = (answer: string): string => comparable(splitReplies(answer)).join("");

/** One for all: each reserves address space for a store that may grow. */
const cache = new DirectCache();

function replay(pieces: readonly Buffer[]): string {
  cache.reconnect();
  cache.say("flush_all\r\n");
  return cache.feed(pieces);
}

suite("transcripts", () => {
  test("there are transcripts of the classic and of the meta commands", () => {
    assert.ok(transcripts.length >= 20, String(transcripts.length));
    assert.ok(transcripts.every(({ sent, answer }) => sent !== "" && answer !== ""));
  });

  for (const { name, sent, answer } of transcripts) {
    test(`${name}: whole, byte by byte and in random chunks`, () => {
      const bytes = Buffer.from(sent, "utf8");
      assert.equal(numbered(replay([bytes])), numbered(Buffer.from(answer, "utf8").toString("latin1")));
      const single = Array.from(bytes, (byte) => Buffer.of(byte));
      assert.equal(numbered(replay(single)), numbered(Buffer.from(answer, "utf8").toString("latin1")));
      const seed = Math.floor(Math.random() * 1e9);
      const random = seeded(seed);
      const pieces: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += pieces.at(-1)!.length)
        pieces.push(bytes.subarray(at, at + between(random, 1, 40)));
      const chunked = numbered(replay(pieces));
      assert.equal(chunked, numbered(Buffer.from(answer, "utf8").toString("latin1")), `seed ${seed}`);
    });
  }

  test("Debian's memcached answers them so too", requires("memcached"), async () => {
    await withCaches([MEMCACHED], ["-o", "no_lru_maintainer,no_lru_crawler"], async (server) => {
      for (const { name, sent, answer, since1645 } of transcripts) {
        if (since1645) continue;
        const bytes = Buffer.from(`flush_all noreply\r\n${sent}quit\r\n`, "utf8");
        assert.equal(
          numbered((await converse(server!.at, [bytes])).toString("latin1")),
          numbered(Buffer.from(answer, "utf8").toString("latin1")),
          name,
        );
      }
    });
  });
});
