/**
 * A domain name: its labels from left to right, without the root. A label has 1..63 characters, each of
 * which stands for one byte (0..255), so that every name on the wire has exactly one form here. Case is kept:
 * answers echo the question's (DNS-016); compare names through {@link foldName}.
 */
export type DomainName = readonly string[];

/** RFC 1035 section 3.1: with its length bytes and the root, a name has at most 255 bytes. */
export const MAX_NAME_BYTES = 255;
const MAX_LABEL_BYTES = 63;

/**
 * Reads zone-file text, with or without the last dot; `\.` and `\DDD` escape (RFC 1035 section 5.1).
 * @returns undefined when the text is no domain name; the empty name for ".".
 */
export function parseDomainName(text: string): DomainName | undefined {
  if (text === "." || text === "") return text === "." ? [] : undefined;
  const labels: string[] = [];
  let label = "";
  for (let i = 0; i < text.length; i++) {
    const character = text.charAt(i);
    if (character === ".") {
      labels.push(label);
      label = "";
    } else if (character === "\\") {
      const code = /^[0-9]{3}/.exec(text.slice(i + 1, i + 4))?.[0];
      if (code === undefined && i + 1 === text.length) return undefined;
      label += code === undefined ? text.charAt(i + 1) : String.fromCharCode(Number(code));
      i += code === undefined ? 1 : 3;
    } else {
      label += character;
    }
  }
  if (label !== "") labels.push(label);
  return isDomainName(labels) ? labels : undefined;
}

/** Writes zone-file text with the last dot: the inverse of {@link parseDomainName}. */
export function formatDomainName(name: DomainName): string {
  return name.length === 0 ? "." : name.map((label) => `${escapeLabel(label)}.`).join("");
}

/** The name with A..Z made small, and only those: bytes beyond ASCII are no letters (RFC 4343). */
export function foldName(name: DomainName): DomainName {
  return name.some(hasCapital) ? name.map(foldLabel) : name;
}

/** Whether `name` is `zone` or below it. Both must be folded. */
export function isWithin(name: DomainName, zone: DomainName): boolean {
  const skip = name.length - zone.length;
  return skip >= 0 && zone.every((label, i) => label === name[skip + i]);
}

export function sameName(a: DomainName, b: DomainName): boolean {
  return a.length === b.length && isWithin(foldName(a), foldName(b));
}

/** How many bytes the name has on the wire when written out in full. */
export function wireLength(name: DomainName): number {
  return name.reduce((sum, label) => sum + label.length + 1, 1);
}

/** Whether a name that was put together is one (RFC 1035 section 3.1). */
export function isShortEnough(name: DomainName): boolean {
  return wireLength(name) <= MAX_NAME_BYTES;
}

export interface ReadName {
  readonly name: DomainName;
  /** Offset of the first byte behind the name. */
  readonly end: number;
}

/**
 * Reads a name from a message. Compression pointers must lead strictly backwards and the whole name is
 * bounded, so that hostile loops end; questions may have none at all ("refuse").
 * @returns undefined when there is no well-formed name at `offset`.
 */
export function readName(
  bytes: Uint8Array,
  offset: number,
  pointers: "follow" | "refuse",
): ReadName | undefined {
  const labels: string[] = [];
  let position = offset;
  let end: number | undefined;
  let lowest = offset;
  let length = 1;
  for (;;) {
    const size = bytes[position];
    if (size === undefined) return undefined;
    if (size === 0) return { name: labels, end: end ?? position + 1 };
    if (size >= 0xc0) {
      const low = bytes[position + 1];
      if (low === undefined || pointers === "refuse") return undefined;
      end ??= position + 2;
      position = ((size & 0x3f) << 8) | low;
      if (position >= lowest) return undefined;
      lowest = position;
    } else {
      length += size + 1;
      const next = position + 1 + size;
      // Label types 0x40 and 0x80 were never put to use (RFC 6891 section 5).
      if (size > MAX_LABEL_BYTES || next > bytes.length || length > MAX_NAME_BYTES)
        return undefined;
      labels.push(latin1(bytes, position + 1, next));
      position = next;
    }
  }
}

/** The bytes as text, one character a byte. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, end));
}

function isDomainName(labels: readonly string[]): boolean {
  return (
    isShortEnough(labels) &&
    labels.every((label) => label.length >= 1 && label.length <= MAX_LABEL_BYTES && isBytes(label))
  );
}

function isBytes(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 255) return false;
  return true;
}

function hasCapital(label: string): boolean {
  return /[A-Z]/.test(label);
}

function foldLabel(label: string): string {
  return label.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function escapeLabel(label: string): string {
  return label.replace(/[^-_a-zA-Z0-9*]/g, (character) =>
    /[!-~]/.test(character)
      ? `\\${character}`
      : `\\${String(character.charCodeAt(0)).padStart(3, "0")}`,
  );
}
