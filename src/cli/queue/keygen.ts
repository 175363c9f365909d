/** ● `holdfast queue keygen`: a CURVE key pair for a broker or a client. */
import { curveKeyPair } from "../../zmq/index.ts";
import { flags, parse } from "../shared/flags.ts";

export async function run(argv: readonly string[]): Promise<number> {
  const command = flags(
    "queue keygen",
    "Creates a CURVE key pair; keep the output in a file that only its owner can read",
  ).option("--json", "print JSON");
  if (!(await parse(command, argv))) return 0;
  const { publicKey, secretKey } = curveKeyPair();
  const { json } = command.opts<{ json?: boolean }>();
  process.stdout.write(json ? `${JSON.stringify({ publicKey, secretKey })}\n` : `public ${publicKey}\nsecret ${secretKey}\n`);
  return 0;
}
