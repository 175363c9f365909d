/** ● How `holdfast listen` and `holdfast connect` print bytes on stdout: raw, one byte per line, whole lines, hex, or JSON events. */
import { printable } from "../../core/printable.ts";
import type { ByteLink } from "../../link/index.ts";

/** The unit of one output line; "raw" prints the bytes unchanged. */
export type PrintUnit = "raw" | "byte" | "line" | "hex";

/** How `--by byte` prints a byte: "python" as `print(connection.recv(1))` does. */
export type ByteFormat = "plain" | "python";

export interface Printers {
  bytes(link: Pick<ByteLink, "id" | "peer">, bytes: Buffer): void;
  /** The link ended: prints the incomplete last line. */
  end(link: Pick<ByteLink, "id" | "peer">): void;
  /** Only in JSON: prints an event other than received bytes. */
  event?(event: Readonly<Record<string, unknown>>): void;
}

/** 64 KiB: a longer line is printed in parts, so that it is not kept in memory. */
const LINE_BYTES_MAX = 65_536;

/** The output of `listen` and `connect`. */
export interface TerminalOutput {
  /** Received data and events, on stdout. */
  readonly print: Printers;
  /** Messages, on stderr; none with --json. */
  log(line: string): void;
}

export function terminalOutput(
  json: boolean | undefined,
  unit: PrintUnit = "raw",
  format: ByteFormat = "plain",
): TerminalOutput {
  return {
    print: printers(json ? "json" : unit, format),
    log: json ? () => {} : (line) => void process.stderr.write(`${printable(line)}\n`),
  };
}

function printers(by: PrintUnit | "json", byteFormat: ByteFormat): Printers {
  if (by === "json") return json();
  if (by === "line") return lines();
  const format = { raw: (bytes: Buffer) => bytes, byte: byteFormat === "python" ? pythonic : bytewise, hex: hexadecimal }[by];
  return {
    bytes: (_link, bytes) => void process.stdout.write(format(bytes)),
    end: () => {},
  };
}

function json(): Printers {
  const event = (fields: Readonly<Record<string, unknown>>): void => void process.stdout.write(`${JSON.stringify(fields)}\n`);
  return {
    event,
    bytes: ({ peer }, bytes) =>
      event({ event: "bytes", peer, text: bytes.toString("latin1"), base64: bytes.toString("base64") }),
    end: () => {},
  };
}

/** Whole lines with the peer before each, so that lines of many connections do not mix. */
function lines(): Printers {
  const held = new Map<number, Buffer[]>();
  const write = (peer: string, line: Buffer): void => void process.stdout.write(`${peer} ${line.toString("utf8")}\n`);
  return {
    bytes({ id, peer }, bytes) {
      const rest = Buffer.concat([...(held.get(id) ?? []), bytes]);
      let start = 0;
      for (let lf = rest.indexOf(10); lf >= 0; lf = rest.indexOf(10, start)) {
        write(peer, rest.subarray(start, lf));
        start = lf + 1;
      }
      const tail = rest.subarray(start);
      if (tail.length > LINE_BYTES_MAX) {
        write(peer, tail);
        held.delete(id);
      } else if (tail.length > 0) held.set(id, [tail]);
      else held.delete(id);
    },
    end({ id, peer }) {
      const rest = held.get(id);
      if (rest) write(peer, Buffer.concat(rest));
      held.delete(id);
    },
  };
}

/** One byte per line: printable ASCII unchanged, others as \xNN. */
function bytewise(bytes: Buffer): string {
  let text = "";
  for (const byte of bytes) {
    const printable = byte >= 0x20 && byte < 0x7f && byte !== 0x5c;
    text += printable ? `${String.fromCharCode(byte)}\n` : `\\x${byte.toString(16).padStart(2, "0")}\n`;
  }
  return text;
}

/** One byte per line as Python's repr() of a bytes object has it: b'h', b'\\n', b"'", b'\\xff'. */
function pythonic(bytes: Buffer): string {
  let text = "";
  for (const byte of bytes) text += `${(PYTHON_BYTES[byte] ??= pythonByte(byte))}\n`;
  return text;
}

const PYTHON_BYTES: string[] = [];
const PYTHON_ESCAPES: Readonly<Record<number, string>> = { 9: "\\t", 10: "\\n", 13: "\\r", 92: "\\\\" };

function pythonByte(byte: number): string {
  if (byte === 39) return `b"'"`;
  const plain = byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
  return `b'${PYTHON_ESCAPES[byte] ?? plain}'`;
}

function hexadecimal(bytes: Buffer): string {
  return `${bytes.toString("hex").replaceAll(/(..)(?=.)/g, "$1 ")}\n`;
}
