import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseYamlText } from "./body.ts";

describe("parseYamlText()", () => {
  for (const level of ["- ", "[", '{"a":', "? ", "- [", "{a: [", ": "]) {
    it(`refuses ${JSON.stringify(level)} without end`, async () => {
      await assert.rejects(parseYamlText(level.repeat(200_000)), { code: 400 });
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

  it("reads many keys", async () => {
    const text = Array.from({ length: 30_000 }, (_, i) => `k${String(i)}: 1`).join("\n");
    const value = await parseYamlText(text);
    assert.ok(typeof value === "object" && value !== null);
    assert.equal(Object.keys(value).length, 30_000);
  });
});
