import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseYamlText } from "./body.ts";

describe("parseYamlText()", () => {
  for (const level of ["- ", "[", '{"a":', "? ", "- [", "{a: [", ": "]) {
    it(`refuses ${JSON.stringify(level)} without end`, async () => {
      await assert.rejects(parseYamlText(level.repeat(100_000)), { code: 400 });
    });
  }

  it("refuses a key that occurs twice, wherever it is", async () => {
    await assert.rejects(parseYamlText("a: {b: 1}\nc:\n- b: 1\n  b: 2\n"), {
      message: /error converting YAML to JSON: .*key "b" already set in map/,
    });
  });

  it("refuses a text that contains itself", async () => {
    await assert.rejects(parseYamlText("a: &x [*x]\n"), { code: 400 });
  });

  it("refuses with 413 what would take too long to read", async () => {
    await assert.rejects(parseYamlText("- a\n".repeat(60_000)), {
      code: 413,
      message: /send the same object as JSON/,
    });
    await assert.rejects(parseYamlText(`a: ${"b".repeat(600_000)}`), { code: 413 });
  });

  it("says where the first error is, however many there are", async () => {
    await assert.rejects(parseYamlText(`a: 1\nb: ]\n${'"'.repeat(5000)}`), {
      code: 400,
      message: /^error converting YAML to JSON: .* at line 2, column 4$/s,
    });
  });

  it("reads many keys", async () => {
    const text = Array.from({ length: 2500 }, (_, i) => `k${String(i)}: 1`).join("\n");
    const value = await parseYamlText(text);
    assert.ok(typeof value === "object" && value !== null);
    assert.equal(Object.keys(value).length, 2500);
  });
});
