import { encodeMessage } from "../../src/core/dns/encode.ts";
import { decodeMessage } from "../../src/core/dns/decode.ts";
import { parseDomainName } from "../../src/core/dns/domain-name.ts";
import type { Message } from "../../src/core/dns/message.ts";
import type { Pick } from "./fuzz-pick.ts";
import { shapedPacket } from "./fuzz-shapes.ts";

const NAMES = [
  "web.default.svc.cluster.local",
  "big.default.svc.cluster.local",
  "_http._tcp.big.default.svc.cluster.local",
  "pod-7.big.default.svc.cluster.local",
  "small.default.svc.cluster.local",
  "pod-7.small.default.svc.cluster.local",
  "outside.default.svc.cluster.local",
  "loop.default.svc.cluster.local",
  "www.example.com.default.svc.cluster.local",
  "10.0.96.10.in-addr.arpa",
  "cluster.local",
  "dns-version.cluster.local",
  "1-2-3-4.default.pod.cluster.local",
  "nope.nowhere.svc.cluster.local",
  "www.example.com",
  "localhost",
  ".",
];
const TYPES = [
  1, 2, 5, 6, 12, 13, 15, 16, 28, 33, 41, 43, 65, 249, 250, 251, 252, 253, 254, 255, 65_535,
];

const PARSED_NAMES = NAMES.map((text) => parseDomainName(text) ?? []);
const BLANK = decodeMessage(new Uint8Array(12));

/** A question that is well-formed, but for what its parts are; one of fifty for a name that is new. */
function question(pick: Pick): Uint8Array {
  const known = PARSED_NAMES[pick(PARSED_NAMES.length)] ?? [];
  const name = pick(50) === 0 ? [`n${String(pick(1_000_000))}`, ...known] : known;
  const randomCase = pick(3) === 0;
  const message: Message = {
    ...(BLANK as Message), // twelve zero bytes are a message
    id: pick(0x1_0000),
    opcode: pick(20) === 0 ? pick(16) : 0,
    recursionDesired: pick(2) === 0,
    question: {
      name: randomCase ? name.map((label) => (pick(2) === 0 ? label.toUpperCase() : label)) : name,
      type: TYPES[pick(TYPES.length)] ?? 1,
      class: pick(20) === 0 ? pick(0x1_0000) : 1,
    },
    edns:
      pick(2) === 0
        ? undefined
        : {
            udpBytes: [0, 100, 512, 1232, 4096, 65_535][pick(6)] ?? 1232,
            dnssecOk: pick(2) === 0,
            version: pick(10) === 0 ? pick(256) : 0,
          },
  };
  return encodeMessage(message, 65_535);
}

/** A packet as a client with a defect or a bad mind sends it. */
export function hostilePacket(pick: Pick): Uint8Array {
  const kind = pick(18);
  if (kind > 11) return shapedPacket(pick);
  if (kind === 0) return Uint8Array.from({ length: pick(80) }, () => pick(256));
  const base = question(pick);
  if (kind === 1) return base;
  switch (kind) {
    case 2:
      return base.subarray(0, pick(base.length + 1));
    case 3:
      return joined(
        base,
        Uint8Array.from({ length: pick(600) }, () => pick(256)),
      );
    case 4:
      return withCounts(base, pick);
    case 5:
      // A compression pointer in the question: to itself, forward, back, beyond the end.
      return spliced(base, 12 + pick(base.length - 12), [0xc0 | pick(64), pick(256)]);
    case 6:
      // Label types that were never in use, and labels longer than the message.
      return spliced(base, 12, [pick(2) === 0 ? 0x40 | pick(64) : 0x80 | pick(64)]);
    case 7:
      return longName(pick);
    case 8:
      return withOptions(base, pick);
    case 9:
      return withRecords(base, pick);
    default: {
      const bytes = Uint8Array.from(base);
      for (let i = pick(8); i >= 0; i--) bytes[pick(bytes.length)] = pick(256);
      return bytes;
    }
  }
}

function withCounts(base: Uint8Array, pick: Pick): Uint8Array {
  const bytes = Uint8Array.from(base);
  bytes[4 + pick(8)] = pick(4) === 0 ? 0xff : pick(4);
  return bytes;
}

/** Names of 250 to 300 bytes, of labels of one byte or of 63. */
function longName(pick: Pick): Uint8Array {
  const size = pick(2) === 0 ? 1 : 63;
  const count = Math.ceil((250 + pick(50)) / (size + 1));
  const labels = Array.from({ length: count }, () => [
    size,
    ...Array.from({ length: size }, () => 97),
  ]);
  const header = [pick(256), pick(256), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
  return Uint8Array.from([...header, ...labels.flat(), 0, 0, 1, 0, 1]);
}

/** An OPT record whose options are cut off, many, long or unknown; sometimes two of them. */
function withOptions(base: Uint8Array, pick: Pick): Uint8Array {
  const options = Array.from({ length: pick(12) }, () => {
    const length = pick(20);
    const said = pick(10) === 0 ? pick(0x1_0000) : length;
    const data = Array.from({ length }, () => pick(256));
    return [pick(2), pick(30), said >> 8, said & 255, ...data];
  }).flat();
  const length = pick(10) === 0 ? pick(0x1_0000) : options.length;
  const owner = pick(10) === 0 ? [1, 97, 0] : [0];
  const opt = [
    ...owner,
    0,
    41,
    pick(256),
    pick(256),
    0,
    0,
    pick(256),
    0,
    length >> 8,
    length & 255,
  ];
  const bytes = joined(base, Uint8Array.from([...opt, ...options]));
  bytes[11] = (bytes[11] ?? 0) + 1;
  return bytes;
}

/** Records in a query, with names that are pointers into anything and data of any length. */
function withRecords(base: Uint8Array, pick: Pick): Uint8Array {
  let bytes = base;
  const count = pick(30);
  for (let i = 0; i < count; i++) {
    const length = pick(20) === 0 ? pick(0x1_0000) : pick(30);
    const data = Array.from({ length: Math.min(length, 40) }, () => pick(256));
    const head = [0xc0 | pick(2), pick(256), 0, TYPES[pick(9)] ?? 1, 0, 1, 0, 0, 0, pick(256)];
    bytes = joined(bytes, Uint8Array.from([...head, length >> 8, length & 255, ...data]));
  }
  bytes[7 + 2 * pick(3)] = count;
  return bytes;
}

function spliced(base: Uint8Array, at: number, bytes: readonly number[]): Uint8Array {
  const copy = Uint8Array.from(base);
  copy.set(bytes.slice(0, copy.length - at), at);
  return copy;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}
