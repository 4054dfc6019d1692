import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  EMPTY_SET,
  difference,
  differenceBelow,
  intersection,
  isEmptySet,
  pathsOf,
  sortedSet,
  union,
} from "./path-set.ts";
import type { PathSet } from "./path-set.ts";
import { parseFieldsV1, pathText } from "./path-element.ts";

const element = fc.constantFrom(
  "f:a",
  "f:b",
  "f:__proto__",
  'k:{"name":"x"}',
  'k:{"port":80,"protocol":"TCP"}',
  'v:"x"',
  "i:0",
);
const paths = fc.array(fc.array(element, { minLength: 1, maxLength: 4 }), { maxLength: 12 });

function setOf(given: readonly (readonly string[])[]): PathSet {
  return given.reduce<PathSet>((set, path) => {
    const single = path.reduceRight<PathSet>((below, one) => ({ [one]: below }), EMPTY_SET);
    return union(set, single);
  }, EMPTY_SET);
}

const keysOf = (given: readonly (readonly string[])[]) =>
  [...new Set(given.map((path) => JSON.stringify(path)))].toSorted();
const keysIn = (set: PathSet) => keysOf(pathsOf(set));

describe("path sets", () => {
  it("hold the paths put into them, no more and no fewer", () => {
    fc.assert(fc.property(paths, (a) => assert.deepEqual(keysIn(setOf(a)), keysOf(a))));
  });

  it("come back from their fieldsV1 text as they were", () => {
    fc.assert(
      fc.property(paths, (a) => {
        const set = setOf(a);
        assert.deepEqual(parseFieldsV1(JSON.parse(JSON.stringify(set))), set);
      }),
    );
  });

  it("unite, subtract and intersect as sets of paths do", () => {
    fc.assert(
      fc.property(paths, paths, (a, b) => {
        const [left, right] = [setOf(a), setOf(b)];
        const [inA, inB] = [new Set(keysOf(a)), new Set(keysOf(b))];
        assert.deepEqual(keysIn(union(left, right)), keysOf([...a, ...b]));
        assert.deepEqual(
          keysIn(difference(left, right)),
          [...inA].filter((key) => !inB.has(key)),
        );
        assert.deepEqual(
          keysIn(intersection(left, right)),
          [...inA].filter((key) => inB.has(key)),
        );
      }),
    );
  });

  it("subtract whole branches when asked to", () => {
    fc.assert(
      fc.property(paths, paths, (a, b) => {
        const covered = (path: readonly string[]) =>
          b.some((short) => short.every((one, i) => one === path[i]));
        assert.deepEqual(
          keysIn(differenceBelow(setOf(a), setOf(b))),
          keysOf(a.filter((path) => !covered(path))),
        );
      }),
    );
  });

  it("leave no node that stands for nothing", () => {
    fc.assert(
      fc.property(paths, (a) => {
        assert.ok(isEmptySet(difference(setOf(a), setOf(a))));
        assert.ok(isEmptySet(intersection(setOf(a), EMPTY_SET)));
      }),
    );
  });

  it("change neither operand", () => {
    fc.assert(
      fc.property(paths, paths, (a, b) => {
        const [left, right] = [setOf(a), setOf(b)];
        const before = JSON.stringify([left, right]);
        union(left, right);
        difference(left, right);
        differenceBelow(left, right);
        intersection(left, right);
        sortedSet(left);
        assert.equal(JSON.stringify([left, right]), before);
      }),
    );
  });

  it("have one text, whatever order they were made in", () => {
    fc.assert(
      fc.property(paths, (a) => {
        const text = (set: PathSet) => JSON.stringify(sortedSet(set));
        assert.equal(text(setOf(a)), text(setOf(a.toReversed())));
      }),
    );
  });
});

describe("parseFieldsV1()", () => {
  it("brings elements into one spelling", () => {
    assert.deepEqual(parseFieldsV1({ 'k:{ "protocol":"TCP", "port":80 }': {}, 'v: "x"': {} }), {
      'k:{"port":80,"protocol":"TCP"}': {},
      'v:"x"': {},
    });
  });

  for (const bad of [
    null,
    [],
    "f:a",
    { a: {} },
    { "f:a": null },
    { "x:a": {} },
    { "k:[1]": {} },
    { "k:{": {} },
    { "v:": {} },
    { "i:-1": {} },
    { __proto__x: {} },
  ]) {
    it(`refuses ${JSON.stringify(bad)}`, () => assert.equal(parseFieldsV1(bad), undefined));
  }

  it("refuses what nests deeper than any object", () => {
    let deep: object = {};
    for (let i = 0; i < 200; i++) deep = { "f:a": deep };
    assert.equal(parseFieldsV1(deep), undefined);
  });
});

describe("pathText()", () => {
  for (const [path, text] of [
    [["f:spec", "f:replicas"], ".spec.replicas"],
    [
      ["f:spec", "f:ports", 'k:{"port":80,"protocol":"TCP"}', "f:name"],
      '.spec.ports[port=80,protocol="TCP"].name',
    ],
    [["f:metadata", "f:finalizers", 'v:"a/b"'], '.metadata.finalizers[="a/b"]'],
    [["f:args", "i:3"], ".args[3]"],
  ] as const) {
    it(`shows ${text}`, () => assert.equal(pathText(path), text));
  }
});
