import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { decodeScalar } from "./decode-scalar.ts";

it("replaces what is no character as Go does, so that every name can stand in a URL", () => {
  assert.deepEqual(decodeScalar("string", "a\ud800b"), { kind: "value", value: "a\ufffdb" });
  const units = fc
    .array(fc.integer({ min: 0, max: 0xffff }))
    .map((codes) => String.fromCharCode(...codes));
  fc.assert(
    fc.property(units, (text) => {
      const decoded = decodeScalar("string", text);
      assert.ok(decoded.kind === "value");
      encodeURIComponent(String(decoded.value));
    }),
  );
});

it("leaves text with characters beyond the first plane as it is", () => {
  assert.deepEqual(decodeScalar("string", "x 😀"), { kind: "value", value: "x 😀" });
});
