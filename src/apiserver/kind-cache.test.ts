import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { objectKey } from "../api/machinery/object-key.ts";
import { namespaceKind } from "../api/v1/namespace.kind.ts";
import { KindCache } from "./kind-cache.ts";
import type { Served } from "./stored.ts";

function item(name: string, revision: number): Served {
  const metadata = { name, resourceVersion: String(revision) };
  const object: KubernetesObject = { apiVersion: "v1", kind: "Namespace", metadata };
  const json = JSON.stringify(object);
  return { key: objectKey({ name }), object, revision, json, size: json.length };
}

/** Puts or deletes one object as the commit of the given revision. */
function change(cache: KindCache, kind: "put" | "delete", name: string, revision: number): void {
  const before = cache.get(objectKey({ name }));
  const after = kind === "put" ? item(name, revision) : undefined;
  if (before === undefined && after === undefined) return;
  cache.apply({ revision, before, after, frames: new Map() });
}

const versions = (items: Iterable<Served>) =>
  [...items].map(({ key, revision }) => `${key}@${String(revision)}`);

describe("KindCache", () => {
  it("lists in order of keys, and only what is under the prefix", () => {
    const cache = new KindCache(namespaceKind, 1);
    for (const [i, name] of ["b/1", "a/2", "b/0", "a/1", "ab/1"].entries()) {
      change(cache, "put", name, i + 2);
    }
    assert.deepEqual(versions(cache.range("")), ["a/1@5", "a/2@3", "ab/1@6", "b/0@4", "b/1@2"]);
    assert.deepEqual(versions(cache.range("a/")), ["a/1@5", "a/2@3"]);
  });

  it("gives every change after a revision once, in order", () => {
    const cache = new KindCache(namespaceKind, 1);
    for (let revision = 2; revision <= 6; revision++) change(cache, "put", "x", revision);
    const cursor = cache.cursorAfter(3) ?? -1;
    const read = cache.readFrom(cursor, 2);
    assert.ok(read.kind === "events");
    assert.deepEqual(
      read.events.map(({ revision }) => revision),
      [4, 5],
    );
    const rest = cache.readFrom(read.next, 10);
    assert.ok(rest.kind === "events");
    assert.deepEqual(
      rest.events.map(({ revision }) => revision),
      [6],
    );
  });

  it("drops the oldest changes beyond its bound, and says so to who still needs them", () => {
    const cache = new KindCache(namespaceKind, 1, { maxEvents: 8, maxBytes: 1e6 });
    const cursor = cache.cursorAfter(1) ?? -1;
    for (let revision = 2; revision <= 20; revision++) change(cache, "put", "x", revision);
    assert.equal(cache.readFrom(cursor, 10).kind, "lost");
    assert.equal(cache.cursorAfter(2), undefined);
    assert.ok(cache.oldestRevision >= 12);
    const read = cache.readFrom(cache.cursorAfter(cache.oldestRevision) ?? -1, 100);
    assert.ok(read.kind === "events");
    assert.equal(read.events.at(-1)?.revision, 20);
    assert.equal(read.events[0]?.revision, cache.oldestRevision + 1);
  });

  it("bounds the bytes that it keeps for the sake of changes", () => {
    const cache = new KindCache(namespaceKind, 1, { maxEvents: 1000, maxBytes: 4000 });
    for (let revision = 2; revision <= 100; revision++) change(cache, "put", "x", revision);
    const read = cache.readFrom(cache.cursorAfter(cache.oldestRevision) ?? -1, 1000);
    assert.ok(read.kind === "events");
    assert.ok(read.events.length < 15, `keeps ${String(read.events.length)}`);
  });

  it("after a reset every reader has lost, even one at the very end", () => {
    const cache = new KindCache(namespaceKind, 1);
    change(cache, "put", "x", 2);
    const cursor = cache.cursorAfter(2) ?? -1;
    cache.reset([item("y", 9)], 9);
    assert.equal(cache.readFrom(cursor, 10).kind, "lost");
    assert.deepEqual(versions(cache.range("")), ["y@9"]);
    assert.equal(cache.cursorAfter(8), undefined);
    assert.notEqual(cache.cursorAfter(9), undefined);
  });

  it("shows every earlier state that it still knows the changes since", () => {
    const step = fc.record({
      kind: fc.constantFrom("put" as const, "delete" as const),
      name: fc.constantFrom("a/1", "a/2", "b/1", "c"),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const cache = new KindCache(namespaceKind, 1, { maxEvents: 16, maxBytes: 1e6 });
        const states = [versions(cache.range("")).join()];
        for (const [i, { kind, name }] of steps.entries()) {
          change(cache, kind, name, i + 2);
          states.push(versions(cache.range("")).join());
        }
        for (const [i, state] of states.entries()) {
          const revision = i + 1;
          const seen = cache.stateAt(revision, "");
          assert.equal(seen === undefined, revision < cache.oldestRevision);
          if (seen !== undefined) assert.equal(versions(seen).join(), state);
        }
      }),
    );
  });
});
