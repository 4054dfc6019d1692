import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MAX_JSON_VALUES, findDuplicateKeys, parseJson } from "./json-text.ts";

describe("parseJson()", () => {
  it("gives what JSON.parse gives", () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        assert.deepEqual(parseJson(text), { kind: "parsed", value: JSON.parse(text) });
      }),
    );
  });

  it("refuses text that is not JSON", () => {
    for (const text of ["", "{", '{"a":}', "[1,]", "nope", '"open']) {
      assert.equal(parseJson(text).kind, "malformed", text);
    }
  });

  it("refuses a million brackets without overflowing the stack", () => {
    const text = "[".repeat(1_000_000);
    assert.deepEqual(parseJson(text), { kind: "malformed", message: "exceeded max depth" });
    assert.equal(parseJson("[".repeat(500) + "]".repeat(500)).kind, "parsed");
    assert.equal(parseJson("[".repeat(501) + "]".repeat(501)).kind, "malformed");
  });

  it("counts fields and items before it reads them", () => {
    const items = (count: number) => `{"a":[${"1,".repeat(count)}1],"b":"${",".repeat(100)}"}`;
    assert.equal(parseJson(items(MAX_JSON_VALUES - 5)).kind, "parsed");
    assert.deepEqual(parseJson(items(MAX_JSON_VALUES)), { kind: "tooMany" });
    assert.deepEqual(parseJson(`[${"[],".repeat(MAX_JSON_VALUES)}`), { kind: "tooMany" });
  });

  it("does not count brackets inside strings", () => {
    assert.equal(parseJson(JSON.stringify('\\"[{'.repeat(1000))).kind, "parsed");
  });
});

const CASES: readonly (readonly [string, readonly string[]])[] = [
  ['{"a":1,"b":2}', []],
  ['{"a":1,"a":2}', ['duplicate field "a"']],
  ['{"a":1,"a":2,"a":3}', ['duplicate field "a"']],
  ['{"spec":{"ports":[{"port":1},{"port":1,"port":2}]}}', ['duplicate field "spec.ports[1].port"']],
  ['{"m":{"l":{"x":"1","x":"2"}},"m":0}', ['duplicate field "m.l.x"', 'duplicate field "m"']],
  ['{"a":{"a":{"a":1}}}', []],
  ['[{"a":1},{"a":1}]', []],
  ['{"\\u0061":1,"a":2}', ['duplicate field "a"']],
  ['{"a":"a","b":"a","c":"\\",\\"c\\":"}', []],
  [' { "a" : [ 1 , 2 ] , "a" : [ ] } ', ['duplicate field "a"']],
];

describe("findDuplicateKeys()", () => {
  for (const [text, expected] of CASES) {
    it(`finds ${String(expected.length)} in ${text}`, () => {
      assert.deepEqual(findDuplicateKeys(text), expected);
    });
  }

  it("finds none in what JSON.stringify writes", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        assert.deepEqual(findDuplicateKeys(JSON.stringify(value, null, 1)), []);
      }),
    );
  });

  it("tells at most a hundred", () => {
    const pairs = Array.from({ length: 150 }, (_, i) => `"k${String(i)}":1,"k${String(i)}":2`);
    assert.equal(findDuplicateKeys(`{${pairs.join(",")}}`).length, 100);
  });
});
