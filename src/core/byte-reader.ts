/**
 * ○ Reads what a `ByteWriter` wrote, field by field, in network order. Invariant: the next field begins at `#at`, and no field reaches
 * beyond the bytes.
 */

export abstract class ByteReader<T extends Uint8Array = Uint8Array> {
  readonly #bytes: T;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: T) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Bytes not yet read. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#skip(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#skip(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#skip(4));
  }

  /** Up to 2^53 - 1, which is all that a number says exactly. */
  u64(): number {
    const at = this.#skip(8);
    const value = this.#view.getUint32(at) * 2 ** 32 + this.#view.getUint32(at + 4);
    if (value > Number.MAX_SAFE_INTEGER) throw this.invalid("a number past 2^53");
    return value;
  }

  f64(): number {
    return this.#view.getFloat64(this.#skip(8));
  }

  /** A view of the next bytes. */
  view(count: number): T {
    const at = this.#skip(count);
    return this.#bytes.subarray(at, at + count) as T;
  }

  /** The error for bytes that are not what they should be. */
  protected abstract invalid(what: string): Error;

  #skip(count: number): number {
    const at = this.#at;
    if (count > this.#bytes.length - at) throw this.invalid("bytes missing");
    this.#at = at + count;
    return at;
  }
}
