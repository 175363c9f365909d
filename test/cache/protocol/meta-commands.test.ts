import assert from "node:assert/strict";
import { test } from "node:test";
import { DirectCache } from "../../support/direct-cache.ts";

/** Runs lines of a transcript: "> request" and "< reply", each without its CR LF. */
function transcript(cache: DirectCache, lines: readonly string[]): void {
  let request = "";
  let expected = "";
  const check = (): void => {
    if (request !== "") assert.equal(cache.say(request), expected, request);
    request = "";
    expected = "";
  };
  for (const line of lines) {
    if (line.startsWith("> ") && expected !== "") check();
    if (line.startsWith("> ")) request += `${line.slice(2)}\r\n`;
    else expected += `${line.slice(2)}\r\n`;
  }
  check();
}

test("mg tells what it is asked for, in the order asked", () => {
  const cache = new DirectCache();
  cache.say("set k 5 100 3\r\nabc\r\n");
  cache.advance(10);
  transcript(cache, [
    "> mg k",
    "< HD",
    "> mg k v",
    "< VA 3",
    "< abc",
    "> mg k t s f k Oq h l",
    "< HD t90 s3 f5 kk Oq h1 l0",
    "> mg missing k Oq",
    "< EN kmissing Oq",
    "> mg missing q",
    "> mn",
    "< MN",
  ]);
});

test("of all that miss with N one wins the right to fill, the others are told so", () => {
  const cache = new DirectCache();
  transcript(cache, [
    "> mg k v N30 t",
    "< VA 0 t30 W",
    "< ",
    "> mg k v N30 t",
    "< VA 0 t30 Z",
    "< ",
    "> ms k 1 T60",
    "> x",
    "< HD",
    "> mg k v N30 t",
    "< VA 1 t60",
    "< x",
  ]);
});

test("R lets one reader refresh an item before it expires", () => {
  const cache = new DirectCache();
  cache.say("set k 0 100 1\r\na\r\n");
  transcript(cache, ["> mg k R30", "< HD"]);
  cache.advance(80);
  transcript(cache, ["> mg k R30", "< HD W", "> mg k R30", "< HD Z"]);
});

test("a value marked stale is served, and its first reader recomputes it", () => {
  const cache = new DirectCache();
  cache.say("set k 0 0 1\r\na\r\n");
  transcript(cache, ["> md k I T30", "< HD", "> mg k v t", "< VA 1 t30 X W", "< a", "> mg k v", "< VA 1 Z X", "< a"]);
});

test("ms with C stores only over that CAS number, and with I marks an older one stale", () => {
  const cache = new DirectCache();
  transcript(cache, [
    "> ms k 1 E100",
    "> a",
    "< HD",
    "> ms k 1 C99",
    "> b",
    "< EX",
    "> ms k 1 C100 E200 c",
    "> c",
    "< HD c200",
  ]);
  transcript(cache, ["> ms k 1 C150 I", "> d", "< HD", "> mg k v", "< VA 1 X W", "< d", "> ms none 1 C1", "> e", "< NF"]);
});

test("ms appends, prepends, adds and replaces by its mode", () => {
  const cache = new DirectCache();
  transcript(cache, ["> ms k 1 MA", "> a", "< NS", "> ms k 1 MA N30 s", "> a", "< HD s1", "> ms k 1 MA s", "> b", "< HD s2"]);
  transcript(cache, ["> ms k 1 MP", "> 0", "< HD", "> ms k 1 ME", "> x", "< NS", "> mg k v", "< VA 3", "< 0ab"]);
  transcript(cache, [
    "> ms k 1 MR",
    "> r",
    "< HD",
    "> ms n 1 MR",
    "> r",
    "< NS",
    "> ms k 1 MX",
    "> r",
    "< CLIENT_ERROR invalid mode for ms M token",
  ]);
});

test("ma counts up, down, from a start, and within 64 bits", () => {
  const cache = new DirectCache();
  transcript(cache, ["> ma n", "< NF", "> ma n N0 J13 v", "< VA 2", "< 13", "> ma n D10 v", "< VA 2", "< 23"]);
  transcript(cache, [
    "> ma n MD D30 v",
    "< VA 1",
    "< 0",
    "> ma n q",
    "> ma n Mx",
    "< CLIENT_ERROR invalid mode for ma M token",
  ]);
  transcript(cache, ["> ma n D18446744073709551615 v", "< VA 1", "< 0"]);
});

test("a key in base64 goes out in base64, and is one key with its plain form", () => {
  const cache = new DirectCache();
  transcript(cache, [
    "> ms Zm9v 1 b k",
    "> x",
    "< HD kZm9v b",
    "> mg foo v k",
    "< VA 1 kZm9v b",
    "< x",
    "> me foo",
    "< ME Zm9v exp=-1 la=0 cas=2 fetch=yes cls=1 size=63",
  ]);
});

test("md with x empties an item and keeps it", () => {
  const cache = new DirectCache();
  cache.say("set k 7 0 3\r\nabc\r\n");
  transcript(cache, ["> md k x", "< HD", "> mg k v f", "< VA 0 f0", "< "]);
});

test("an ms with a wrong flag swallows its value", () => {
  const cache = new DirectCache();
  transcript(cache, ["> ms k 3 Y", "> abc", "< CLIENT_ERROR invalid flag", "> mn", "< MN"]);
});

test("ma with T sets the time to live of a number that is there, also when its digits become more", () => {
  const cache = new DirectCache();
  transcript(cache, ["> set n 0 100 1", "> 5", "< STORED", "> ma n T500 t", "< HD t500", "> mg n t", "< HD t500"]);
  transcript(cache, ["> ma n D99999 T600 t", "< HD t600", "> mg n t", "< HD t600"]);
});
