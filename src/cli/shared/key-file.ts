/** ● A file with a CURVE key pair. */
import { codeOf, messageOf, OperationError, UsageError } from "../../core/errors.ts";
import { readSecret } from "../../core/private-files.ts";

/** Two lines, `public KEY` and `secret KEY`, as `holdfast queue keygen` writes them. */
export function readKeys(file: string): { publicKey: string; secretKey: string } {
  let text: string;
  try {
    text = readSecret(file).toString();
  } catch (error) {
    if (codeOf(error) === "FILE_NOT_PRIVATE") throw error;
    throw new OperationError("CLI_USAGE", `Cannot read the keys in ${file}: ${messageOf(error)}`, { cause: error });
  }
  const publicKey = /^public (\S{40})$/m.exec(text)?.[1];
  const secretKey = /^secret (\S{40})$/m.exec(text)?.[1];
  if (!publicKey || !secretKey)
    throw new UsageError("CLI_USAGE", `Cannot read the keys in ${file}: the lines 'public …' and 'secret …' are missing`);
  return { publicKey, secretKey };
}
