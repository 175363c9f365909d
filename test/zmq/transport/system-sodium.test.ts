/** CURVE's long parts: sealed by the machine's libsodium where there is one, in buffers that are used again. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { Pull, Push, curveKeyPair } from "../../../src/zmq/index.ts";
import { systemSodium } from "../../../src/zmq/transport/system-sodium.ts";
import { closing } from "../../support/zmq.ts";

const run = promisify(execFile);
const MODULE = join(import.meta.dirname, "../../../src/zmq/transport/system-sodium.ts");
const found = (flags: readonly string[]): Promise<{ stdout: string; stderr: string }> =>
  run(process.execPath, [
    ...flags,
    "--input-type=module",
    "-e",
    `import { systemSodium } from ${JSON.stringify(MODULE)}; console.log(typeof systemSodium())`,
  ]);

const DEBIANS = "/usr/lib/x86_64-linux-gnu/libsodium.so.23";

test("the machine's libsodium is found", { skip: !existsSync(DEBIANS) }, () => {
  assert.notEqual(systemSodium(), undefined);
});

test("a process that may call nothing foreign does without", async () => {
  assert.equal((await found(["--permission", "--allow-fs-read=*"])).stdout, "undefined\n");
});

test("large parts sealed one after the other arrive as they were sent, whatever their length", async (t) => {
  const server = curveKeyPair();
  const client = curveKeyPair();
  const pull = closing(t, new Pull({ curveServer: true, curveSecretKey: server.secretKey, receiveHighWaterMark: 3 }));
  await pull.bind("tcp://127.0.0.1:*");
  const curve = { curveServerKey: server.publicKey, curvePublicKey: client.publicKey, curveSecretKey: client.secretKey };
  const push = closing(t, new Push({ ...curve, sendHighWaterMark: 50 }));
  push.connect(pull.lastEndpoint!);
  // About 16 and 128 KiB the way changes by which a frame is written
  const lengths = [4000, 4096, 16_340, 16_384, 65_536, 131_000, 131_029, 131_072, 300_000];
  const COUNT = 180;
  const partOf = (index: number): Buffer => Buffer.alloc(lengths[index % lengths.length]!, `part ${index} `);
  const hash = (bytes: Uint8Array): string => createHash("sha1").update(bytes).digest("hex");
  const sending = (async () => {
    for (let index = 0; index < COUNT; index += 1) await push.send([`${index}`, partOf(index)]);
  })();
  for (let index = 0; index < COUNT; index += 1) {
    const [told, part] = await pull.receive();
    assert.equal(String(told), `${index}`);
    assert.equal(hash(part!), hash(partOf(index)), `part ${index}`);
  }
  await sending;
});
