import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, it } from "node:test";
import fc from "fast-check";
import { quoted } from "./terminal.ts";

describe("quoted()", () => {
  it("makes one word of anything that an argument can hold", () => {
    const word = fc.string({ unit: "binary" }).filter((text) => !/[\0\ud800-\udfff]/.test(text));
    const nasty = fc.constantFrom("'", "''", "\\", "$(id)", "`id`", "\n", "-n", " ", "!", "*", '"');
    fc.assert(
      fc.property(fc.array(fc.oneof(word, nasty), { minLength: 1, maxLength: 8 }), (words) => {
        const line = `printf '%s\\0' ${words.map(quoted).join(" ")}`;
        const output = execFileSync("/bin/sh", ["-c", line]).toString("utf8");
        assert.deepEqual(output.split("\0").slice(0, -1), words);
      }),
      { numRuns: 60 },
    );
  });
});
