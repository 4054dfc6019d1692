/** An IP address in canonical text: IPv4 dotted decimal, IPv6 per RFC 5952. Made only by {@link parseIpAddress}. */
export type IpAddress = string & { readonly __brand: "IpAddress" };

export const IP_FAMILIES = ["IPv4", "IPv6"] as const;
export type IpFamily = (typeof IP_FAMILIES)[number];

/**
 * Reads an address. Leading zeros in IPv4 octets are read as decimal everywhere (VAL-030), and IPv4-mapped
 * IPv6 (`::ffff:1.2.3.4`) gives the IPv4 address, as upstream's parser does.
 * @returns the canonical address, or undefined when the text is not one.
 */
export function parseIpAddress(text: string): IpAddress | undefined {
  if (text.includes(":")) {
    const groups = parseGroups(text);
    return groups === undefined ? undefined : fromGroups(groups);
  }
  const octets = parseOctets(text);
  if (octets === undefined) return undefined;
  // Nearly all are canonical, and are not copied: EndpointSlices have them by the thousand.
  return brand(hasLeadingZero(text) ? octets.join(".") : text);
}

export function ipFamilyOf(address: IpAddress): IpFamily {
  return address.includes(":") ? "IPv6" : "IPv4";
}

/** The address as a number of 32 or 128 bits. */
export function ipToBigInt(address: IpAddress): bigint {
  let value = 0n;
  for (const byte of ipToBytes(address)) value = (value << 8n) | BigInt(byte);
  return value;
}

/** The inverse of {@link ipToBigInt}. Bits beyond the family's width are cut off. */
export function ipFromBigInt(family: IpFamily, value: bigint): IpAddress {
  const length = family === "IPv4" ? 4 : 16;
  const bytes = new Uint8Array(length);
  let rest = value;
  for (let i = length - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return ipFromBytes(bytes);
}

/** 4 or 16 bytes, in network order. */
export function ipToBytes(address: IpAddress): Uint8Array {
  if (!address.includes(":")) return Uint8Array.from(address.split("."), Number);
  const groups = parseGroups(address);
  if (groups === undefined) throw new Error(`not a canonical address: ${address}`);
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** The inverse of {@link ipToBytes}: 4 bytes give IPv4, 16 bytes IPv6. */
export function ipFromBytes(bytes: Uint8Array): IpAddress {
  if (bytes.length === 4) return brand(Array.from(bytes).join("."));
  if (bytes.length !== 16)
    throw new Error(`an address has 4 or 16 bytes, got ${String(bytes.length)}`);
  const groups = Array.from(
    { length: 8 },
    (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0),
  );
  return brand(formatGroups(groups));
}

export function isLoopback(address: IpAddress): boolean {
  return address === "::1" || address.startsWith("127.");
}

export function isUnspecified(address: IpAddress): boolean {
  return address === "0.0.0.0" || address === "::";
}

/** 169.254.0.0/16 or fe80::/10. */
export function isLinkLocalUnicast(address: IpAddress): boolean {
  const [first = 0, second = 0] = ipToBytes(address);
  return ipFamilyOf(address) === "IPv4"
    ? first === 169 && second === 254
    : first === 0xfe && (second & 0xc0) === 0x80;
}

/** 224.0.0.0/24 or ff02::/16. */
export function isLinkLocalMulticast(address: IpAddress): boolean {
  const [first = 0, second = 0, third = 0] = ipToBytes(address);
  return ipFamilyOf(address) === "IPv4"
    ? first === 224 && second === 0 && third === 0
    : first === 0xff && (second & 0x0f) === 0x02;
}

export function isMulticast(address: IpAddress): boolean {
  const [first = 0] = ipToBytes(address);
  return ipFamilyOf(address) === "IPv4" ? first >= 224 && first <= 239 : first === 0xff;
}

// The only cast to IpAddress.
function brand(text: string): IpAddress {
  return text as IpAddress;
}

const DOT = 0x2e;
const DIGIT_ZERO = 0x30;

function parseOctets(text: string): readonly number[] | undefined {
  // By hand: addresses are read many times in each write of a Service.
  const octets: number[] = [];
  let octet = 0;
  let digits = 0;
  for (let i = 0; i <= text.length; i++) {
    const c = i === text.length ? DOT : text.charCodeAt(i);
    if (c === DOT) {
      if (digits === 0 || octets.length === 4) return undefined;
      octets.push(octet);
      octet = 0;
      digits = 0;
      continue;
    }
    octet = 10 * octet + (c - DIGIT_ZERO);
    digits++;
    if (c < DIGIT_ZERO || c > DIGIT_ZERO + 9 || digits > 3 || octet > 255) return undefined;
  }
  return octets.length === 4 ? octets : undefined;
}

/** Of an IPv4 address: any other text than the canonical one has an octet that begins with a zero it needs not. */
function hasLeadingZero(text: string): boolean {
  for (let i = 0; i < text.length - 1; i++) {
    const isStart = i === 0 || text.charCodeAt(i - 1) === DOT;
    if (isStart && text.charCodeAt(i) === DIGIT_ZERO && text.charCodeAt(i + 1) !== DOT) return true;
  }
  return false;
}

function parseGroups(text: string): readonly number[] | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const last = tail.at(-1) ?? (halves.length === 1 ? head.at(-1) : undefined);
  let embedded: readonly number[] = [];
  if (last?.includes(".")) {
    const octets = parseOctets(last);
    if (octets === undefined) return undefined;
    const [a = 0, b = 0, c = 0, d = 0] = octets;
    embedded = [(a << 8) | b, (c << 8) | d];
    (halves.length === 1 ? head : tail).pop();
  }
  const known = [...head, ...tail];
  if (!known.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  const zeros = 8 - known.length - embedded.length;
  if (halves.length === 1 ? zeros !== 0 : zeros < 1) return undefined;
  const numbers = (groups: readonly string[]): number[] =>
    groups.map((group) => Number.parseInt(group, 16));
  return [
    ...numbers(head),
    ...Array.from({ length: zeros }, () => 0),
    ...numbers(tail),
    ...embedded,
  ];
}

function fromGroups(groups: readonly number[]): IpAddress {
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (!isMapped) return brand(formatGroups(groups));
  const [high = 0, low = 0] = groups.slice(6);
  return brand([high >> 8, high & 0xff, low >> 8, low & 0xff].join("."));
}

/** RFC 5952: lower case, the longest run of two or more zero groups shortened, the first one on a tie. */
function formatGroups(groups: readonly number[]): string {
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = (part: readonly number[]): string =>
    part.map((group) => group.toString(16)).join(":");
  if (best.start === -1) return hex(groups);
  return `${hex(groups.slice(0, best.start))}::${hex(groups.slice(best.start + best.length))}`;
}
