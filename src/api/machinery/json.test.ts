import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  cloneJson,
  deepEqual,
  getOwn,
  isJsonObject,
  exceedsDepth,
  omitKeys,
  setOwn,
} from "./json.ts";

describe("deepEqual()", () => {
  it("takes an undefined property for an absent one, on either side", () => {
    assert.equal(deepEqual({ a: 1, b: undefined }, { a: 1 }), true);
    assert.equal(deepEqual({ a: 1 }, { a: 1, b: undefined }), true);
    assert.equal(deepEqual({ a: undefined }, { b: undefined }), true);
  });

  it("tells apart null, absence, lists, objects and scalars", () => {
    assert.equal(deepEqual({ a: null }, {}), false);
    assert.equal(deepEqual([], {}), false);
    assert.equal(deepEqual({}, []), false);
    assert.equal(deepEqual([1, 2], [2, 1]), false);
    assert.equal(deepEqual([1], [1, 2]), false);
    assert.equal(deepEqual("1", 1), false);
    assert.equal(deepEqual(0, -0), true);
  });

  it("finds no key of the prototype", () => {
    assert.equal(deepEqual({ constructor: 1 }, {}), false);
    assert.equal(deepEqual({}, { toString: 1 }), false);
  });

  it("holds for every value and its clone, and for a shuffled object", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        assert.equal(deepEqual(value, cloneJson(value)), true);
        const shuffled = isJsonObject(value)
          ? Object.fromEntries(Object.entries(value).toReversed())
          : value;
        assert.equal(deepEqual(shuffled, value), true);
      }),
    );
  });

  it("agrees with the comparison of texts where keys are in order", () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), fc.array(fc.integer()), (a, b) => {
        assert.equal(deepEqual({ a }, { a: b }), JSON.stringify(a) === JSON.stringify(b));
      }),
    );
  });
});

describe("keys called __proto__", () => {
  const hostile: unknown = JSON.parse('{"__proto__":{"polluted":true},"a":1}');

  it("survive a clone as own keys", () => {
    assert.equal(JSON.stringify(cloneJson(hostile)), JSON.stringify(hostile));
  });

  it("are set and read as own keys", () => {
    const target: Record<string, unknown> = {};
    assert.equal(getOwn(target, "__proto__"), undefined);
    setOwn(target, "__proto__", 7);
    assert.equal(getOwn(target, "__proto__"), 7);
    assert.equal(Object.getPrototypeOf(target), Object.prototype);
    assert.deepEqual(omitKeys(target, "__proto__"), {});
  });
});

describe("exceedsDepth()", () => {
  it("counts lists and objects, not scalars", () => {
    assert.equal(exceedsDepth(1, 0), false);
    assert.equal(exceedsDepth([], 0), true);
    assert.equal(exceedsDepth([], 1), false);
    assert.equal(exceedsDepth({ a: [1, {}] }, 2), true);
    assert.equal(exceedsDepth({ a: [1, {}] }, 3), false);
    assert.equal(exceedsDepth(null, 0), false);
  });
});
