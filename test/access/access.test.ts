import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { AccessControl } from "../../src/access/access-control.ts";
import { readAccess } from "../../src/access/access-table.ts";
import { accessSchema } from "../../src/access/json-schema.ts";
import { type Action, ACTIONS, readAsked, readGrant } from "../../src/access/right.ts";
import type { Log } from "../../src/core/log.ts";
import { HoldfastError } from "../../src/core/errors.ts";

const KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7";

const FILE = {
  roles: {
    shop: ["queue:add,see:shop.*", "cache:*:shop:*"],
    mailer: ["queue:work:shop.mails"],
    visitor: ["queue:add:feedback"],
    root: ["*"],
  },
  users: {
    web: { roles: ["shop"], password: "pass-of-web", curveKey: KEY, certificate: "web.example" },
    mail: { roles: ["mailer", "shop"], token: "token-of-mail-0123" },
    admin: { roles: ["root"], token: "token-of-admin-0123" },
    idle: {},
    "*": { roles: ["visitor"] },
  },
};

function file(content: unknown): string {
  const path = join(mkdtempSync(join(tmpdir(), "holdfast-access-")), "access.json");
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content), { mode: 0o600 });
  return path;
}

function wrong(content: unknown): string {
  try {
    readAccess(content, "access.json");
  } catch (error) {
    assert.ok(error instanceof HoldfastError && error.code === "ACCESS_FILE_INVALID", String(error));
    return error.message;
  }
  return assert.fail("it was read");
}

suite("rights", () => {
  test("a pattern's '*' stands for any characters, everything else for itself", () => {
    const cases: readonly [pattern: string, name: string, matches: boolean][] = [
      ["emails", "emails", true],
      ["emails", "emails2", false],
      ["shop.*", "shop.orders", true],
      ["shop.*", "shop.", true],
      ["shop.*", "shopxorders", false],
      ["shop.*", "other.shop.x", false],
      ["*.mails", "shop.mails", true],
      ["*.mails", ".mails", true],
      ["*.mails", "shop.mails.old", false],
      ["a*b*c", "abc", true],
      ["a*b*c", "axxbxxc", true],
      ["a*b*c", "acb", false],
      ["a*a", "a", false],
      ["ab*ba", "aba", false],
      ["*", "", true],
      ["**", "x", true],
      ["a:b:*", "a:b:c", true],
      ["x.y", "xay", false],
    ];
    for (const [pattern, name, matches] of cases)
      assert.equal(readGrant(`cache:read:${pattern}`, "here").matches(name), matches, `${pattern} ${name}`);
  });

  test("a pattern of thousands of stars is matched in no time", () => {
    const row = readGrant(`queue:add:${"a*".repeat(5000)}b`, "here");
    const began = performance.now();
    assert.equal(row.matches("a".repeat(255)), false);
    assert.ok(performance.now() - began < 1000);
  });

  test("what a row has is exactly what it says", () => {
    assert.deepEqual([...readGrant("queue:add,work:x", "").actions], ["queue:add", "queue:work"]);
    assert.deepEqual([...readGrant("cache:*:x", "").actions], ["cache:read", "cache:write", "cache:manage"]);
    const all = Object.entries(ACTIONS).flatMap(([part, actions]) => actions.map((action) => `${part}:${action}`));
    assert.deepEqual([...readGrant("*", "").actions], all);
  });

  test("what is asked for is one action and one name", () => {
    assert.deepEqual(readAsked("cache:read:a:b"), { action: "cache:read", name: "a:b" });
    for (const asked of ["queue:add", "queue:eat:x", "queue:add,see:x", "", "*", "queue:add:"])
      assert.throws(() => readAsked(asked), { code: "CLI_USAGE" });
  });
});

suite("the access table", () => {
  const table = readAccess(FILE, "access.json");

  test("a user may what its roles say, and what everybody may", () => {
    const may = (user: string | undefined, right: string): boolean => {
      const { action, name } = readAsked(right);
      return table.rightsOf(user).may(action, name);
    };
    assert.equal(may("web", "queue:add:shop.orders"), true);
    assert.equal(may("web", "queue:add:bank.orders"), false);
    assert.equal(may("web", "queue:work:shop.mails"), false);
    assert.equal(may("mail", "queue:work:shop.mails"), true);
    assert.equal(may("web", "cache:write:shop:1"), true);
    assert.equal(may("web", "cache:write:bank:1"), false);
    assert.equal(may("web", "queue:add:feedback"), true);
    assert.equal(may(undefined, "queue:add:feedback"), true);
    assert.equal(may(undefined, "queue:add:shop.orders"), false);
    assert.equal(may("nobody", "queue:add:feedback"), true);
    assert.equal(may("idle", "queue:see:shop.orders"), false);
    assert.equal(may("admin", "dashboard:see:anything"), true);
  });

  test("without '*' who has no name may nothing", () => {
    const closed = readAccess({ roles: { all: ["*"] }, users: { admin: { roles: ["all"] } } }, "f");
    assert.equal(closed.rightsOf(undefined).mayAny("queue:see"), false);
    assert.equal(closed.rightsOf("*").mayAny("queue:see"), false);
  });

  test("mayAll is of rows for all names only", () => {
    assert.equal(table.rightsOf("web").mayAll("queue:add"), false);
    assert.equal(table.rightsOf("web").mayAny("queue:add"), true);
    assert.equal(table.rightsOf("admin").mayAll("queue:add"), true);
  });

  test("says which role of whom, and which row, allows it", () => {
    const explain = (user: string, right: string) => {
      const { action, name } = readAsked(right);
      return table.explain(user, action, name);
    };
    assert.deepEqual(explain("mail", "queue:see:shop.x"), {
      isAllowed: true,
      user: "mail",
      role: "shop",
      row: "queue:add,see:shop.*",
    });
    assert.deepEqual(explain("web", "queue:add:feedback"), {
      isAllowed: true,
      user: "*",
      role: "visitor",
      row: "queue:add:feedback",
    });
    assert.deepEqual(explain("web", "queue:work:x"), { isAllowed: false, user: "web" });
  });

  test("explains what it allows: both agree on every user, action and name", () => {
    const actions = Object.entries(ACTIONS).flatMap(([part, list]) => list.map((each) => `${part}:${each}` as Action));
    for (const user of [...Object.keys(FILE.users), "nobody"])
      for (const action of actions)
        for (const name of ["shop.mails", "shop:1", "feedback", "*", "x"])
          assert.equal(table.rightsOf(user).may(action, name), table.explain(user, action, name).isAllowed);
  });

  test("a user is known by its password, key, certificate or token, and by no other's", () => {
    assert.equal(table.withPassword("web", "pass-of-web")?.name, "web");
    assert.equal(table.withPassword("web", "pass-of-we"), undefined);
    assert.equal(table.withPassword("mail", ""), undefined);
    assert.equal(table.withPassword("nobody", "pass-of-web"), undefined);
    assert.equal(table.withToken("token-of-mail-0123")?.name, "mail");
    assert.equal(table.withToken(""), undefined);
    assert.equal(table.withCurveKey(KEY)?.name, "web");
    assert.equal(table.withCurveKey(KEY.toLowerCase()), undefined);
    assert.equal(table.withCertificate("web.example")?.name, "web");
    assert.equal(table.withCertificate("web"), undefined);
  });

  test("names that objects have of themselves are no users and no roles", () => {
    for (const name of ["constructor", "__proto__", "toString"]) {
      assert.equal(table.has(name), false);
      assert.equal(table.rightsOf(name).mayAny("queue:see"), false);
      assert.match(wrong({ users: { a: { roles: [name] } } }), /there is no role/);
    }
  });
});

suite("the access file", () => {
  test("what is wrong in it is told with its place", () => {
    const cases: readonly [content: unknown, message: RegExp][] = [
      [[], /access\.json: it must be a JSON object/],
      [{ rolls: {} }, /access\.json, rolls: there are only 'roles' and 'users'/],
      [{ roles: { a: "queue:add:x" } }, /access\.json, roles\.a: it must be a list of texts/],
      [
        { roles: { a: ["queue:add:x", "queue:mange:x"] } },
        /roles\.a\[1\] 'queue:mange:x': there is no 'mange' for queue; is it 'manage'\?/,
      ],
      [{ roles: { a: ["queu:add:x"] } }, /there is no part 'queu'; is it 'queue'\?/],
      [{ roles: { a: ["queue:add"] } }, /a right is written PART:ACTION:NAMES/],
      [{ users: { a: { roles: ["b"] } } }, /users\.a\.roles: there is no role 'b'/],
      [{ users: { a: { role: [] } } }, /users\.a\.role: a user has roles, password/],
      [{ users: { a: { token: "short" } } }, /users\.a\.token: it must be a text of 16 characters/],
      [{ users: { a: { curveKey: "k" } } }, /users\.a\.curveKey: it must be a public key/],
      [{ users: { "*": { password: "x" } } }, /'\*' is whoever comes/],
      [{ users: { a: { curveKey: KEY }, b: { curveKey: KEY } } }, /users\.b\.curveKey: users\.a has the same/],
    ];
    for (const [content, message] of cases) assert.match(wrong(content), message);
  });

  test("no error tells a secret", () => {
    for (const content of [
      { users: { a: { token: "S3cret" } } },
      { users: { a: { password: ["S3cret"] } } },
      { users: { a: { token: "S3cret-0123456789" }, b: { token: "S3cret-0123456789" } } },
      { users: { "*": { token: "S3cret-0123456789" } } },
    ])
      assert.doesNotMatch(wrong(content), /S3cret/);
    for (const text of ['{"users":{"a":{"token":"S3cret', '{"users":{"a":{"token":S3cret}}}'])
      assert.throws(
        () => new AccessControl(file(text)),
        (error: Error) => !/S3cret/.test(error.message) && /it is no JSON/.test(error.message),
      );
  });

  test("a file that others can read is refused with the command that mends it", { skip: process.platform === "win32" }, () => {
    const path = file(FILE);
    chmodSync(path, 0o644);
    assert.throws(() => new AccessControl(path), { code: "FILE_NOT_PRIVATE", message: new RegExp(`chmod 600 ${path}`) });
  });

  test("rights that were given out follow the file; after an error all stays as it was", () => {
    const path = file(FILE);
    const access = new AccessControl(path);
    const rights = access.rightsOf("web", () => {});
    let told = 0;
    access.onReload(() => (told += 1));
    assert.equal(rights.may("queue:add", "shop.orders"), true);
    writeFileSync(path, "{");
    assert.throws(() => access.reload(), { code: "ACCESS_FILE_INVALID" });
    assert.equal(rights.may("queue:add", "shop.orders"), true);
    writeFileSync(path, JSON.stringify({ ...FILE, users: { web: { roles: ["mailer"] } } }));
    access.reload();
    assert.equal(rights.may("queue:add", "shop.orders"), false);
    assert.equal(rights.may("queue:work", "shop.mails"), true);
    assert.equal(rights.may("queue:add", "feedback"), false);
    assert.equal(told, 1);
  });

  test("refusals are counted by parts and told with who wanted what", () => {
    const access = new AccessControl(file(FILE));
    const lines: unknown[] = [];
    const log: Log = (event, facts) => lines.push([event, facts]);
    const web = access.rightsOf("web", log);
    web.must("queue:add", "shop.mails");
    assert.throws(() => web.must("queue:add", "bank"), {
      code: "ACCESS_DENIED",
      message: /'web' has not the right queue:add:bank/,
    });
    assert.equal(access.rightsOf(undefined, log).refused("cache:manage").code, "ACCESS_DENIED");
    assert.deepEqual(access.refused, { queue: 1, cache: 1, dashboard: 0 });
    assert.deepEqual(lines, [
      ["access.refused", { user: "web", right: "queue:add:bank" }],
      ["access.refused", { user: "*", right: "cache:manage" }],
    ]);
  });

  test("the JSON Schema lets through the rows that are read, and no others", () => {
    const schema = accessSchema() as { properties: { roles: { additionalProperties: { items: { pattern: string } } } } };
    const pattern = new RegExp(schema.properties.roles.additionalProperties.items.pattern);
    for (const row of ["*", "queue:add:x", "queue:add,see:shop.*", "cache:*:a:b", "dashboard:see:*"]) {
      assert.match(row, pattern);
      readGrant(row, "here");
    }
    for (const row of ["queue:eat:x", "queue:add", "cache:add:x", "", "queue:add,:x"]) {
      assert.doesNotMatch(row, pattern);
      assert.throws(() => readGrant(row, "here"));
    }
  });
});
