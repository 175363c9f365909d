/**
 * ● A socket that hears nothing: a filter that drops every packet that arrives for it (SO_ATTACH_FILTER), below TCP, as if its cable
 * were cut. Needs neither root nor a change of routes; touches no other socket.
 */
import type { Socket } from "node:net";
import { descriptorOf } from "../../core/socket-handle.ts";

/** include/uapi/asm-generic/socket.h */
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const SO_DETACH_FILTER = 27;
/** BPF_RET | BPF_K with 0: keep no byte of any packet. */
const DROP_ALL = Buffer.of(0x06, 0, 0, 0, 0, 0, 0, 0);

/** Kept reachable: the kernel reads the program through a raw pointer. */
let program: Buffer | undefined;

/** From now on the socket hears nothing, or (`deaf` false) everything again. @throws Error why that cannot be done here */
export function setDeaf(socket: Socket, deaf: boolean): void {
  const ffi = process.platform === "linux" ? process.getBuiltinModule?.("node:ffi") : undefined;
  if (!ffi) throw new Error("it needs Linux and node:ffi (Node 26.1 or later)");
  const descriptor = descriptorOf(socket);
  if (descriptor === undefined) throw new Error("the connection has ended");
  const library = new ffi.DynamicLibrary(null);
  const setsockopt = library.getFunction("setsockopt", { arguments: ["i32", "i32", "i32", "pointer", "u32"], return: "i32" });
  program = Buffer.alloc(16); // struct sock_fprog: u16 length, then the pointer to the instructions
  if (deaf) {
    program.writeUInt16LE(DROP_ALL.length / 8, 0);
    program.writeBigUInt64LE(ffi.getRawPointer(DROP_ALL), 8);
  }
  const option = deaf ? SO_ATTACH_FILTER : SO_DETACH_FILTER;
  const answer = setsockopt(descriptor, SOL_SOCKET, option, program, deaf ? program.length : 4);
  if (answer !== 0) throw new Error("the kernel refused the socket filter");
}
