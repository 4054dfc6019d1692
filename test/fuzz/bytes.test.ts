import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runByteCampaign } from "./byte-campaign.ts";

const CONNECTIONS = 150;

describe("the API under random bytes", () => {
  it("answers or cuts off, and goes on (seed 1)", async () => {
    const counts = await runByteCampaign({ seed: 1, goesOn: (done) => done < CONNECTIONS });
    assert.ok((counts.get(400) ?? 0) > 0, "some are answered");
    assert.ok((counts.get(0) ?? 0) > 0, "some are cut off");
    assert.ok((counts.get(431) ?? 0) > 0, "floods of headers are refused");
  });
});
