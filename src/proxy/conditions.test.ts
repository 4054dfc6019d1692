import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Condition } from "../api/machinery/metadata.ts";
import { backendSet, frontend, ip, service } from "../core/proxy/fixtures.test.ts";
import { frontendKey } from "../core/proxy/frontend.ts";
import { planCondition, SERVED } from "./conditions.ts";
import type { FrontendProblem, ProblemReason } from "./data-plane.ts";

const NOW = Date.parse("2026-03-01T10:00:00.500Z");

function problem(reason: ProblemReason, address: string): FrontendProblem {
  const front = frontend({ address: ip(address), target: backendSet([]) });
  return {
    frontend: frontendKey(front),
    service: front.target.service,
    reason,
    message: `${address} has ${reason}.`,
    isRetryable: true,
  };
}

const withCondition = (over: Partial<Condition>) => {
  const base = service({}, { generation: 3 });
  const condition = {
    type: SERVED,
    status: "False",
    reason: "AddressInUse",
    message: "127.0.0.1 has AddressInUse.",
    lastTransitionTime: "2026-01-01T00:00:00Z",
    ...over,
  };
  return { ...base, status: { ...base.status, conditions: [condition] } };
};

describe("planCondition()", () => {
  it("writes nothing for a Service that never had a problem", () => {
    assert.equal(planCondition(service(), [], NOW), undefined);
  });

  it("names the most urgent reason and says all that is wrong", () => {
    const problems = [
      problem("AddressNotLocal", "203.0.113.1"),
      problem("PrivilegedPort", "127.0.0.1"),
    ];
    const expected = {
      type: SERVED,
      status: "False",
      reason: "PrivilegedPort",
      message: "127.0.0.1 has PrivilegedPort. 203.0.113.1 has AddressNotLocal.",
      lastTransitionTime: "2026-03-01T10:00:00Z",
    };
    assert.deepEqual(planCondition(service(), problems, NOW), expected);
    assert.deepEqual(planCondition(service(), problems.toReversed(), NOW), expected);
  });

  it("writes nothing that is already there, and keeps the time of the last transition", () => {
    const same = [problem("AddressInUse", "127.0.0.1")];
    assert.equal(planCondition(withCondition({}), same, NOW), undefined);
    const other = planCondition(withCondition({}), [problem("AddressInUse", "127.0.0.2")], NOW);
    assert.equal(other?.lastTransitionTime, "2026-01-01T00:00:00Z");
    assert.equal(other.observedGeneration, 3);
  });

  it("turns True when the last problem is gone, and then stays", () => {
    const mended = planCondition(withCondition({}), [], NOW);
    assert.equal(mended?.status, "True");
    assert.equal(mended.lastTransitionTime, "2026-03-01T10:00:00Z");
    assert.equal(planCondition(withCondition({ status: "True" }), [], NOW), undefined);
  });

  it("shortens a long list", () => {
    const many = Array.from({ length: 9 }, (_, i) =>
      problem("AddressInUse", `127.0.0.${String(i + 1)}`),
    );
    assert.match(String(planCondition(service(), many, NOW)?.message), / 4 more like these\.$/);
  });
});
