/** Reading and writing the protobuf wire format: varints, 64-bit values and length-delimited bytes. */

export const VARINT = 0;
export const FIXED64 = 1;
export const DELIMITED = 2;
const FIXED32 = 5;

/** The bytes are not what they should be. Callers turn it into an answer at the edge of the codec. */
export class WireError extends Error {}

export class WireReader {
  readonly #bytes: Uint8Array;
  #next = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#next >= this.#bytes.length;
  }

  /** The number of the next field and the form of its value. */
  tag(): { readonly field: number; readonly form: number } {
    const tag = this.varint();
    const field = Math.floor(tag / 8);
    if (field < 1 || field > 0x1fffffff) throw new WireError(`illegal tag ${String(field)}`);
    return { field, form: tag % 8 };
  }

  /** A 64-bit two's complement number; beyond 2^53 it is rounded, as in all of JavaScript's JSON. */
  varint(): number {
    const start = this.#next;
    let value = 0;
    let scale = 1;
    // Seven groups of seven bits are exact in a double.
    for (let i = 0; i < 7; i++) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    this.#next = start;
    return this.#longVarint();
  }

  #longVarint(): number {
    let value = 0n;
    for (let i = 0n; i < 10n; i++) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << (7n * i);
      if (byte < 0x80) return Number(BigInt.asIntN(64, value));
    }
    throw new WireError("integer overflow");
  }

  double(): number {
    const bytes = this.#take(8);
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0, true);
  }

  /** A view of the bytes, not a copy. */
  delimited(): Uint8Array {
    return this.#take(this.varint());
  }

  skip(form: number): void {
    switch (form) {
      case VARINT:
        this.varint();
        return;
      case FIXED64:
        this.#take(8);
        return;
      case DELIMITED:
        this.delimited();
        return;
      case FIXED32:
        this.#take(4);
        return;
      default:
        throw new WireError(`illegal wire type ${String(form)}`);
    }
  }

  #byte(): number {
    const byte = this.#bytes[this.#next];
    if (byte === undefined) throw new WireError("unexpected EOF");
    this.#next++;
    return byte;
  }

  #take(length: number): Uint8Array {
    const end = this.#next + length;
    if (length < 0 || end > this.#bytes.length) throw new WireError("unexpected EOF");
    const bytes = this.#bytes.subarray(this.#next, end);
    this.#next = end;
    return bytes;
  }
}

export class WireWriter {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  tag(field: number, form: number): void {
    this.#varint(BigInt(field * 8 + form));
  }

  /** A field with an integer; negative ones take ten bytes. */
  integer(field: number, value: number): void {
    this.tag(field, VARINT);
    this.#varint(BigInt.asUintN(64, BigInt(Math.trunc(value))));
  }

  double(field: number, value: number): void {
    this.tag(field, FIXED64);
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value, true);
    this.#put(bytes);
  }

  /** A field with bytes, a string or a message. */
  delimited(field: number, bytes: Uint8Array): void {
    this.tag(field, DELIMITED);
    this.#varint(BigInt(bytes.length));
    this.#put(bytes);
  }

  finish(): Uint8Array {
    const all = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  #varint(value: bigint): void {
    const bytes: number[] = [];
    let rest = value;
    do {
      const group = Number(rest & 0x7fn);
      rest >>= 7n;
      bytes.push(rest === 0n ? group : group | 0x80);
    } while (rest !== 0n);
    this.#put(Uint8Array.from(bytes));
  }

  #put(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }
}
