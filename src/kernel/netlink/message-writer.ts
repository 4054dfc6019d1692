/** Bit of an attribute's type that says: what is inside are attributes again. */
const NESTED = 0x8000;
/** An attribute's length has 16 bits. */
const MAX_ATTRIBUTE = 0xffff;
const INITIAL_BYTES = 512;

/**
 * Writes netlink messages one after another (RFC 3549 section 2.3): each has a header of 16 bytes and
 * attributes, all aligned to 4 bytes. Numbers are in the byte order of x86-64 and arm64 unless a name says "be".
 */
export class MessageWriter {
  #bytes = new Uint8Array(INITIAL_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What was written; valid until the next write. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Opens a message; @returns its place for {@link endMessage}. */
  beginMessage(type: number, flags: number, sequence: number): number {
    const start = this.#grow(16);
    this.#view.setUint16(start + 4, type, true);
    this.#view.setUint16(start + 6, flags, true);
    this.#view.setUint32(start + 8, sequence, true);
    this.#view.setUint32(start + 12, 0, true);
    return start;
  }

  endMessage(start: number): void {
    this.#view.setUint32(start, this.#length - start, true);
  }

  /** A message as another writer made it, but with this sequence number. */
  message(bytes: Uint8Array, sequence: number): void {
    const start = this.#length;
    this.raw(bytes);
    this.#view.setUint32(start + 8, sequence, true);
  }

  /** Opens an attribute that holds attributes; @returns its place for {@link end}. */
  begin(type: number): number {
    const start = this.#grow(4);
    this.#view.setUint16(start + 2, type | NESTED, true);
    return start;
  }

  /** @throws RangeError when the attribute became longer than its length field can say. */
  end(start: number): void {
    const length = this.#length - start;
    if (length > MAX_ATTRIBUTE) throw new RangeError(`an attribute of ${String(length)} bytes`);
    this.#view.setUint16(start, length, true);
  }

  /** Bytes outside of any attribute, such as a protocol's own header. */
  raw(bytes: Uint8Array): void {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
  }

  binary(type: number, bytes: Uint8Array): void {
    const at = this.#attribute(type, bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** With the NUL at its end that the kernel expects. ASCII only. */
  text(type: number, text: string): void {
    const at = this.#attribute(type, text.length + 1);
    for (let i = 0; i < text.length; i++) this.#bytes[at + i] = text.charCodeAt(i);
    this.#bytes[at + text.length] = 0;
  }

  u8(type: number, value: number): void {
    const at = this.#attribute(type, 1);
    this.#bytes[at] = value;
  }

  u16be(type: number, value: number): void {
    const at = this.#attribute(type, 2);
    this.#view.setUint16(at, value);
  }

  u32(type: number, value: number): void {
    const at = this.#attribute(type, 4);
    this.#view.setUint32(at, value, true);
  }

  u32be(type: number, value: number): void {
    const at = this.#attribute(type, 4);
    this.#view.setUint32(at, value);
  }

  u64be(type: number, value: bigint): void {
    const at = this.#attribute(type, 8);
    this.#view.setBigUint64(at, value);
  }

  // Callers take the place first: growing replaces the buffer.
  #attribute(type: number, length: number): number {
    const start = this.#grow(4 + length);
    this.#view.setUint16(start, 4 + length, true);
    this.#view.setUint16(start + 2, type, true);
    return start + 4;
  }

  /** Makes room, aligned to four bytes; @returns where it begins. */
  #grow(length: number): number {
    const start = this.#length;
    const end = start + ((length + 3) & ~3);
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, start));
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#length = end;
    return start;
  }
}
