import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { HERE, ip, packet, pickNth, port, service, slice } from "./fixtures.test.ts";
import { compareText } from "./frontend.ts";
import type { Backend } from "./frontend.ts";
import { route } from "./route.ts";
import { servicePart } from "./service-part.ts";
import { CLIENT_HASHES, clientHash, hashBuckets, hashedBackend } from "./source-hash.ts";
import { forwardingTable } from "./table.ts";

const backend = (n: number): Backend => ({
  address: ip(`10.${String(n >> 16)}.${String((n >> 8) & 255)}.${String(n & 255)}`),
  port: port(8080),
  isLocal: false,
});
const sorted = (numbers: readonly number[]): readonly Backend[] =>
  numbers.map(backend).sort((a, b) => compareText(a.address, b.address));
const anyNumbers = (max: number): fc.Arbitrary<number[]> =>
  fc.uniqueArray(fc.integer({ min: 1, max: 0xffffff }), { minLength: 1, maxLength: max });

/** The backend of each of all clients' hashes. */
function owners(backends: readonly Backend[]): readonly string[] {
  const buckets = hashBuckets(backends);
  return Array.from(
    { length: CLIENT_HASHES },
    (_, hash) => buckets[hash & (buckets.length - 1)]?.address ?? "",
  );
}

describe("hashBuckets()", () => {
  it("is a power of two, 64 to 127 for each backend up to 65,536, and leaves nobody out", () => {
    for (const [count, size] of [
      [1, 64],
      [2, 128],
      [3, 256],
      [100, 8192],
      [1024, 65_536],
      [5000, 65_536],
    ] as const) {
      const buckets = hashBuckets(sorted(Array.from({ length: count }, (_, i) => i + 1)));
      assert.equal(buckets.length, size);
      assert.equal(new Set(buckets).size, count);
    }
    assert.deepEqual(hashBuckets([]), []);
  });

  it("gives every backend about as much as the others", () => {
    fc.assert(
      fc.property(anyNumbers(120), (numbers) => {
        const buckets = hashBuckets(sorted(numbers));
        const counts = new Map<Backend, number>();
        for (const each of buckets) counts.set(each, (counts.get(each) ?? 0) + 1);
        const fair = buckets.length / numbers.length;
        assert.equal(counts.size, numbers.length);
        for (const count of counts.values()) assert.ok(count > fair / 3 && count < 2 * fair);
      }),
      { numRuns: 60 },
    );
  });

  it("one backend more takes from others, one less gives to others, and nothing else moves", () => {
    fc.assert(
      fc.property(anyNumbers(90), fc.integer({ min: 1, max: 0xffffff }), (numbers, one) => {
        fc.pre(!numbers.includes(one));
        const less = sorted(numbers);
        const more = sorted([...numbers, one]);
        fc.pre(hashBuckets(less).length === hashBuckets(more).length);
        const [before, after] = [owners(less), owners(more)];
        const moved = after.filter((owner, i) => owner !== before[i]);
        assert.deepEqual([...new Set(moved)], [backend(one).address]);
        assert.ok(moved.length < (2 * CLIENT_HASHES) / more.length);
      }),
      { numRuns: 60 },
    );
  });

  it("doubles its buckets at a power of two of backends without moving more than a fifth besides", () => {
    for (const count of [1, 2, 8, 16, 64, 256]) {
      const numbers = Array.from({ length: count }, (_, i) => 7 * i + 1);
      const less = sorted(numbers);
      const more = sorted([...numbers, 0xabcdef]);
      assert.equal(hashBuckets(more).length, 2 * hashBuckets(less).length);
      const [before, after] = [owners(less), owners(more)];
      const newcomer = backend(0xabcdef).address;
      const others = after.filter((owner, i) => owner !== before[i] && owner !== newcomer);
      assert.ok(others.length < CLIENT_HASHES / 5, `${String(count)}: ${String(others.length)}`);
    }
  });

  it("does not depend on which backends are on this node", () => {
    const far = sorted([1, 2, 3]);
    const near = far.map((each) => ({ ...each, isLocal: true }));
    assert.deepEqual(owners(near), owners(far));
  });
});

describe("clientHash()", () => {
  it("is what the kernel's jhash gives", () => {
    // Read off a kernel: nft add rule ... meta mark set jhash ip saddr mod 65536 seed 0x706f7274
    const addresses = ["192.0.2.2", "10.244.0.1", "2001:db8:1::2"];
    assert.deepEqual(
      addresses.map((text) => clientHash(ip(text))),
      [17_418, 52_631, 24_318],
    );
  });
});

describe("portolan.dev/balance on a Service", () => {
  const hashed = (value: string, spec: Parameters<typeof service>[0] = {}) =>
    service(spec, { annotations: { "portolan.dev/balance": value } });
  const lines = ["10.244.0.1 ready @here", "10.244.0.2 ready @here", "10.244.0.3 ready @there"];
  const choose = (of: ReturnType<typeof service>, client: string, nth: number) => {
    const table = forwardingTable({ services: [of], slices: [slice(lines)], node: HERE });
    const result = route(table, packet(client, "10.96.0.1"), pickNth(nth));
    assert.ok(result.kind === "forward");
    return { to: result.backend.address, reason: result.reason };
  };
  const clients = Array.from({ length: 60 }, (_, i) => `198.51.100.${String(i)}`);

  it("source-hash: a client has one endpoint whatever is picked, and clients have different ones", () => {
    const answers = clients.map((client) => {
      const first = choose(hashed("source-hash"), client, 0);
      assert.deepEqual(choose(hashed("source-hash"), client, 1), first);
      assert.equal(first.reason, "SourceHash");
      return first.to;
    });
    assert.equal(new Set(answers).size, 3);
  });

  it("source-hash: under policy Local it hashes over this node's endpoints", () => {
    const local = hashed("source-hash", { internalTrafficPolicy: "Local" });
    const answers = new Set(clients.map((client) => choose(local, client, 0).to));
    assert.deepEqual([...answers].sort(), ["10.244.0.1", "10.244.0.2"]);
  });

  it("random, and none, is at random", () => {
    for (const of of [hashed("random"), service()]) {
      assert.deepEqual(choose(of, "198.51.100.1", 2), { to: "10.244.0.3", reason: "Chosen" });
      assert.equal(servicePart(of, [], HERE).remark, undefined);
    }
  });

  it("any other value is as none, with a remark that quotes it", () => {
    const of = hashed("sourcehash");
    assert.equal(choose(of, "198.51.100.1", 2).reason, "Chosen");
    const { remark } = servicePart(of, [], HERE);
    assert.equal(remark?.reason, "UnknownBalance");
    assert.match(remark.message, /"sourcehash", not one of random, source-hash/);
  });

  it("session affinity goes before it, with a remark", () => {
    const of = hashed("source-hash", { sessionAffinity: "ClientIP" });
    assert.equal(choose(of, "198.51.100.1", 2).reason, "Chosen");
    assert.equal(servicePart(of, [], HERE).remark?.reason, "BalanceIgnored");
  });

  it("hashedBackend() has nobody among none", () => {
    assert.equal(hashedBackend([], ip("192.0.2.1")), undefined);
  });
});
