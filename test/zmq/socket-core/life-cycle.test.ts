/** The life cycles of a socket and its connections, and their pictures. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { after, CONNECTION, DIALED, SOCKET } from "../../../src/zmq/socket-core/life-cycle.ts";

const text = readFileSync(new URL("../../../src/zmq/socket-core/life-cycle.ts", import.meta.url), "utf8");

for (const [name, table] of Object.entries({ SOCKET, DIALED, CONNECTION })) {
  test(`the picture of ${name} has the arrows of its table and no others`, () => {
    const picture = text.split(` * ${name}:`)[1]!.split(/ \* [A-Z]+:| \*\//)[0]!;
    // Looks ahead, so that the end of one arrow is the beginning of the next
    const drawn = Array.from(
      picture.matchAll(/(\w+) --(\w+)-->(?= (\w+))/g),
      ([, from, event, to]) => `${from} ${event} ${to}`,
    );
    const listed = Object.entries(table).flatMap(([from, events]) =>
      Object.entries<string>(events).map(([event, to]) => `${from} ${event} ${to}`),
    );
    assert.deepEqual(drawn.sort(), listed.sort());
  });
}

test("an event that a table does not list is an assertion that fails", () => {
  assert.equal(after(SOCKET, "open", "close"), "closing");
  assert.throws(() => after(SOCKET, "closed", "close"), { code: "ASSERTION_FAILED" });
});
