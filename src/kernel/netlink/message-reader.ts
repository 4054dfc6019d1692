const TYPE_MASK = 0x3fff;

/** A received message; `body` is what follows its header of 16 bytes. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Uint8Array;
}

/** The messages of one datagram. Stops where the bytes make no sense: a length beyond the end, or too short. */
export function readMessages(datagram: Uint8Array): readonly NetlinkMessage[] {
  return splitMessages(datagram).map((message) => {
    const view = viewOf(message);
    return {
      type: view.getUint16(4, true),
      flags: view.getUint16(6, true),
      sequence: view.getUint32(8, true),
      body: message.subarray(16),
    };
  });
}

/** The bytes of each message, with its header. Stops as {@link readMessages} does. */
export function splitMessages(bytes: Uint8Array): readonly Uint8Array[] {
  const messages: Uint8Array[] = [];
  const view = viewOf(bytes);
  for (let at = 0; at + 16 <= bytes.length; ) {
    const length = view.getUint32(at, true);
    if (length < 16 || at + length > bytes.length) break;
    messages.push(bytes.subarray(at, at + length));
    at += (length + 3) & ~3;
  }
  return messages;
}

/** The attributes in `bytes` from `offset` on, by type; of several of one type the last. */
export function readAttributes(bytes: Uint8Array, offset = 0): ReadonlyMap<number, Uint8Array> {
  const attributes = new Map<number, Uint8Array>();
  eachAttribute(bytes, offset, (type, value) => attributes.set(type, value));
  return attributes;
}

/** The same in order, for lists whose items have one type. */
export function listAttributes(
  bytes: Uint8Array,
  offset = 0,
): readonly (readonly [type: number, value: Uint8Array])[] {
  const attributes: (readonly [number, Uint8Array])[] = [];
  eachAttribute(bytes, offset, (type, value) => attributes.push([type, value]));
  return attributes;
}

/** Byte by byte, as dumps have hundreds of thousands: a view for each would cost more than what it reads. */
function eachAttribute(
  bytes: Uint8Array,
  offset: number,
  each: (type: number, value: Uint8Array) => void,
): void {
  for (let at = offset; at + 4 <= bytes.length; ) {
    const length = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
    if (length < 4 || at + length > bytes.length) break;
    const type = ((bytes[at + 2] ?? 0) | ((bytes[at + 3] ?? 0) << 8)) & TYPE_MASK;
    each(type, bytes.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
}

/** Text up to its NUL; "" for an attribute that is not there. */
export function readText(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return "";
  const end = bytes.indexOf(0);
  return String.fromCharCode(...bytes.subarray(0, end === -1 ? bytes.length : end));
}

/** undefined when absent or too short. */
export function readU32be(bytes: Uint8Array | undefined): number | undefined {
  return bytes === undefined || bytes.length < 4 ? undefined : viewOf(bytes).getUint32(0);
}

export function readU64be(bytes: Uint8Array | undefined): bigint | undefined {
  return bytes === undefined || bytes.length < 8 ? undefined : viewOf(bytes).getBigUint64(0);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
