import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { planTerminationConditions } from "./termination.ts";
import type { TerminationObserved } from "./termination.ts";

const T0 = "2025-01-01T00:00:00Z";
const T1 = "2025-01-01T00:00:01Z";

const plan = (observed: Partial<TerminationObserved>) =>
  planTerminationConditions({
    conditions: [],
    discoveryErrors: [],
    deletionErrors: [],
    remaining: [],
    now: T0,
    ...observed,
  });

const remaining = [
  { group: "", plural: "pods", count: 2, finalizers: new Map([["example.com/a", 1]]) },
  {
    group: "example.com",
    plural: "things",
    count: 1,
    finalizers: new Map([
      ["example.com/a", 1],
      ["example.com/b", 1],
    ]),
  },
];

describe("planTerminationConditions()", () => {
  it("says in upstream's words what is left and why", () => {
    const conditions = plan({
      remaining,
      discoveryErrors: ["no answer"],
      deletionErrors: ["b failed", "a failed"],
    });
    assert.deepEqual(
      conditions?.map(({ type, status, reason, message }) => [type, status, reason, message]),
      [
        [
          "NamespaceDeletionDiscoveryFailure",
          "True",
          "DiscoveryFailed",
          "Discovery failed for some groups, 1 failing: no answer",
        ],
        [
          "NamespaceDeletionGroupVersionParsingFailure",
          "False",
          "ParsedGroupVersions",
          "All legacy kube types successfully parsed",
        ],
        [
          "NamespaceDeletionContentFailure",
          "True",
          "ContentDeletionFailed",
          "Failed to delete all resource types, 2 remaining: [a failed, b failed]",
        ],
        [
          "NamespaceContentRemaining",
          "True",
          "SomeResourcesRemain",
          "Some resources are remaining: pods. has 2 resource instances, things.example.com has 1 resource instances",
        ],
        [
          "NamespaceFinalizersRemaining",
          "True",
          "SomeFinalizersRemain",
          "Some content in the namespace has finalizers remaining: example.com/a in 2 resource instances, example.com/b in 1 resource instances",
        ],
      ],
    );
  });

  it("has nothing to add to its own words, keeps others' conditions and the time of a change", () => {
    const theirs = { type: "Theirs", status: "True" };
    const first = plan({ conditions: [theirs], remaining }) ?? [];
    assert.deepEqual(first[0], theirs);
    assert.equal(plan({ conditions: first, remaining, now: T1 }), undefined);
    const second = plan({ conditions: first, now: T1 }) ?? [];
    const times = new Map(second.map((one) => [one.type, one.lastTransitionTime]));
    assert.equal(times.get("NamespaceContentRemaining"), T1);
    assert.equal(times.get("NamespaceDeletionContentFailure"), T0);
  });
});
