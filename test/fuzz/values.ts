import type { Random } from "./random.ts";

type Json = unknown;

const STRANGE_TEXTS = [
  "",
  " ",
  "\0",
  "a\0b",
  "..",
  "../../x",
  "A".repeat(300),
  "ä€𝄞",
  "\ud800",
  "__proto__",
  "constructor",
  "toString",
  "null",
  "-1",
  "1e400",
  "127.0.0.1",
  "::1",
  "::ffff:1.2.3.4",
  "10.96.0.1",
  "999.1.1.1",
  "fd00::/129",
  "None",
  "TCP",
  "ClusterIP",
  "NodePort",
  "LoadBalancer",
  "ExternalName",
  "%s%n",
  "<script>",
  "\r\nX-A: b",
  "2024-01-01T00:00:00Z",
  "9999-99-99T99:99:99Z",
  "100m",
  "1Ei",
] as const;

const STRANGE_NUMBERS = [
  0,
  -1,
  1,
  0.5,
  80,
  65535,
  65536,
  30000,
  32767,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31) - 1,
  2 ** 53,
  1e308,
  -1e-308,
] as const;

const KEYS = [
  "metadata",
  "spec",
  "status",
  "ports",
  "name",
  "namespace",
  "labels",
  "annotations",
  "finalizers",
  "ownerReferences",
  "managedFields",
  "kind",
  "apiVersion",
  "type",
  "clusterIP",
  "clusterIPs",
  "ipFamilies",
  "containers",
  "conditions",
  "resourceVersion",
  "uid",
  "deletionTimestamp",
  "creationTimestamp",
  "__proto__",
  "constructor",
  "$patch",
  "$setElementOrder/ports",
  "$deleteFromPrimitiveList/finalizers",
  "$retainKeys",
  "",
] as const;

/** Any JSON value, small, of the kinds that break parsers. */
export function anyValue(random: Random, depth = 3): Json {
  switch (random.below(depth > 0 ? 8 : 5)) {
    case 0:
      return random.pick([null, true, false]);
    case 1:
    case 2:
      return random.pick(STRANGE_NUMBERS);
    case 3:
    case 4:
      return random.pick(STRANGE_TEXTS);
    case 5:
      return Array.from({ length: random.below(4) }, () => anyValue(random, depth - 1));
    default:
      return objectOf(
        Array.from({ length: random.below(4) }, () => [
          anyKey(random),
          anyValue(random, depth - 1),
        ]),
      );
  }
}

export function anyText(random: Random): string {
  return random.pick(STRANGE_TEXTS);
}

function anyKey(random: Random): string {
  return random.chance(0.7) ? random.pick(KEYS) : random.pick(STRANGE_TEXTS);
}

/** `__proto__` as a key like any other. */
function objectOf(entries: readonly (readonly [string, Json])[]): Json {
  return Object.fromEntries(entries);
}

/** The value with a few random places replaced, removed, doubled or added. */
export function mutated(random: Random, value: Json): Json {
  let result = value;
  for (let i = 1 + random.below(3); i > 0; i--) result = mutatedOnce(random, result);
  return result;
}

function mutatedOnce(random: Random, value: Json): Json {
  if (Array.isArray(value) && value.length > 0 && random.chance(0.85)) {
    const list: readonly Json[] = value;
    const at = random.below(list.length);
    switch (random.below(4)) {
      case 0:
        return [...list, list[at]];
      case 1:
        return list.toSpliced(at, 1);
      default:
        return list.with(at, mutatedOnce(random, list[at]));
    }
  }
  if (typeof value === "object" && value !== null && random.chance(0.85)) {
    const entries: (readonly [string, Json])[] = Object.entries(value);
    const at = random.below(entries.length);
    const entry = entries[at];
    if (entry === undefined || random.chance(0.15)) {
      return objectOf([...entries, [anyKey(random), anyValue(random)]]);
    }
    if (random.chance(0.1)) return objectOf(entries.toSpliced(at, 1));
    return objectOf(entries.with(at, [entry[0], mutatedOnce(random, entry[1])]));
  }
  return anyValue(random);
}

/** The bytes with some flipped, cut, doubled or put in. */
export function mutatedBytes(random: Random, bytes: Buffer): Buffer {
  const at = random.below(bytes.length + 1);
  switch (random.below(5)) {
    case 0:
      return bytes.subarray(0, at);
    case 1:
      return Buffer.concat([bytes.subarray(0, at), random.bytes(8), bytes.subarray(at)]);
    case 2:
      return Buffer.concat([bytes, bytes.subarray(at)]);
    default: {
      const copy = Buffer.from(bytes);
      for (let i = random.below(6); i >= 0 && copy.length > 0; i--) {
        copy[random.below(copy.length)] = random.below(256);
      }
      return copy;
    }
  }
}
