/**
 * ● The demonstration's peer, a separate process so that it can be suspended (SIGSTOP): connects to HOST PORT and reads commands
 * from stdin: "send TEXT", "cut", "heal". "cut" attaches a socket filter that drops all packets (SO_ATTACH_FILTER): the kernel then
 * receives nothing from the other side, as if the network were cut, without root and without a change of routes. Prints "ready",
 * then "cut", "healed" or "cannot cut: …".
 */
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { messageOf } from "../../core/errors.ts";
import { descriptorOf } from "../../core/socket-handle.ts";

const [host, port] = process.argv.slice(2);
/** include/uapi/asm-generic/socket.h */
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const SO_DETACH_FILTER = 27;
/** BPF_RET | BPF_K with 0: keep no byte of any packet. */
const DROP_ALL = Buffer.of(0x06, 0, 0, 0, 0, 0, 0, 0);

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const socket = connect({ host: host!, port: Number(port), noDelay: true }, () => say("ready"));
socket.resume();
socket.on("error", (error) => say(`ended: ${error.message}`));
socket.on("close", () => process.exit(0));

createInterface({ input: process.stdin })
  .on("line", (line) => {
    if (line.startsWith("send ")) socket.write(line.slice(5));
    else if (line === "cut") attempt("cut", () => setFilter(socket, DROP_ALL));
    else if (line === "heal") attempt("healed", () => setFilter(socket, undefined));
  })
  .on("close", () => socket.destroy()); // the parent process has ended

function attempt(done: string, action: () => void): void {
  try {
    action();
    say(done);
  } catch (error) {
    say(`cannot cut: ${messageOf(error)}`);
  }
}

/** Kept reachable: the kernel reads the program through a raw pointer. */
let program: Buffer | undefined;

function setFilter(on: Socket, filter: Buffer | undefined): void {
  const ffi = process.platform === "linux" ? process.getBuiltinModule?.("node:ffi") : undefined;
  if (!ffi) throw new Error("it needs Linux and node:ffi (Node 26.1 or later)");
  const library = new ffi.DynamicLibrary(null);
  const setsockopt = library.getFunction("setsockopt", { arguments: ["i32", "i32", "i32", "pointer", "u32"], return: "i32" });
  program = Buffer.alloc(16); // struct sock_fprog: u16 length, then the pointer to the instructions
  if (filter) {
    program.writeUInt16LE(filter.length / 8, 0);
    program.writeBigUInt64LE(ffi.getRawPointer(filter), 8);
  }
  const option = filter ? SO_ATTACH_FILTER : SO_DETACH_FILTER;
  const answer = setsockopt(descriptorOf(on)!, SOL_SOCKET, option, program, filter ? program.length : 4);
  if (answer !== 0) throw new Error("the kernel refused the socket filter");
}
