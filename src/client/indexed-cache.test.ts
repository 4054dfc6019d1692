import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { keyOf, objectKey } from "../api/machinery/object-key.ts";
import { IndexedCache } from "./indexed-cache.ts";

interface Pod extends KubernetesObject {
  readonly node: string;
  readonly owners: readonly string[];
}

const pod = fc.record({
  apiVersion: fc.constant("v1"),
  kind: fc.constant("Pod"),
  metadata: fc.record({
    namespace: fc.constantFrom("a", "b"),
    name: fc.constantFrom("x", "y", "z"),
    uid: fc.constantFrom("1", "2"),
    resourceVersion: fc.nat(1_000_000).map(String),
  }),
  node: fc.constantFrom("n1", "n2", ""),
  owners: fc.array(fc.constantFrom("o1", "o2", "o3"), { maxLength: 3 }),
});

const step = fc.oneof(
  fc.record({ kind: fc.constant("put" as const), pod }),
  fc.record({ kind: fc.constant("remove" as const), pod }),
  fc.record({
    kind: fc.constant("replace" as const),
    pods: fc.uniqueArray(pod, { selector: keyOf, maxLength: 5 }),
  }),
);

const byNode = (p: Pod): readonly string[] => (p.node === "" ? [] : [p.node]);
const byOwner = (p: Pod): readonly string[] => p.owners;

describe("IndexedCache", () => {
  it("holds and indexes what a plain map would, after any changes", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.nat(40), (steps, lateIndexAt) => {
        const cache = new IndexedCache<Pod>();
        const model = new Map<string, Pod>();
        cache.addIndex("node", byNode);
        for (const [i, s] of steps.entries()) {
          if (i === lateIndexAt) cache.addIndex("owner", byOwner);
          if (s.kind === "put") {
            cache.put(s.pod);
            model.set(keyOf(s.pod), s.pod);
          } else if (s.kind === "remove") {
            cache.remove(keyOf(s.pod));
            model.delete(keyOf(s.pod));
          } else {
            cache.replace(s.pods);
            model.clear();
            for (const p of s.pods) model.set(keyOf(p), p);
          }
        }
        cache.addIndex("owner", byOwner);
        const expected = [...model.values()];
        assertSame(cache.list(), expected);
        assert.equal(cache.size, expected.length);
        for (const n of ["n1", "n2", ""]) {
          assertSame(
            cache.byIndex("node", n),
            expected.filter((p) => byNode(p).includes(n)),
          );
        }
        for (const o of ["o1", "o2", "o3", "o4"]) {
          assertSame(
            cache.byIndex("owner", o),
            expected.filter((p) => p.owners.includes(o)),
          );
        }
      }),
    );
  });

  it("gives changes that lead from the old contents to the new", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const cache = new IndexedCache<Pod>();
        const follower = new Map<string, Pod>();
        for (const s of steps) {
          const changes =
            s.kind === "put"
              ? [cache.put(s.pod)]
              : s.kind === "remove"
                ? [cache.remove(keyOf(s.pod))]
                : cache.replace(s.pods);
          for (const change of changes) {
            if (change === undefined) continue;
            assert.equal(follower.get(change.key), change.before);
            if (change.after === undefined) follower.delete(change.key);
            else follower.set(change.key, change.after);
          }
          assertSame(cache.list(), [...follower.values()]);
        }
      }),
    );
  });

  it("says nothing of an object that it holds in that version", () => {
    const cache = new IndexedCache<KubernetesObject>();
    const object = (resourceVersion: string, uid: string): KubernetesObject => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "x", uid, resourceVersion },
    });
    assert.notEqual(cache.put(object("1", "u")), undefined);
    assert.equal(cache.put(object("1", "u")), undefined);
    assert.notEqual(cache.put(object("2", "u")), undefined);
    assert.notEqual(cache.put(object("2", "other")), undefined);
    assert.deepEqual(cache.replace([object("2", "other")]), []);
    assert.equal(cache.remove(objectKey({ name: "y" })), undefined);
  });

  it("throws for an index that was never added, naming those that were", () => {
    const cache = new IndexedCache<Pod>();
    cache.addIndex("node", byNode);
    assert.throws(() => cache.byIndex("nope", "x"), /no index "nope"; there is \[node\]/);
  });
});

function assertSame(actual: readonly Pod[], expected: readonly Pod[]): void {
  const sorted = (pods: readonly Pod[]): Pod[] =>
    pods.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  assert.deepEqual(sorted(actual), sorted(expected));
}
