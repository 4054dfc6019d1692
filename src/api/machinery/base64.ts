/** Standard base64 with padding (RFC 4648), for the pure folders. */

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

export function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const bits = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    const characters = Math.min(bytes.length - i, 3) + 1;
    for (let k = 0; k < 4; k++) {
      text += k < characters ? (ALPHABET[(bits >> (18 - 6 * k)) & 0x3f] ?? "") : "=";
    }
  }
  return text;
}

/** The bytes of a text, or undefined where it is not base64. */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const characters = text.replace(/=+$/, "");
  const bytes = new Uint8Array(Math.floor((characters.length * 3) / 4));
  let bits = 0;
  let length = 0;
  for (let i = 0; i < characters.length; i++) {
    bits = ((bits << 6) | ALPHABET.indexOf(characters.charAt(i))) & 0xffffff;
    // From the second character of each four on, eight more bits are complete.
    if (i % 4 !== 0) bytes[length++] = (bits >> (6 - 2 * (i % 4))) & 0xff;
  }
  return bytes;
}
