import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { makeHome, startUp } from "../e2e/portolan.ts";
import { run } from "../e2e/tools.ts";
import { builtGo, goSkip } from "./go-program.ts";

describe("an operator of controller-runtime against portolan up", { skip: goSkip() }, () => {
  it("defines its kind, reconciles, contends, applies and deletes", async () => {
    await using program = await builtGo("controller-runtime");
    await using home = await makeHome();
    await using up = await startUp(home);
    const { code, stdout, stderr } = await run(program.path, [up.kubeconfig], {
      timeoutMs: 90_000,
    });
    assert.equal(code, 0, `${stdout}${stderr}`);
    assert.deepEqual(stdout.trimEnd().split("\n"), [
      "ok definition",
      "ok reconciliation",
      "ok conflicts",
      "ok apply",
      "ok deletion",
      "ok discovery",
      "ok manager",
    ]);
  });
});
