import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { invalid } from "../api/machinery/field-error.ts";
import { invalidObject } from "./failures.ts";

describe("invalidObject()", () => {
  it("tells a hundred errors and how many more there are, each with the start of the value", () => {
    const value = { a: "x".repeat(100_000) };
    const errors = Array.from({ length: 500 }, (_, i) =>
      invalid(`spec.f[${String(i)}]`, value, "no"),
    );
    const { status, message } = invalidObject({ kind: "Thing", group: "" }, "a", errors);
    assert.equal(status.details?.causes?.length, 100);
    assert.match(
      message,
      /^Thing "a" is invalid: \[spec\.f\[0\]: Invalid value: \{"a":"x+\.\.\.: no, /,
    );
    assert.match(message, /, and 400 more\]$/);
    assert.ok(JSON.stringify(status).length < 2_000_000, "bounded");
  });
});
