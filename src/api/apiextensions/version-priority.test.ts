import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compareVersions } from "./version-priority.ts";

const ORDER = "v10 v2 v1 v11beta2 v10beta3 v3beta1 v12alpha1 v11alpha2 foo1 foo10".split(" ");

describe("compareVersions()", () => {
  it("orders versions as upstream's documentation lists them", () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(ORDER, { minLength: ORDER.length }), (shuffled) => {
        assert.deepEqual(shuffled.toSorted(compareVersions), ORDER);
      }),
    );
  });
});
