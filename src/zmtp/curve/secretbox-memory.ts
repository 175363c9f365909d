/**
 * ○ Where everything lies in the memory of the secretbox's WebAssembly. `INPUT` is Salsa20's input block, as in its specification
 * (section 7): whoever writes the nonce sets the block counter to 0, which starts a new box. `PIECE` is where a piece of the text
 * goes. Before it are the 32 octets that Salsa20 spends on the Poly1305 key; the latter half of them becomes the authenticator, so
 * that a box of one piece lies in memory as it is sent.
 */

/** Octets of Salsa20's first block that are no keystream: the Poly1305 key. */
export const POLY1305_KEY_BYTES = 32;

/** Four blocks of Salsa20. */
export const STRIDE_BYTES = 256;

/** 12 KiB: what is read and what is written fit the fastest cache together. A multiple of `STRIDE_BYTES`, as all pieces but the last. */
export const PIECE_BYTES_MAX = 12 * 1024;

/** The first piece of a box is shorter, for the Poly1305 key. */
export const FIRST_PIECE_BYTES_MAX = PIECE_BYTES_MAX - POLY1305_KEY_BYTES;

/** Salsa20's input block: constants, key, nonce and counter, as sixteen words. */
export const INPUT = 0;
export const NONCE = INPUT + 24;
export const COUNTER = INPUT + 32;

/** Poly1305's accumulator and factor, five limbs each in an i64, and what is added last. */
export const SUM = 64;
export const FACTOR = SUM + 40;
export const PAD = FACTOR + 40;

export const PIECE = 512;
/** The authenticator, after the last piece. */
export const TAG = PIECE - 16;
/** Where an opened piece goes, so that the sealed one stays whole for Poly1305. */
export const OPENED = PIECE + PIECE_BYTES_MAX + 2 * STRIDE_BYTES;

export const MEMORY_BYTES = OPENED + PIECE_BYTES_MAX + STRIDE_BYTES;
