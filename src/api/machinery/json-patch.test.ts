import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { applyJsonPatch } from "./json-patch.ts";

const PATCHED: readonly (readonly [string, string, string])[] = [
  // RFC 6902, appendix A.
  ['{"foo":"bar"}', '[{"op":"add","path":"/baz","value":"qux"}]', '{"foo":"bar","baz":"qux"}'],
  [
    '{"foo":["bar","baz"]}',
    '[{"op":"add","path":"/foo/1","value":"qux"}]',
    '{"foo":["bar","qux","baz"]}',
  ],
  ['{"baz":"qux","foo":"bar"}', '[{"op":"remove","path":"/baz"}]', '{"foo":"bar"}'],
  ['{"foo":["bar","qux","baz"]}', '[{"op":"remove","path":"/foo/1"}]', '{"foo":["bar","baz"]}'],
  ['{"baz":"qux"}', '[{"op":"replace","path":"/baz","value":"boo"}]', '{"baz":"boo"}'],
  ['{"a":{"b":1},"c":{}}', '[{"op":"move","from":"/a/b","path":"/c/d"}]', '{"a":{},"c":{"d":1}}'],
  ['{"foo":[1,2,3,4]}', '[{"op":"move","from":"/foo/1","path":"/foo/3"}]', '{"foo":[1,3,4,2]}'],
  ['{"a":["x"]}', '[{"op":"test","path":"/a/0","value":"x"}]', '{"a":["x"]}'],
  [
    '{"foo":"bar"}',
    '[{"op":"add","path":"/child","value":{"g":{}}}]',
    '{"foo":"bar","child":{"g":{}}}',
  ],
  ['{"/":9,"~1":10}', '[{"op":"test","path":"/~01","value":10}]', '{"/":9,"~1":10}'],
  ['{"foo":["bar"]}', '[{"op":"add","path":"/foo/-","value":["abc"]}]', '{"foo":["bar",["abc"]]}'],
  // Beyond the appendix.
  [
    '{"a":[{"b":1}]}',
    '[{"op":"copy","from":"/a/0","path":"/a/-"},{"op":"replace","path":"/a/0/b","value":2}]',
    '{"a":[{"b":2},{"b":1}]}',
  ],
  ['{"a":1}', '[{"op":"replace","path":"","value":{"b":2}}]', '{"b":2}'],
  ['{"a":1}', '[{"op":"add","path":"/a","value":null}]', '{"a":null}'],
  ['{"a":1}', '[{"op":"test","path":"/b","value":null}]', '{"a":1}'],
  ['{"a":1}', '[{"op":"add","path":"/__proto__","value":1}]', '{"a":1,"__proto__":1}'],
  ['{"x/y":1}', '[{"op":"remove","path":"/x~1y"}]', "{}"],
  ['{"a":1}', "[]", '{"a":1}'],
];

const FAILED: readonly (readonly [string, string, string])[] = [
  ['{"a":1}', '[{"op":"test","path":"/a","value":2}]', "testing value /a failed: test failed"],
  [
    '{"a":1}',
    '[{"op":"remove","path":"/b"}]',
    "remove operation does not apply: doc is missing path: /b: missing value",
  ],
  [
    '{"a":1}',
    '[{"op":"replace","path":"/b","value":1}]',
    "replace operation does not apply: doc is missing key: /b: missing value",
  ],
  [
    '{"a":1}',
    '[{"op":"add","path":"/b/c","value":1}]',
    "add operation does not apply: doc is missing path: /b/c: missing value",
  ],
  [
    '{"a":[]}',
    '[{"op":"add","path":"/a/1","value":1}]',
    "add operation does not apply: doc is missing path: /a/1: index 1 is outside of the list",
  ],
  [
    '{"a":[1]}',
    '[{"op":"remove","path":"/a/-"}]',
    "remove operation does not apply: doc is missing path: /a/-: index - is outside of the list",
  ],
  [
    '{"a":[1]}',
    '[{"op":"add","path":"/a/00","value":1}]',
    "add operation does not apply: doc is missing path: /a/00: index 00 is outside of the list",
  ],
  [
    '{"a":{}}',
    '[{"op":"move","from":"/a","path":"/a/b"}]',
    "move operation puts /a into itself at /a/b",
  ],
  [
    '{"a":{}}',
    '[{"op":"copy","from":"/constructor","path":"/b"}]',
    "copy operation does not apply: doc is missing path: /constructor: missing value",
  ],
  ['{"a":1}', '[{"op":"add","path":"/b"}]', "add operation has no value"],
  ['{"a":1}', '[{"op":"move","path":"/b"}]', "move operation has no from"],
  ['{"a":1}', '[{"op":"add","path":"b","value":1}]', "path b does not start with /"],
  ['{"a":1}', '[{"op":"frob","path":"/a"}]', "Unexpected kind: frob"],
];

describe("applyJsonPatch()", () => {
  for (const [target, patch, expected] of PATCHED) {
    it(`${target} with ${patch} is ${expected}`, () => {
      const result = applyJsonPatch(JSON.parse(target), JSON.parse(patch));
      assert.equal(JSON.stringify(result), `{"kind":"patched","value":${expected}}`);
    });
  }

  for (const [target, patch, message] of FAILED) {
    it(`${target} refuses ${patch}`, () => {
      const result = applyJsonPatch(JSON.parse(target), JSON.parse(patch));
      assert.deepEqual(result, { kind: "failed", message });
    });
  }

  it("refuses what is no list of operations", () => {
    assert.equal(applyJsonPatch({}, {}).kind, "malformed");
    assert.equal(applyJsonPatch({}, [1]).kind, "malformed");
  });

  it("takes 10,000 operations and refuses one more", () => {
    const patch = Array.from({ length: 10_000 }, () => ({ op: "add", path: "/a/-", value: 1 }));
    assert.equal(applyJsonPatch({ a: [] }, patch).kind, "patched");
    assert.deepEqual(applyJsonPatch({ a: [] }, [...patch, patch[0]]), {
      kind: "tooLong",
      message: "The allowed maximum operations in a JSON patch is 10000, got 10001",
    });
  });

  it("stops copies that double the object over and over", () => {
    const patch = Array.from({ length: 100 }, (_, i) => ({
      op: "copy",
      from: "",
      path: `/c${String(i)}`,
    }));
    const result = applyJsonPatch({ a: "x" }, patch);
    assert.equal(result.kind, "failed");
    assert.match(JSON.stringify(result), /accumulated size increase of copy is \d+, exceeding/);
  });

  it("stops copies that nest the object in itself over and over", () => {
    const patch = Array.from({ length: 600 }, () => ({ op: "copy", from: "", path: "/a" }));
    assert.deepEqual(applyJsonPatch({}, patch), { kind: "failed", message: "exceeded max depth" });
  });

  it("changes neither argument, nor shares with them what later operations change", () => {
    const target = { list: [{ a: 1 }] };
    const value = { b: 1 };
    const patch = [
      { op: "add", path: "/x", value },
      { op: "add", path: "/x/c", value: 2 },
      { op: "replace", path: "/list/0/a", value: 3 },
    ];
    assert.deepEqual(applyJsonPatch(target, patch), {
      kind: "patched",
      value: { list: [{ a: 3 }], x: { b: 1, c: 2 } },
    });
    assert.deepEqual([target, value], [{ list: [{ a: 1 }] }, { b: 1 }]);
  });

  it("undoes an add by a remove of the same path", () => {
    const objects = fc.dictionary(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(objects, fc.string(), fc.jsonValue(), (target, name, value) => {
        fc.pre(!Object.hasOwn(target, name));
        const path = `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
        const result = applyJsonPatch(target, [
          { op: "add", path, value },
          { op: "test", path, value },
          { op: "remove", path },
        ]);
        assert.equal(JSON.stringify(result), JSON.stringify({ kind: "patched", value: target }));
      }),
    );
  });

  it("bounds what all moves together take, as it does for copies", () => {
    const target = { a: "x".repeat(100_000) };
    const back = [
      { op: "move", from: "/a", path: "/b" },
      { op: "move", from: "/b", path: "/a" },
    ];
    assert.equal(applyJsonPatch(target, back).kind, "patched");
    const many = applyJsonPatch(target, Array.from({ length: 5000 }, () => back).flat());
    assert.equal(many.kind, "failed");
    assert.match(many.kind === "failed" ? many.message : "", /Unable to complete the move/);
  });
});
