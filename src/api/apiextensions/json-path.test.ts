import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { firstAt, namesOf, parseJsonPath } from "./json-path.ts";

const OBJECT = {
  metadata: { annotations: { "example.com/a": "1" }, "dotted.name": 2 },
  status: {
    conditions: [
      { type: "Ready", status: "False", age: 3 },
      { type: "Live", status: "True", age: 5 },
    ],
    counts: [1, 2, 3],
  },
};

describe("parseJsonPath() and firstAt()", () => {
  const cases: readonly (readonly [string, unknown])[] = [
    [".status.counts[0]", 1],
    [".status.counts[-1]", 3],
    [".status.counts[9]", undefined],
    [".status.counts[*]", 1],
    [".metadata.annotations['example.com/a']", "1"],
    [".metadata.annotations.example\\.com/a", "1"],
    ['.metadata["dotted.name"]', 2],
    ['.status.conditions[?(@.type=="Live")].status', "True"],
    [".status.conditions[?(@.type == 'Live')].status", "True"],
    [".status.conditions[?(@.age > 3)].type", "Live"],
    ['.status.conditions[?(@.type!="Ready")].type', "Live"],
    [".status.conditions[?(@.age)].type", "Ready"],
    ['.status.conditions[?(@.type=="None")].status', undefined],
    [".status.conditions.type", undefined],
    [".constructor", undefined],
  ];
  for (const [path, value] of cases) {
    it(`finds ${String(value)} at ${path}`, () => {
      const parsed = parseJsonPath(path);
      assert.ok(parsed.kind === "parsed");
      assert.equal(firstAt(parsed.path, OBJECT), value);
    });
  }

  for (const path of ["..a", "a", ".a[", ".a[x]", ".a[?(@.b==)]", ".a]", ".a[?(@.b==c)]"]) {
    it(`refuses ${path}`, () => {
      assert.equal(parseJsonPath(path).kind, "malformed");
    });
  }

  it("gives the names of a path of names alone", () => {
    const names = (path: string) => {
      const parsed = parseJsonPath(path);
      return parsed.kind === "parsed" ? namesOf(parsed.path) : undefined;
    };
    assert.deepEqual(names(".spec.replicas"), ["spec", "replicas"]);
    assert.equal(names(".spec.list[0]"), undefined);
  });

  it("ends for any text", () => {
    const piece = fc.constantFrom("[?(@", ".a", "\\", "==", "'", '"', ")]", " ", "[", "*", "]");
    fc.assert(
      fc.property(
        fc.array(piece).map((all) => all.join("")),
        (text) => {
          const parsed = parseJsonPath(text);
          if (parsed.kind === "parsed") firstAt(parsed.path, OBJECT);
        },
      ),
    );
    assert.equal(parseJsonPath(`.a[?(@${"\\x".repeat(2000)}`).kind, "malformed");
  });
});
