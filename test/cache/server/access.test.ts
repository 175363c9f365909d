import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { AccessControl } from "../../../src/access/access-control.ts";
import { type CacheServerOptions, CacheServer } from "../../../src/cache/server/index.ts";
import { CacheClient } from "../../../src/cache/client/index.ts";
import { seeded } from "../../../src/core/random.ts";

const OPEN = {
  roles: { shop: ["cache:read,write:shop:*", "cache:read:news:*"], root: ["*"] },
  users: { "*": { roles: ["shop"] } },
};
const USERS = {
  roles: OPEN.roles,
  users: { shop: { roles: ["shop"], password: "pass-shop" }, root: { roles: ["root"], password: "pass-root" } },
};

async function start(t: TestContext, content: object, options: CacheServerOptions = {}) {
  const path = join(mkdtempSync(join(tmpdir(), "holdfast-cache-access-")), "access.json");
  const write = (next: object): void => writeFileSync(path, JSON.stringify(next), { mode: 0o600 });
  write(content);
  const told: Record<string, unknown>[] = [];
  const access = new AccessControl(path, (_, facts) => told.push(facts));
  const server = new CacheServer({ listen: "127.0.0.1:0", access, ...options });
  await server.listen();
  t.after(() => server.close());
  return { server, access, told, write };
}

/** Sends bytes, in pieces or at once, and answers with what came when the `end` has. */
function ask(t: TestContext, address: string, { pieces, end }: { pieces: readonly Buffer[]; end: string }): Promise<string> {
  const [host, port] = address.split(":");
  const socket: Socket = connect({ host: host!, port: Number(port), noDelay: true });
  t.after(() => socket.destroy());
  return new Promise((resolve, reject) => {
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
      if (text.includes(end)) resolve(text);
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(`${text}(closed)`));
    for (const piece of pieces) socket.write(piece);
  });
}

const say = (t: TestContext, address: string, text: string) =>
  ask(t, address, { pieces: [Buffer.from(`${text}mn\r\n`, "latin1")], end: "MN\r\n" });

const NO = "CLIENT_ERROR access denied\r\n";

suite("the cache with an access file", () => {
  test("each text command needs what it does with its keys", async (t) => {
    const { server, access, told } = await start(t, OPEN);
    const cases: readonly [command: string, answer: string][] = [
      ["set shop:1 0 0 1\r\nx\r\n", "STORED\r\n"],
      ["get shop:1\r\n", "VALUE shop:1 0 1\r\nx\r\nEND\r\n"],
      ["get shop:1 bank:1\r\n", NO],
      ["get bank:1\r\n", NO],
      ["gets news:1\r\n", "END\r\n"],
      ["set news:1 0 0 1\r\nx\r\n", NO],
      ["set news:1 0 0 1 noreply\r\nx\r\n", ""],
      ["gat 0 news:1\r\n", NO],
      ["gat 0 shop:1\r\n", "VALUE shop:1 0 1\r\nx\r\nEND\r\n"],
      ["add bank:1 0 0 1\r\nx\r\n", NO],
      ["cas bank:1 0 0 1 7\r\nx\r\n", NO],
      ["append bank:1 0 0 1\r\nx\r\n", NO],
      ["delete bank:1\r\n", NO],
      ["touch bank:1 0\r\n", NO],
      ["incr bank:1 1\r\n", NO],
      ["mg bank:1 v\r\n", NO],
      ["mg news:1 v\r\n", "EN\r\n"],
      ["mg news:1 N30\r\n", NO],
      ["mg YmFuazox b v\r\n", NO],
      ["mg c2hvcDox b v\r\n", "VA 1\r\nx\r\n"],
      ["ms bank:1 1\r\nx\r\n", NO],
      ["ms shop:2 1\r\nx\r\n", "HD\r\n"],
      ["md bank:1\r\n", NO],
      ["ma bank:1\r\n", NO],
      ["me bank:1\r\n", NO],
      ["flush_all\r\n", NO],
      [" flush_all\r\n", NO],
      ["stats\r\n", NO],
      ["stats items\r\n", NO],
      ["lru_crawler metadump all\r\n", NO],
      ["watch mutations\r\n", NO],
      ["slabs automove 1\r\n", NO],
      ["cache_memlimit 1\r\n", NO],
      ["delete shop:1\r\n", "DELETED\r\n"],
    ];
    for (const [command, answer] of cases) assert.equal(await say(t, server.address, command), `${answer}MN\r\n`, command);
    assert.equal(
      access.refused.cache,
      cases.filter(([command, answer]) => answer === NO || command.includes("noreply")).length,
    );
    assert.deepEqual(told[0], { user: "*", right: "cache:read:bank:1" });
  });

  test("a value that looks like a command is a value, and one that is refused is skipped", async (t) => {
    const { server } = await start(t, OPEN);
    const hidden = "flush_all\r\nset shop:9 0 0 1\r\nx";
    const text = await say(
      t,
      server.address,
      `set shop:1 0 0 ${hidden.length}\r\n${hidden}\r\nset bank:1 0 0 ${hidden.length}\r\n${hidden}\r\nget shop:9\r\n`,
    );
    assert.equal(text, `STORED\r\n${NO}END\r\nMN\r\n`);
  });

  test("lengths that are no numbers smuggle no command past it", async (t) => {
    const { server } = await start(t, { roles: { shop: ["cache:read,write:shop:*"] }, users: { "*": { roles: ["shop"] } } });
    for (const length of ["-1", "99999999999", "x", "", "2147483647", "0x5"]) {
      const command = `set shop:1 0 0 ${length}\r\nset bank:1 0 0 1\r\nx\r\n`;
      const raced = await Promise.race([
        say(t, server.address, command),
        new Promise<string>((resolve) => setTimeout(resolve, 100, "it waits for its value")),
      ]);
      assert.doesNotMatch(raced, /STORED/, length);
    }
    assert.equal(await say(t, server.address, "get shop:1\r\n"), "END\r\nMN\r\n");
  });

  test("in whatever pieces the bytes come, the answers are the same", async (t) => {
    const { server } = await start(t, OPEN);
    const bytes = Buffer.from(
      `set shop:1 0 0 3\r\nabc\r\nset bank:1 0 0 3\r\nabc\r\nget shop:1 shop:2\r\nget bank:1\r\nms shop:2 2\r\nhi\r\nmg shop:2 v\r\nmn\r\n`,
    );
    const wanted = `STORED\r\n${NO}VALUE shop:1 0 3\r\nabc\r\nVALUE shop:2 0 2\r\nhi\r\nEND\r\n${NO}HD\r\nVA 2\r\nhi\r\nMN\r\n`;
    const random = seeded(7);
    await ask(t, server.address, { pieces: [bytes], end: "MN\r\n" });
    for (let round = 0; round < 10; round += 1) {
      const pieces: Buffer[] = [];
      for (let at = 0; at < bytes.length;) {
        const next = round === 0 ? at + 1 : at + 1 + Math.floor(random() * 20);
        pieces.push(bytes.subarray(at, next));
        at = next;
      }
      assert.equal(await ask(t, server.address, { pieces, end: "MN\r\n" }), wanted);
    }
  });

  test("binary commands in whatever pieces are looked at one by one, values with commands in them too", async (t) => {
    const { server } = await start(t, OPEN);
    const packet = (opcode: number, key: string, { extras = 0, value = "" } = {}): Buffer => {
      const head = Buffer.alloc(24 + extras);
      head[0] = 0x80;
      head[1] = opcode;
      head.writeUInt16BE(key.length, 2);
      head[4] = extras;
      head.writeUInt32BE(extras + key.length + value.length, 8);
      head.writeUInt32BE(opcode + 1000, 12);
      return Buffer.concat([head, Buffer.from(key), Buffer.from(value, "latin1")]);
    };
    const flush = packet(0x08, "").toString("latin1");
    const bytes = Buffer.concat([
      packet(0x01, "shop:1", { extras: 8, value: flush }),
      packet(0x01, "shop:2", { extras: 8 }),
      packet(0x01, "bank:1", { extras: 8, value: flush }),
      packet(0x08, ""),
      packet(0x10, ""),
      packet(0x0d, "shop:1"),
      packet(0x0d, "bank:1"),
      packet(0x0d, "shop:2"),
      packet(0x1c, "news:1", { extras: 4 }),
      packet(0x0a, ""),
    ]);
    // Opcode and status of each answer.
    const wanted = [
      [1, 0],
      [1, 0],
      [1, 0x20],
      [8, 0x20],
      [0x10, 0x20],
      [0x0d, 0],
      [0x0d, 0x20],
      [0x0d, 0],
      [0x1c, 0x20],
      [0x0a, 0],
    ];
    const random = seeded(8);
    for (let round = 0; round < 10; round += 1) {
      const pieces: Buffer[] = [];
      for (let at = 0; at < bytes.length;) {
        const next = round === 0 ? at + 1 : at + 1 + Math.floor(random() * 50);
        pieces.push(bytes.subarray(at, next));
        at = next;
      }
      const noop = Buffer.from([0, 0, 0x03, 0xf2]).toString("latin1");
      const answer = Buffer.from(await ask(t, server.address, { pieces, end: noop }), "latin1");
      const told: number[][] = [];
      for (let at = 0; at + 24 <= answer.length; at += 24 + answer.readUInt32BE(at + 8))
        told.push([answer[at + 1]!, answer.readUInt16BE(at + 6)]);
      assert.deepEqual(told, wanted);
    }
  });

  test("answers that are larger than the output's bound come whole", async (t) => {
    const { server } = await start(t, OPEN);
    const value = "v".repeat(100_000);
    await say(t, server.address, `set shop:big 0 0 ${value.length}\r\n${value}\r\n`);
    const text = await say(t, server.address, `get ${"shop:big ".repeat(20).trim()}\r\n`);
    assert.equal(text.length, 20 * `VALUE shop:big 0 ${value.length}\r\n${value}\r\n`.length + "END\r\nMN\r\n".length);
  });

  test("users log in by SASL and as memcached's -Y wants it, and may what is theirs", async (t) => {
    const { server, access, write } = await start(t, USERS);
    const client = (user: string, by: "ascii" | "sasl") => {
      const made = new CacheClient({
        servers: [server.address],
        credentials: { username: user, password: `pass-${user}`, by },
      });
      t.after(() => made.close());
      return made;
    };
    const [shop, ascii, root] = [client("shop", "sasl"), client("shop", "ascii"), client("root", "sasl")];
    await shop.set("shop:1", "x");
    await root.set("bank:1", "y");
    assert.equal(await root.get("bank:1"), "y");
    for (const own of [shop, ascii]) {
      assert.equal(await own.get("shop:1"), "x");
      await assert.rejects(own.get("bank:1"));
      await assert.rejects(own.set("bank:1", "z"));
    }
    assert.equal(await root.get("bank:1"), "y");
    const login = "set auth 0 0 14\r\nshop pass-shop\r\n";
    assert.equal(await say(t, server.address, `${login}get shop:1\r\nget bank:1\r\n`).then((text) => text.includes(NO)), true);
    assert.match(await ask(t, server.address, { pieces: [Buffer.from("get shop:1\r\n")], end: "\r\n" }), /unauthenticated/);
    write({ ...USERS, users: { ...USERS.users, shop: { ...USERS.users.shop, roles: ["root"] } } });
    access.reload();
    assert.equal(await shop.get("bank:1"), "y");
  });

  test("threads have the same rights; what they refuse is counted and told by the first", async (t) => {
    const { server, access, told } = await start(t, OPEN, { threads: 3 });
    const answers = await Promise.all(Array.from({ length: 12 }, () => say(t, server.address, "get bank:1\r\nget shop:1\r\n")));
    for (const answer of answers) assert.equal(answer, `${NO}END\r\nMN\r\n`);
    while (access.refused.cache < 12) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(told.length, 12);
  });
});
