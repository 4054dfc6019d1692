/** The little of ASN.1 DER (X.690) that certificates are made of: encoders that nest. */

const SEQUENCE = 0x30;
const SET = 0x31;

function value(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const digits: number[] = [];
  for (let rest = length; rest > 0; rest >>>= 8) digits.unshift(rest & 0xff);
  return Buffer.concat([Buffer.from([tag, 0x80 | digits.length, ...digits]), content]);
}

export function sequence(...parts: readonly Uint8Array[]): Buffer {
  return value(SEQUENCE, Buffer.concat(parts));
}

/** A set of one, which is all that names need. */
export function setOf(part: Uint8Array): Buffer {
  return value(SET, part);
}

/** A positive whole number, from its big-endian bytes. */
export function integer(bytes: Uint8Array): Buffer {
  const [first = 0] = bytes;
  return value(0x02, first < 0x80 ? bytes : Buffer.concat([Buffer.from([0]), bytes]));
}

export function boolean(isTrue: boolean): Buffer {
  return value(0x01, Buffer.from([isTrue ? 0xff : 0]));
}

export function octetString(content: Uint8Array): Buffer {
  return value(0x04, content);
}

/** Bits from the most significant one of the first byte on. */
export function bitString(content: Uint8Array, unusedBits = 0): Buffer {
  return value(0x03, Buffer.concat([Buffer.from([unusedBits]), content]));
}

export function utf8String(text: string): Buffer {
  return value(0x0c, Buffer.from(text));
}

/** An object identifier from its dotted text. */
export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [40 * first + second, ...rest].flatMap((number) => {
    const digits = [number & 0x7f];
    for (let left = number >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80);
    return digits;
  });
  return value(0x06, Buffer.from(bytes));
}

/** UTCTime up to 2049, GeneralizedTime from then on (RFC 5280 4.1.2.5). */
export function time(epochMs: number): Buffer {
  const text = `${new Date(epochMs).toISOString().slice(0, 19).replaceAll(/[-:T]/g, "")}Z`;
  return text < "2050" ? value(0x17, Buffer.from(text.slice(2))) : value(0x18, Buffer.from(text));
}

/** [n] around a whole value. */
export function explicit(number: number, part: Uint8Array): Buffer {
  return value(0xa0 | number, part);
}

/** [n] in place of a primitive value's own tag. */
export function implicit(number: number, content: Uint8Array): Buffer {
  return value(0x80 | number, content);
}
