/** ○ What is done with Node's Buffers everywhere. */
import { Buffer } from "node:buffer";

/** No bytes, where a Buffer is wanted. */
export const EMPTY_BUFFER: Buffer = Buffer.alloc(0);
