/** Folders and files that are their owner's alone, and secrets that others can read. */
import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { privateFolder, readSecret } from "../../src/core/private-files.ts";

const root = mkdtempSync(join(tmpdir(), "holdfast-private-"));
after(() => rmSync(root, { recursive: true }));

const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8);
const isOurs = (name: string): boolean => name.startsWith("queue.db");
const open = (path: string, mode = 0o644): string => {
  writeFileSync(path, "secret\n");
  chmodSync(path, mode);
  return path;
};

test("a folder is its owner's alone whatever the umask, those above it as the umask says", (t) => {
  const umask = process.umask(0o022);
  t.after(() => process.umask(umask));
  assert.equal(privateFolder(join(root, "above", "data"), isOurs), undefined);
  assert.deepEqual([modeOf(join(root, "above")), modeOf(join(root, "above", "data"))], ["755", "700"]);
});

test("a folder and files that were open are closed once, and said", () => {
  const folder = join(root, "old");
  mkdirSync(folder);
  chmodSync(folder, 0o755);
  open(join(folder, "queue.db"));
  open(join(folder, "queue.db-wal"), 0o600);
  assert.deepEqual(privateFolder(folder, isOurs), { folder, files: ["queue.db"] });
  assert.deepEqual([modeOf(folder), modeOf(join(folder, "queue.db"))], ["700", "600"]);
  assert.equal(privateFolder(folder, isOurs), undefined);
});

test("of a folder in which other things lie only our files are closed", () => {
  const folder = join(root, "project");
  mkdirSync(folder);
  chmodSync(folder, 0o755);
  open(join(folder, "run.sh"), 0o755);
  open(join(folder, "queue.db"));
  assert.deepEqual(privateFolder(folder, isOurs), { folder, files: ["queue.db"] });
  assert.deepEqual([modeOf(folder), modeOf(join(folder, "run.sh"))], ["755", "755"]);
});

test("a folder that many users share keeps its mode", () => {
  const folder = join(root, "tmp");
  mkdirSync(folder);
  chmodSync(folder, 0o1777);
  assert.equal(privateFolder(folder, isOurs), undefined);
  assert.equal(modeOf(folder), "1777");
});

test("a secret that others can read or write is refused with the command that closes it", () => {
  for (const mode of [0o644, 0o604, 0o602, 0o666]) {
    const path = open(join(root, "keys"), mode);
    assert.throws(() => readSecret(path), { code: "FILE_NOT_PRIVATE", message: new RegExp(`chmod 600 ${path}$`) });
  }
  assert.equal(readSecret(open(join(root, "keys"), 0o600)).toString(), "secret\n");
});

test("a group may read a secret of another user or of root, as systemd and Kubernetes give it, but none of one's own", (t) => {
  const path = open(join(root, "given"), 0o440);
  const { uid } = statSync(path);
  const { getuid } = process;
  t.after(() => Object.assign(process, { getuid }));
  const runAs = (user: number): unknown => Object.assign(process, { getuid: () => user });
  runAs(uid + 1);
  assert.equal(readSecret(path).toString(), "secret\n");
  runAs(uid);
  if (uid === 0) {
    assert.equal(readSecret(path).toString(), "secret\n");
    chownSync(path, 1000, 1000);
    runAs(1000);
  }
  assert.throws(() => readSecret(path), { code: "FILE_NOT_PRIVATE" });
});
