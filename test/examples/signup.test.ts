/** The sign-up example: one command, a real form, mails by two workers, the database spared by the cache. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Example } from "../support/example.ts";
import { requires } from "../support/requires.ts";

async function signUp(url: string, name: string, email: string): Promise<{ status: number; text: string }> {
  const response = await fetch(url, { method: "POST", body: new URLSearchParams({ name, email }) });
  return { status: response.status, text: await response.text() };
}

test(
  "visitors sign up, both workers send mails, and the database is asked once a visitor",
  requires("python3-zmq"),
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-signup-"));
    const example = new Example("signup/start.ts", ["0", folder]);
    try {
      const [, url] = await example.printed(/sign up at (\S+);/);
      await example.printed(/the TypeScript worker is ready/);
      await example.printed(/the Python worker is ready/);
      assert.match(await (await fetch(url!)).text(), /<form method="post">/);

      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, index) => signUp(url!, `User ${index}`, `user${index}@example.com`)),
      );
      for (const { status, text } of answers) assert.deepEqual([status, /A mail is in/.test(text)], [201, true], text);
      const senders = new Set(answers.map(({ text }) => /sent by the (\w+) worker/.exec(text)?.[1]));
      assert.deepEqual(senders, new Set(["TypeScript", "Python"]));
      const mails = readdirSync(join(folder, "outbox")).map((file) => readFileSync(join(folder, "outbox", file), "utf8"));
      assert.equal(new Set(mails.map((mail) => /^To: (.*)$/m.exec(mail)?.[1])).size, 40);

      for (let again = 0; again < 5; again += 1)
        assert.match((await signUp(url!, "X", "user7@example.com")).text, /Welcome back, User 7/);
      assert.match((await signUp(url!, "<b>", "bold@example.com")).text, /Thank you, &lt;b&gt;/);
      assert.equal((await signUp(url!, "", "nobody")).status, 422);
    } finally {
      example.child.kill("SIGTERM");
      await example.ended();
      rmSync(folder, { recursive: true, force: true });
    }
    assert.match(example.output, /the database was asked 41 times/);
  },
);
