/**
 * ○ The cryptography of CURVE (RFC 26): X25519 and XSalsa20-Poly1305 as NaCl's box and secretbox put them together, over
 * @noble's audited primitives. Knows nonces as CurveZMQ writes them (a text prefix and 8 or 16 octets), but no command.
 */
import { hsalsa, xsalsa20poly1305 } from "@noble/ciphers/salsa.js";
import { x25519 as noble } from "@noble/curves/ed25519.js";
import { utf8 } from "../../core/bytes.ts";
import { ProtocolError } from "../../core/errors.ts";

/** Octets of a key, public, secret or shared. */
export const KEY_BYTES = 32;

/** Octets by which a box is longer than what it holds: the authenticator. */
export const BOX_OVERHEAD_BYTES = 16;

/** Octets of the whole nonce of XSalsa20. */
const NONCE_BYTES = 24;

/** A key pair for CURVE, as raw octets. */
export interface CurveKeys {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

/** Multiplication on Curve25519, so that a platform's faster one can stand in. Both throw on what is no key. */
export interface X25519 {
  publicKey(secretKey: Uint8Array): Uint8Array;
  sharedSecret(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array;
}

/** The pure one: about 1 ms a multiplication, four of them a handshake. */
export const pureX25519: X25519 = {
  publicKey: (secretKey) => noble.getPublicKey(secretKey),
  sharedSecret: (secretKey, publicKey) => noble.getSharedSecret(secretKey, publicKey),
};

/** A library of the machine's own, which works in place: an octet costs it less, and a call more, than the module here. */
export interface NativeSecretbox {
  /** Enciphers the text where it lies, and writes its authenticator. */
  seal(text: Uint8Array, tag: Uint8Array, nonce: Uint8Array, key: Uint8Array): void;
  /** Deciphers where it lies. @returns whether the authenticator matches */
  open(ciphertext: Uint8Array, tag: Uint8Array, nonce: Uint8Array, key: Uint8Array): boolean;
}

/** What CURVE takes from outside: chance that nobody can guess, and the multiplication. */
export interface CurveMath {
  /** Cryptographically strong random octets. */
  readonly randomBytes: (count: number) => Uint8Array;
  readonly x25519: X25519;
  /** A library of the machine's own for long parts, if it has one. */
  readonly nativeSecretbox?: () => NativeSecretbox | undefined;
}

/** A new key pair. */
export function newKeys({ randomBytes, x25519 }: CurveMath): CurveKeys {
  const secretKey = randomBytes(KEY_BYTES);
  return { publicKey: x25519.publicKey(secretKey), secretKey };
}

/** "expand 32-byte k": Salsa20's constant, as words. */
const SIGMA = words(utf8("expand 32-byte k"));

/**
 * The key that two key pairs share: NaCl's `beforenm`. Computed once a connection, used for every box of it.
 *
 * @throws ProtocolError ERR_ZMTP_KEY_EXCHANGE when the public key is none (a point of low order would make the secret known to all)
 */
export function sharedKey(x25519: X25519, secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array {
  let secret: Uint8Array;
  try {
    secret = x25519.sharedSecret(secretKey, publicKey);
  } catch (cause) {
    throw new ProtocolError("ERR_ZMTP_KEY_EXCHANGE", "Cannot agree on a key: the peer's public key is of low order", { cause });
  }
  return subkey(secret, new Uint8Array(16));
}

/** HSalsa20: the key that XSalsa20 uses for all nonces that begin with these 16 octets. */
export function subkey(key: Uint8Array, noncePrefix: Uint8Array): Uint8Array {
  const out = new Uint32Array(8);
  hsalsa(SIGMA, words(key), words(noncePrefix), out);
  return new Uint8Array(out.buffer);
}

/** Closes a box (or a secretbox: the same with a key of one's own). */
export function seal(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array): Uint8Array {
  return xsalsa20poly1305(key, nonce).encrypt(plain);
}

/** Opens a box, or returns undefined when it was closed with another key or nonce, or was changed since. */
export function open(key: Uint8Array, nonce: Uint8Array, box: Uint8Array): Uint8Array | undefined {
  if (box.length < BOX_OVERHEAD_BYTES) return undefined;
  try {
    return xsalsa20poly1305(key, nonce).decrypt(box);
  } catch {
    return undefined; // noble throws for one reason once lengths are right: the authenticator does not match
  }
}

/** A nonce of CurveZMQ: its prefix in ASCII, then the octets that the command carries. */
export function nonceOf(prefix: string, rest: Uint8Array): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES);
  for (let index = 0; index < prefix.length; index += 1) nonce[index] = prefix.charCodeAt(index);
  nonce.set(rest, prefix.length);
  return nonce;
}

/** A copy as little-endian words, as Salsa20 reads its input; the copy aligns it (and `slice` of a Buffer would be none). */
function words(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(Uint8Array.from(bytes).buffer);
}
