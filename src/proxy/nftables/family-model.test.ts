import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { backendSet, frontend, ip, port } from "../../core/proxy/fixtures.test.ts";
import { compareText, frontendKey, sameBackend } from "../../core/proxy/frontend.ts";
import type { Backend, BackendSet, Frontend } from "../../core/proxy/frontend.ts";
import { hashBuckets } from "../../core/proxy/source-hash.ts";
import { parseCidr } from "../../net/cidr.ts";
import type { ElementSink } from "./elements.ts";
import { FamilyModel, hex } from "./family-model.ts";
import type { SetName } from "./program.ts";

/** A kernel's sets: refuses what the kernel would. */
class Sets implements ElementSink {
  readonly elements = new Map<string, string>();
  operations = 0;
  #additions: (() => void)[] = [];
  readonly #deleted = new Set<string>();

  add(set: SetName, key: Uint8Array, data?: Uint8Array, keyEnd?: Uint8Array): void {
    const name = nameOf(set, key, keyEnd);
    const value = data === undefined ? "" : hex(data);
    this.operations++;
    this.#additions.push(() => {
      assert.ok(!this.elements.has(name), `added twice: ${name}`);
      this.elements.set(name, value);
    });
  }

  delete(set: SetName, key: Uint8Array, data?: Uint8Array, keyEnd?: Uint8Array): void {
    const name = nameOf(set, key, keyEnd);
    this.operations++;
    assert.ok(!this.#deleted.has(name), `deleted twice: ${name}`);
    this.#deleted.add(name);
    assert.equal(this.elements.get(name), data === undefined ? "" : hex(data), name);
    this.elements.delete(name);
  }

  needAffinityClass(): void {
    // Chains are no elements.
  }

  /** Ends a transaction: additions come after all deletions. */
  commit(): number {
    for (const addition of this.#additions) addition();
    this.#additions = [];
    this.#deleted.clear();
    const { operations } = this;
    this.operations = 0;
    return operations;
  }
}

function nameOf(set: SetName, key: Uint8Array, keyEnd?: Uint8Array): string {
  return `${set} ${hex(key)}${keyEnd === undefined ? "" : `-${hex(keyEnd)}`}`;
}

function elementsOf(sets: Sets, set: SetName): readonly string[] {
  return [...sets.elements.keys()].filter((name) => name.startsWith(`${set} `)).sort();
}

function backends(count: number, offset = 0): readonly Backend[] {
  return Array.from({ length: count }, (_, i) => ({
    address: ip(
      `10.${String(1 + ((i + offset) >> 16))}.${String(((i + offset) >> 8) & 255)}.${String((i + offset) & 255)}`,
    ),
    port: port(8080),
    isLocal: false,
  })).sort((a, b) => compareText(a.address, b.address));
}

const anyBackends = fc
  .uniqueArray(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.boolean()), {
    maxLength: 9,
    selector: ([n]) => n,
  })
  .map((endpoints) =>
    endpoints
      .sort(([a], [b]) => a - b)
      .map(([n, isLocal]) => ({ address: ip(`10.1.0.${String(n)}`), port: port(80), isLocal })),
  );
const policy = fc.constantFrom("Cluster" as const, "Local" as const);
const anyTarget: fc.Arbitrary<BackendSet> = fc
  .record({
    portName: fc.constantFrom("a", "b"),
    affinitySeconds: fc.constantFrom(undefined, undefined, 10, 20),
    balance: fc.constantFrom("random" as const, "random" as const, "source-hash" as const),
    cluster: anyBackends,
  })
  .map((each) =>
    backendSet(each.cluster, { ...each, local: each.cluster.filter((one) => one.isLocal) }),
  );
const anyFrontend = (target: BackendSet): fc.Arbitrary<Frontend> =>
  fc
    .record({
      // Each target has addresses of its own, as two Services never hold one.
      address: fc.constantFrom("1", "2", "3"),
      kind: fc.constantFrom("clusterIP" as const, "externalIP" as const),
      internalPolicy: policy,
      externalPolicy: policy,
      sourceRanges: fc.constantFrom(
        undefined,
        undefined,
        ["10.0.0.0/8"],
        ["10.0.0.0/8", "10.1.0.0/16"],
      ),
    })
    .map((each) =>
      frontend({
        ...each,
        address: ip(`10.96.${target.portName === "a" ? "1" : "2"}.${each.address}`),
        sourceRanges: each.sourceRanges?.flatMap((text) => parseCidr(text) ?? []),
        target,
      }),
    );
/** A whole table: frontends by key. */
const anyState = fc
  .uniqueArray(anyTarget, { selector: (target) => target.portName, maxLength: 2 })
  .chain((targets) =>
    fc.tuple(...targets.map((target) => fc.array(anyFrontend(target), { maxLength: 3 }))),
  )
  .map((lists) => new Map(lists.flat().map((each) => [frontendKey(each), each])));

describe("the model of a family's table", () => {
  it("never adds what is there nor deletes what is not, and ends with nothing when all frontends go", () => {
    fc.assert(
      fc.property(fc.array(anyState, { maxLength: 5 }), (states) => {
        const model = new FamilyModel();
        const sets = new Sets();
        let before: ReadonlyMap<string, Frontend> = new Map();
        for (const after of [...states, new Map<never, Frontend>()]) {
          for (const [key, each] of before) {
            if (!after.has(key as never)) model.remove(each, sets);
          }
          for (const each of after.values()) model.put(each, sets);
          model.finish(sets);
          sets.commit();
          before = after;
        }
        assert.deepEqual([...sets.elements], []);
      }),
      { numRuns: 300 },
    );
  });

  it("changed step by step it holds as many elements of each set as made at once", () => {
    const counts = (sets: Sets): ReadonlyMap<string, number> => {
      const numbers = new Map<string, number>();
      for (const name of [...sets.elements.keys()].sort()) {
        const set = name.split(" ")[0] ?? "";
        numbers.set(set, (numbers.get(set) ?? 0) + 1);
      }
      return numbers;
    };
    fc.assert(
      fc.property(anyState, anyState, (one, two) => {
        const model = new FamilyModel();
        const sets = new Sets();
        for (const each of one.values()) model.put(each, sets);
        model.finish(sets);
        sets.commit();
        for (const [key, each] of one) if (!two.has(key)) model.remove(each, sets);
        for (const each of two.values()) model.put(each, sets);
        model.finish(sets);
        sets.commit();
        const fresh = new Sets();
        const other = new FamilyModel();
        for (const each of two.values()) other.put(each, fresh);
        other.finish(fresh);
        fresh.commit();
        assert.deepEqual(counts(sets), counts(fresh));
        // These have no numbers in them: they must be the very same.
        assert.deepEqual(elementsOf(sets, "hairpin"), elementsOf(fresh, "hairpin"));
      }),
      { numRuns: 300 },
    );
  });

  it("takes one operation for one endpoint more and three for one less, with 10 and with 5,000", () => {
    for (const size of [10, 5000]) {
      const model = new FamilyModel();
      const sets = new Sets();
      const step = (list: readonly Backend[]): number => {
        model.put(frontend({ target: backendSet(list), address: ip("10.96.0.1") }), sets);
        model.finish(sets);
        return sets.commit();
      };
      const all = backends(size + 1);
      step(backends(size));
      const log2Before = Math.ceil(Math.log2(size));
      assert.equal(log2Before, Math.ceil(Math.log2(size + 1)));
      // Both policies' lists hold it.
      assert.equal(step(all), 2);
      assert.equal(step(all.filter((_, i) => i !== 3)), 6);
    }
  });

  it("source-hash: one endpoint more or less costs two operations for each of its buckets, no more", () => {
    for (const size of [10, 100, 3000]) {
      const model = new FamilyModel();
      const sets = new Sets();
      const step = (list: readonly Backend[]): number => {
        const target = backendSet(list, { balance: "source-hash", local: [] });
        model.put(frontend({ target, address: ip("10.96.0.1") }), sets);
        model.finish(sets);
        return sets.commit();
      };
      const all = backends(size + 1);
      step(backends(size));
      assert.equal(sets.elements.size - 2, hashBuckets(all).length);
      const bucketsOf = (one: Backend | undefined): number =>
        hashBuckets(all).filter((each) => each === one).length;
      const added = all.filter((one) => !backends(size).some((other) => sameBackend(one, other)));
      assert.equal(step(all), 2 * bucketsOf(added[0]));
      assert.equal(step(all.filter((_, i) => i !== 3)), 2 * bucketsOf(all[3]));
      assert.ok(bucketsOf(all[3]) <= 256);
    }
  });

  it("PROXY-010, PROXY-023: an endpoint that comes to this node or leaves it keeps its slots, and is hidden from itself only here", () => {
    for (const balance of ["random", "source-hash"] as const) {
      const model = new FamilyModel();
      const sets = new Sets();
      const put = (isLocal: boolean): number => {
        const list = backends(3).map((each, i) => (i === 1 ? { ...each, isLocal } : each));
        const target = backendSet(list, { balance, local: [] });
        model.put(frontend({ target, address: ip("10.96.0.1") }), sets);
        model.finish(sets);
        return sets.commit();
      };
      put(false);
      assert.deepEqual(elementsOf(sets, "hairpin"), []);
      assert.equal(put(true), 1);
      assert.deepEqual(elementsOf(sets, "hairpin"), ["hairpin 0a0100010a010001"]);
      assert.equal(put(false), 1);
      assert.deepEqual(elementsOf(sets, "hairpin"), []);
      put(true);
      model.remove(frontend({ target: backendSet([]), address: ip("10.96.0.1") }), sets);
      model.finish(sets);
      sets.commit();
      assert.deepEqual([...sets.elements], []);
    }
  });

  it("goes on saying which endpoints are left out when another one changes", () => {
    const model = new FamilyModel();
    const sets = new Sets();
    const [one, two] = backends(2);
    const bad = { address: ip("127.0.0.1"), port: port(80), isLocal: false };
    const put = (list: readonly (Backend | undefined)[]): readonly string[] => {
      const target = backendSet(list.flatMap((each) => each ?? []));
      const it = frontend({ target, address: ip("10.96.0.1") });
      model.put(it, sets);
      model.finish(sets);
      sets.commit();
      const problem = model.problemOf(frontendKey(it));
      return problem?.kind === "InvalidEndpoint"
        ? problem.backends.map((each) => each.address)
        : [];
    };
    assert.deepEqual(put([one, bad]), ["127.0.0.1"]);
    assert.deepEqual(put([one, two, bad]), ["127.0.0.1"]);
    assert.deepEqual(put([one, two]), []);
  });

  it("leaves out endpoints beyond the numbers that clients' memory has for them", () => {
    const [sets, model] = [new Sets(), new FamilyModel()];
    const cluster = backends(65_536);
    const local = backends(2, 65_536).map((each) => ({ ...each, isLocal: true }));
    const target = backendSet(cluster, { local, affinitySeconds: 10 });
    const one = frontend({ target });
    model.put(one, sets);
    model.finish(sets);
    sets.commit();
    assert.equal(elementsOf(sets, "picked_cluster").length, 65_536);
    assert.deepEqual(elementsOf(sets, "picked_local"), []);
    const problem = model.problemOf(frontendKey(one));
    assert.deepEqual(problem?.kind === "InvalidEndpoint" && problem.backends, local);
  });

  it("leaves out endpoints that no packet may be sent to, and says so", () => {
    const model = new FamilyModel();
    const sets = new Sets();
    const bad = { address: ip("127.0.0.1"), port: port(80), isLocal: false };
    const good = { address: ip("10.1.0.1"), port: port(80), isLocal: false };
    const put = (list: readonly Backend[]): string | undefined => {
      const it = frontend({ target: backendSet(list), address: ip("10.96.0.1") });
      model.put(it, sets);
      model.finish(sets);
      sets.commit();
      return model.problemOf(frontendKey(it))?.kind;
    };
    assert.equal(put([good, bad]), "InvalidEndpoint");
    const held = [...sets.elements.keys()].filter((name) => name.startsWith("endpoints"));
    assert.equal(held.length, 2);
    assert.equal(put([good]), undefined);
  });
});
