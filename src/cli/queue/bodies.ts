/** ● Task bodies and results of the command: reads stdin up to a limit, and puts bytes into the fields of a JSON line. */
import { isUtf8 } from "node:buffer";
import { UsageError } from "../../core/errors.ts";

/** 64 MiB: four times the broker's default limit of a body, and little enough to hold in memory. */
export const BODY_BYTES_MAX = 64 * 1024 * 1024;

/**
 * All of stdin.
 *
 * @throws UsageError CLI_USAGE when it has more than 64 MiB
 */
export async function readStdin(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY_BYTES_MAX) throw tooLong("A body");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The lines of stdin as they arrive, up to `count` at a time; does not wait to fill a batch. */
export async function* linesOfStdin(count: number): AsyncGenerator<Buffer[]> {
  let rest: Buffer[] = [];
  let restLength = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    const lines: Buffer[] = [];
    let start = 0;
    for (let lf = chunk.indexOf(10); lf >= 0; lf = chunk.indexOf(10, start)) {
      const end = chunk.subarray(start, lf);
      lines.push(rest.length === 0 ? end : Buffer.concat([...rest, end]));
      [rest, restLength] = [[], 0];
      start = lf + 1;
    }
    if (start < chunk.length) rest.push(chunk.subarray(start));
    restLength += chunk.length - start;
    if (restLength > BODY_BYTES_MAX) throw tooLong("A line");
    for (let at = 0; at < lines.length; at += count) yield lines.slice(at, at + count);
  }
  if (restLength > 0) yield [Buffer.concat(rest)];
}

/** The bytes as text in `NAME`; bytes that are not UTF-8 in `NAMEBase64`. */
export function bodyField(name: "body" | "result", bytes: Uint8Array): Readonly<Record<string, string>> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return isUtf8(bytes) ? { [name]: buffer.toString() } : { [`${name}Base64`]: buffer.toString("base64") };
}

function tooLong(what: string): UsageError {
  return new UsageError("CLI_USAGE", `${what} on stdin is longer than ${BODY_BYTES_MAX} bytes`);
}
