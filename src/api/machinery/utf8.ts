/** UTF-8 for the pure folders, where neither TextEncoder nor Buffer exists. */

const REPLACEMENT = 0xfffd;

/** Long enough to be fast, short enough to be an argument list. */
const CHUNK = 4096;

/** What is not a Unicode scalar value (half of a surrogate pair) becomes U+FFFD. */
export function encodeUtf8(text: string): Uint8Array {
  // No code unit takes more than three bytes.
  const bytes = new Uint8Array(text.length * 3);
  let length = 0;
  for (const character of text) {
    const point = scalarValue(character.codePointAt(0) ?? REPLACEMENT);
    if (point < 0x80) {
      bytes[length++] = point;
      continue;
    }
    const trailing = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    bytes[length++] = (LEAD[trailing] ?? 0) | (point >> (6 * trailing));
    for (let i = trailing - 1; i >= 0; i--) bytes[length++] = 0x80 | ((point >> (6 * i)) & 0x3f);
  }
  return bytes.slice(0, length);
}

/** What the first byte of a sequence with so many trailing bytes starts with. */
const LEAD = [0, 0xc0, 0xe0, 0xf0];

function scalarValue(point: number): number {
  return point >= 0xd800 && point <= 0xdfff ? REPLACEMENT : point;
}

/** What is not UTF-8 becomes U+FFFD, as where Go writes such a string as JSON. */
export function decodeUtf8(bytes: Uint8Array): string {
  let text = "";
  let points: number[] = [];
  for (let i = 0; i < bytes.length; ) {
    const lead = bytes[i] ?? 0;
    const trailing = lead < 0x80 ? 0 : trailingBytes(lead);
    let point = trailing === 0 ? lead : lead & (0x3f >> trailing);
    let isGood = lead < 0x80 || trailing > 0;
    for (let k = 1; isGood && k <= trailing; k++) {
      const byte = bytes[i + k] ?? 0;
      isGood = (byte & 0xc0) === 0x80;
      point = (point << 6) | (byte & 0x3f);
    }
    isGood &&= point >= (LEAST[trailing] ?? 0) && point <= 0x10ffff && scalarValue(point) === point;
    points.push(isGood ? point : REPLACEMENT);
    i += isGood ? trailing + 1 : 1;
    if (points.length === CHUNK) {
      text += String.fromCodePoint(...points);
      points = [];
    }
  }
  return text + String.fromCodePoint(...points);
}

/** The least code point that a sequence with so many trailing bytes may stand for. */
const LEAST = [0, 0x80, 0x800, 0x10000];

/** 0 where no sequence starts with this byte. */
function trailingBytes(lead: number): number {
  if (lead >= 0xc2 && lead < 0xe0) return 1;
  if (lead >= 0xe0 && lead < 0xf0) return 2;
  return lead >= 0xf0 && lead < 0xf5 ? 3 : 0;
}
