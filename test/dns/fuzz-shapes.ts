import type { Pick } from "./fuzz-pick.ts";

/**
 * Messages of the shapes that DNS has beside a plain question: other opcodes, several questions, options and
 * signatures of all kinds, zone transfers, other classes, and names at the edges of what a name may be.
 */
export function shapedPacket(pick: Pick): Uint8Array {
  const shape = SHAPES[pick(SHAPES.length)] ?? otherOpcode;
  return Uint8Array.from(shape(pick));
}

type Bytes = readonly number[];

const ZONE = wire("cluster.local");
const SERVICE = wire("web.default.svc.cluster.local");
const MANY = wire("big.default.svc.cluster.local");
const OUTSIDE = wire("www.example.com");
const NAMES = [ZONE, SERVICE, MANY, OUTSIDE, [0]];

const TYPE = { A: 1, SOA: 6, TXT: 16, SIG: 24, OPT: 41, TSIG: 250, IXFR: 251, AXFR: 252, ANY: 255 };
const CLASS = { IN: 1, CHAOS: 3, NONE: 254, ANY: 255 };
const OPCODE = { status: 2, notify: 4, update: 5, stateful: 6 };

const SHAPES: readonly ((pick: Pick) => Bytes)[] = [
  otherOpcode,
  update,
  notify,
  severalQuestions,
  knownOptions,
  signed,
  transfer,
  otherClass,
  longestName,
  longestLabel,
  pointers,
  reply,
  anyOfMany,
];

/** STATUS, the stateful operations of RFC 8490, and what was never assigned. */
function otherOpcode(pick: Pick): Bytes {
  const opcode = pick(2) === 0 ? OPCODE.stateful : 1 + pick(15);
  return [...header(pick, { opcode, questions: pick(2) }), ...question(nameOf(pick), TYPE.A)];
}

/** RFC 2136: prerequisites and additions, for the cluster's own zone. */
function update(pick: Pick): Bytes {
  const prerequisites = Array.from({ length: pick(4) }, () =>
    record(nameOf(pick), pick(300), pick(2) === 0 ? CLASS.ANY : CLASS.NONE, []),
  );
  const changes = Array.from({ length: pick(4) }, () => addressRecord(nameOf(pick), pick));
  return [
    ...header(pick, {
      opcode: OPCODE.update,
      answers: prerequisites.length,
      authority: changes.length,
    }),
    ...question(ZONE, TYPE.SOA),
    ...prerequisites.flat(),
    ...changes.flat(),
  ];
}

/** RFC 1996, with the SOA that it may carry. */
function notify(pick: Pick): Bytes {
  const soa = record(ZONE, TYPE.SOA, CLASS.IN, [...ZONE, ...ZONE, ...random(pick, 20)]);
  const hasSoa = pick(2);
  return [
    ...header(pick, { opcode: OPCODE.notify, answers: hasSoa }),
    ...question(ZONE, TYPE.SOA),
    ...(hasSoa === 1 ? soa : []),
  ];
}

function severalQuestions(pick: Pick): Bytes {
  const questions = Array.from({ length: pick(30) }, () => question(nameOf(pick), pick(300)));
  const said = pick(4) === 0 ? pick(0x1_0000) : questions.length;
  return [...header(pick, { questions: said }), ...questions.flat()];
}

/** NSID, client subnet, cookie, keepalive, padding, chain, key tag: well-formed, cut off, empty, or twice. */
function knownOptions(pick: Pick): Bytes {
  const options = Array.from({ length: 1 + pick(5) }, () => {
    switch (pick(8)) {
      case 0:
        return option(3, random(pick, pick(3)));
      case 1:
        // Family, prefix lengths, and an address that is as long as they say, or not.
        return option(8, [0, pick(4), pick(140), pick(140), ...random(pick, pick(20))]);
      case 2:
        // Eight bytes of the client, and eight to 32 of the server; others are malformed (RFC 7873).
        return option(10, random(pick, [0, 7, 8, 16, 40, 41][pick(6)] ?? 8));
      case 3:
        return option(11, random(pick, pick(4)));
      case 4:
        return option(
          12,
          Array.from({ length: pick(600) }, () => 0),
        );
      case 5:
        return option(13, nameOf(pick));
      case 6:
        return option(14, random(pick, pick(9)));
      default:
        return option(pick(0x1_0000), random(pick, pick(12)));
    }
  }).flat();
  const bytes = pick(12) === 0 ? options.slice(0, pick(options.length)) : options;
  const size = [0, 512, 1232, 4096, 0xffff][pick(5)] ?? 1232;
  const opt = [0, ...uint16(TYPE.OPT), ...uint16(size), 0, 0, pick(256), 0];
  const additional = pick(12) === 0 ? 2 : 1;
  const whole = [...opt, ...uint16(bytes.length), ...bytes];
  return [
    ...header(pick, { additional }),
    ...question(nameOf(pick), typeOf(pick)),
    ...whole,
    ...(additional === 2 ? whole : []),
  ];
}

/** TSIG (RFC 8945) and SIG(0) (RFC 2931), in their place behind all others, or before OPT, where they may not be. */
function signed(pick: Pick): Bytes {
  const time = random(pick, 6);
  const mac = random(pick, pick(70));
  const tsig = [
    ...wire("hmac-sha256"),
    ...time,
    ...uint16(300),
    ...uint16(pick(8) === 0 ? pick(0x1_0000) : mac.length),
    ...mac,
    ...random(pick, 6),
  ];
  const sig = [0, 0, 8, 0, ...random(pick, 14), ...ZONE, ...random(pick, pick(64))];
  const signature =
    pick(2) === 0
      ? record(wire("key.example"), TYPE.TSIG, CLASS.ANY, tsig)
      : record([0], TYPE.SIG, CLASS.ANY, sig);
  const opt = [0, ...uint16(TYPE.OPT), ...uint16(1232), 0, 0, 0, 0, 0, 0];
  const additional =
    pick(2) === 0 ? [signature] : pick(2) === 0 ? [opt, signature] : [signature, opt];
  return [
    ...header(pick, { additional: additional.length }),
    ...question(nameOf(pick), typeOf(pick)),
    ...additional.flat(),
  ];
}

/** AXFR, and IXFR with a serial number, a wrong one, or none (RFC 5936, RFC 1995). */
function transfer(pick: Pick): Bytes {
  const name = pick(8) === 0 ? nameOf(pick) : ZONE;
  // A whole zone is long: it is not to be all that is sent.
  if (pick(4) !== 0) return [...header(pick, {}), ...question(name, TYPE.IXFR)];
  if (pick(2) === 0) return [...header(pick, {}), ...question(name, TYPE.AXFR)];
  const soa = record(name, TYPE.SOA, CLASS.IN, [0, 0, ...random(pick, 20)]);
  return [...header(pick, { authority: 1 }), ...question(name, TYPE.IXFR), ...soa];
}

/** What BIND says of itself to such a question, and nobody else has to. */
function otherClass(pick: Pick): Bytes {
  const names = ["version.bind", "version.server", "hostname.bind", "id.server", "authors.bind"];
  const name = pick(3) === 0 ? nameOf(pick) : wire(names[pick(names.length)] ?? "version.bind");
  const ofClass = [CLASS.CHAOS, CLASS.ANY, CLASS.NONE, 0, 4][pick(5)] ?? CLASS.CHAOS;
  return [...header(pick, {}), ...question(name, typeOf(pick), ofClass)];
}

/** 254, 255 and 256 bytes; 255 are allowed. */
function longestName(pick: Pick): Bytes {
  const tail = [MANY, OUTSIDE, [0]][pick(3)] ?? [0];
  let left = 254 + pick(3) - tail.length;
  const labels: number[] = [];
  while (left > 1) {
    const size = Math.min(left - 1, 1 + pick(63));
    // What would be left over is no label.
    const taken = left - 1 - size === 1 ? size - 1 : size;
    if (taken === 0) break;
    labels.push(taken, ...Array.from({ length: taken }, () => 0x61 + pick(26)));
    left -= taken + 1;
  }
  return [...header(pick, {}), ...question([...labels, ...tail], typeOf(pick))];
}

/** 62 and 63 bytes are allowed; 64 and 65 are the first bytes of a kind of label that is not. */
function longestLabel(pick: Pick): Bytes {
  const size = 62 + pick(4);
  const label = Array.from({ length: size }, () => pick(256));
  const tail = [SERVICE, OUTSIDE, ZONE][pick(3)] ?? ZONE;
  return [...header(pick, {}), ...question([size, ...label, ...tail], typeOf(pick))];
}

/** In a record behind the question, where pointers are allowed: back, forward, to themselves, in a ring. */
function pointers(pick: Pick): Bytes {
  const asked = question(nameOf(pick), typeOf(pick));
  const at = 12 + asked.length;
  const targets = [12, at, at + 2, at + 20, at - 1, 0x3fff, pick(at)];
  const owner = (): Bytes => pointerTo(targets[pick(targets.length)] ?? 12);
  const labels = pick(3) === 0 ? [1, 0x61] : [];
  const records = Array.from({ length: 1 + pick(20) }, () =>
    record([...labels, ...owner()], [2, 5, 6, 12][pick(4)] ?? 5, CLASS.IN, owner()),
  );
  return [...header(pick, { additional: records.length }), ...asked, ...records.flat()];
}

/** Whoever answers an answer talks to another server for ever. */
function reply(pick: Pick): Bytes {
  const bytes = [...shapedPacket(pick)];
  bytes[2] = (bytes[2] ?? 0) | 0x80;
  bytes[3] = pick(256);
  return bytes;
}

/** What gives the most for the least. */
function anyOfMany(pick: Pick): Bytes {
  const opt = [0, ...uint16(TYPE.OPT), 0xff, 0xff, 0, 0, 0x80, 0, 0, 0];
  const additional = pick(2);
  const type = [TYPE.ANY, TYPE.A, 33, 28][pick(4)] ?? TYPE.ANY;
  return [
    ...header(pick, { additional }),
    ...question(pick(4) === 0 ? ZONE : MANY, type),
    ...(additional === 1 ? opt : []),
  ];
}

function nameOf(pick: Pick): Bytes {
  return NAMES[pick(NAMES.length)] ?? ZONE;
}

function typeOf(pick: Pick): number {
  return [TYPE.A, TYPE.TXT, TYPE.ANY, TYPE.SOA, 28, 33][pick(6)] ?? TYPE.A;
}

function header(
  pick: Pick,
  head: {
    readonly opcode?: number;
    readonly questions?: number;
    readonly answers?: number;
    readonly authority?: number;
    readonly additional?: number;
  },
): Bytes {
  const { opcode = 0, questions = 1, answers = 0, authority = 0, additional = 0 } = head;
  return [
    ...uint16(pick(0x1_0000)),
    (opcode << 3) | pick(2),
    0,
    ...[questions, answers, authority, additional].flatMap(uint16),
  ];
}

function question(name: Bytes, type: number, ofClass = CLASS.IN): Bytes {
  return [...name, ...uint16(type), ...uint16(ofClass)];
}

function record(name: Bytes, type: number, ofClass: number, data: Bytes): Bytes {
  return [...question(name, type, ofClass), 0, 0, 0, 0, ...uint16(data.length), ...data];
}

function addressRecord(name: Bytes, pick: Pick): Bytes {
  return record(name, TYPE.A, CLASS.IN, random(pick, 4));
}

function option(code: number, data: Bytes): Bytes {
  return [...uint16(code), ...uint16(data.length), ...data];
}

function pointerTo(offset: number): Bytes {
  return uint16(0xc000 | (offset & 0x3fff));
}

function uint16(value: number): Bytes {
  return [(value >> 8) & 0xff, value & 0xff];
}

function random(pick: Pick, length: number): Bytes {
  return Array.from({ length }, () => pick(256));
}

function wire(text: string): Bytes {
  return [...text.split(".").flatMap((label) => [label.length, ...Buffer.from(label)]), 0];
}
