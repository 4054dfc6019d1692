import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { boolean, field, inline, int32, list, message, present, string, time } from "./schema.ts";
import { withZeroValues } from "./zero-values.ts";

const part = message("Part", "", { name: present(1, string), on: present(2, boolean) });
const source = message("Source", "", { kind: present(1, string), path: field(2, string) });
const whole = message("Whole", "", {
  count: present(1, int32),
  at: present(2, time),
  main: present(3, part),
  parts: present(4, list(part)),
  spare: field(5, part),
  source: inline(6, source),
});

describe("withZeroValues()", () => {
  it("fills what must be there, at any depth, except times", () => {
    assert.deepEqual(withZeroValues(whole, {}), {
      count: 0,
      main: { name: "", on: false },
      parts: [],
      kind: "",
    });
    const given = { parts: [{ name: "a" }], spare: { on: true } };
    assert.deepEqual(withZeroValues(whole, given), {
      count: 0,
      main: { name: "", on: false },
      parts: [{ name: "a", on: false }],
      spare: { on: true, name: "" },
      kind: "",
    });
  });

  it("gives back the same object when nothing is missing, and never changes it", () => {
    const complete = { count: 1, main: { name: "a", on: true }, parts: [], kind: "x", extra: [1] };
    assert.equal(withZeroValues(whole, complete), complete);
    const incomplete = Object.freeze({ parts: Object.freeze([Object.freeze({ name: "a" })]) });
    assert.notEqual(withZeroValues(whole, incomplete), incomplete);
  });
});
