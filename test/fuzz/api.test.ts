import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runCampaign } from "./campaign.ts";

const REQUESTS = 8000;

describe("the API under random requests", () => {
  for (const seed of [1, 2]) {
    it(`answers each rightly and stays as it was (seed ${String(seed)})`, async () => {
      const counts = await runCampaign({ seed, goesOn: (done) => done < REQUESTS });
      // Requests that all fail at the first check would test little.
      assert.ok((counts.get(200) ?? 0) > REQUESTS / 20, "many reads and updates succeed");
      assert.ok((counts.get(201) ?? 0) > REQUESTS / 100, "some creates succeed");
      assert.ok((counts.get(422) ?? 0) > REQUESTS / 50, "many get as far as validation");
    });
  }
});
