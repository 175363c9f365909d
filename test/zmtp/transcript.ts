/**
 * Recorded connections as text: a header of `name value` lines, then what each side sent, in order, as hex. `c` is the connecting
 * side, `b` the binding one: `c> …` octets that it sent, `c< …` a message, frame by frame, that it must read from what the other sent.
 */
import { readFileSync } from "node:fs";

export type Letter = "c" | "b";

export interface Transcript {
  readonly header: Readonly<Record<string, string>>;
  readonly sent: Readonly<Record<Letter, readonly Buffer[]>>;
  readonly received: Readonly<Record<Letter, readonly Buffer[][]>>;
}

const WRAP_CHARACTERS = 120;

export function readTranscript(file: string): Transcript {
  const header: Record<string, string> = {};
  const sent: Record<Letter, Buffer[]> = { c: [], b: [] };
  const received: Record<Letter, Buffer[][]> = { c: [], b: [] };
  for (const line of readFileSync(file, "utf8").split("\n")) {
    const [name, ...words] = line.split(" ");
    if (name === "c>" || name === "b>") sent[name[0] as Letter].push(Buffer.from(words.join(""), "hex"));
    else if (name === "c<" || name === "b<")
      received[name[0] as Letter].push(words.map((word) => Buffer.from(word.slice(1), "hex")));
    else if (name) header[name] = words.join(" ");
  }
  return { header, sent, received };
}

export function writeTranscript({ header, sent, received }: Transcript): string {
  const lines = Object.entries(header).map(([name, value]) => `${name} ${value}`);
  for (const letter of ["c", "b"] as const) {
    const octets = Buffer.concat(sent[letter]).toString("hex");
    for (let at = 0; at < octets.length; at += WRAP_CHARACTERS)
      lines.push(`${letter}> ${octets.slice(at, at + WRAP_CHARACTERS)}`);
  }
  for (const letter of ["c", "b"] as const) {
    for (const frames of received[letter])
      lines.push(`${letter}< ${frames.map((frame) => `.${frame.toString("hex")}`).join(" ")}`);
  }
  return `${lines.join("\n")}\n`;
}
