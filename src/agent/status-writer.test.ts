import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { statusPatch } from "./status-writer.ts";

describe("statusPatch()", () => {
  it("takes away by name what is no longer said", () => {
    const before = {
      phase: "Pending" as const,
      reason: "Old",
      conditions: [{ type: "Ready", status: "False", reason: "ContainersNotReady", message: "m" }],
      podIPs: [{ ip: "127.81.0.2" }],
      hostIPs: [{ ip: "127.81.0.1" }],
    };
    const after = {
      phase: "Running" as const,
      conditions: [{ type: "Ready", status: "True" }],
      podIP: "127.81.0.3",
      podIPs: [{ ip: "127.81.0.3" }],
      hostIPs: [{ ip: "127.81.0.1" }],
    };
    const patch = statusPatch(before, after);
    assert.equal(patch["reason"], null);
    assert.deepEqual(patch["conditions"], [
      { type: "Ready", status: "True", reason: null, message: null },
    ]);
    assert.deepEqual(patch["podIPs"], [
      { ip: "127.81.0.2", $patch: "delete" },
      { ip: "127.81.0.3" },
    ]);
    assert.deepEqual(patch["hostIPs"], [{ ip: "127.81.0.1" }]);
  });

  it("EPS-024: leaves the conditions of others alone", () => {
    const conditions = [
      { type: "example.com/lb", status: "True" },
      { type: "Ready", status: "True" },
    ];
    const patch = statusPatch(undefined, { phase: "Running", conditions });
    assert.deepEqual(patch["conditions"], [{ type: "Ready", status: "True" }]);
  });
});
