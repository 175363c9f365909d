/**
 * ● The demonstration's peer, a separate process so that it can be suspended (SIGSTOP): connects to HOST PORT and reads commands
 * from stdin: "send TEXT", "cut", "heal". "cut" makes its socket deaf (socket-filter.ts). Prints "ready", then "cut WALL_MS",
 * "healed WALL_MS" or "cannot cut: …".
 */
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { systemClock } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";
import { setDeaf } from "./socket-filter.ts";

const [host, port] = process.argv.slice(2);

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const socket = connect({ host: host!, port: Number(port), noDelay: true }, () => say("ready"));
socket.resume();
socket.on("error", (error) => say(`ended: ${error.message}`));
socket.on("close", () => process.exit(0));

createInterface({ input: process.stdin })
  .on("line", (line) => {
    if (line.startsWith("send ")) socket.write(line.slice(5));
    else if (line === "cut") hear(false);
    else if (line === "heal") hear(true);
  })
  .on("close", () => socket.destroy()); // the parent process has ended

function hear(again: boolean): void {
  const wallMs = systemClock.wallMs();
  try {
    setDeaf(socket, !again);
    say(`${again ? "healed" : "cut"} ${wallMs}`);
  } catch (error) {
    say(`cannot cut: ${messageOf(error)}`);
  }
}
