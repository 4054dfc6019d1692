/**
 * Messages in a stream of bytes, each behind its length in two bytes (RFC 1035 section 4.2.2). What is held is
 * bounded by what is pushed: whoever reads takes the messages out before reading more.
 */
export class MessageFraming {
  #chunks: Uint8Array[] = [];
  #held = 0;

  /** A message as it goes on the wire; at most 65,535 bytes. */
  static frame(message: Uint8Array): Uint8Array {
    const framed = new Uint8Array(message.length + 2);
    framed[0] = message.length >> 8;
    framed[1] = message.length & 0xff;
    framed.set(message, 2);
    return framed;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#held += chunk.length;
  }

  hasMessage(): boolean {
    return this.#held >= 2 && this.#held >= 2 + this.#length();
  }

  /** Takes the next complete message out; undefined when there is none yet. */
  next(): Uint8Array | undefined {
    if (!this.hasMessage()) return undefined;
    const bytes = this.#joined();
    const end = 2 + this.#length();
    this.#chunks = end < bytes.length ? [bytes.subarray(end)] : [];
    this.#held -= end;
    return bytes.subarray(2, end);
  }

  #length(): number {
    const [first = new Uint8Array(0), second = new Uint8Array(0)] = this.#chunks;
    return ((first[0] ?? 0) << 8) | ((first.length > 1 ? first[1] : second[0]) ?? 0);
  }

  #joined(): Uint8Array {
    const [first] = this.#chunks;
    if (first !== undefined && this.#chunks.length === 1) return first;
    const bytes = new Uint8Array(this.#held);
    let offset = 0;
    for (const chunk of this.#chunks) {
      bytes.set(chunk, offset);
      offset += chunk.length;
    }
    return bytes;
  }
}
