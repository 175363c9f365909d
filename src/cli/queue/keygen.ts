/** ● `holdfast queue keygen`: a CURVE key pair for a broker or a client. */
import { writeFileSync } from "node:fs";
import { messageOf, OperationError } from "../../core/errors.ts";
import { PRIVATE_FILE } from "../../core/private-files.ts";
import { curveKeyPair } from "../../zmq/index.ts";
import { flags, parse } from "../shared/flags.ts";

export async function run(argv: readonly string[]): Promise<number> {
  const command = flags("queue keygen", "Creates a CURVE key pair, in a file that only its owner can read")
    .argument("[file]", "a new file; the public key is printed. Without it both keys are printed")
    .option("--json", "print JSON");
  if (!(await parse(command, argv))) return 0;
  const { publicKey, secretKey } = curveKeyPair();
  const { json } = command.opts<{ json?: boolean }>();
  const [file] = command.args;
  const secret = `secret ${secretKey}\n`;
  if (file !== undefined) write(file, `public ${publicKey}\n${secret}`);
  const keys = { publicKey, ...(file === undefined && { secretKey }) };
  process.stdout.write(json ? `${JSON.stringify(keys)}\n` : `public ${publicKey}\n${file === undefined ? secret : ""}`);
  return 0;
}

/** @throws OperationError CLI_USAGE when it is there: keys that are in use are not lost by a second call */
function write(file: string, keys: string): void {
  try {
    writeFileSync(file, keys, { mode: PRIVATE_FILE, flag: "wx" });
  } catch (cause) {
    throw new OperationError("CLI_USAGE", `Cannot write the keys to ${file}: ${messageOf(cause)}`, { cause });
  }
}
