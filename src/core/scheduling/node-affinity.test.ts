import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { NodeSelectorTerm } from "../../api/v1/affinity.ts";
import type { Pod, PodSpec } from "../../api/v1/pod.ts";
import { isWantedNode, nodeWishes } from "./node-affinity.ts";

const NODE = {
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "one", labels: { disk: "ssd", cpus: "8" } },
  spec: {},
};

function pod(spec: Partial<PodSpec>): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p" },
    spec: { containers: [], ...spec },
  };
}

function requiring(...nodeSelectorTerms: readonly NodeSelectorTerm[]): Pod {
  const requiredDuringSchedulingIgnoredDuringExecution = { nodeSelectorTerms };
  return pod({ affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution } } });
}

const term = (key: string, operator: string, ...values: readonly string[]): NodeSelectorTerm => ({
  matchExpressions: [{ key, operator, values }],
});

describe("isWantedNode()", () => {
  const CASES: readonly (readonly [string, Pod, boolean])[] = [
    ["without wishes", pod({}), true],
    ["by its labels", pod({ nodeSelector: { disk: "ssd" } }), true],
    ["not by other labels", pod({ nodeSelector: { disk: "hdd" } }), false],
    [
      "by one of several terms",
      requiring(term("disk", "In", "hdd"), term("cpus", "Gt", "4")),
      true,
    ],
    ["not where no term holds", requiring(term("disk", "NotIn", "ssd")), false],
    ["not by a term without tests", requiring({}), false],
    [
      "by its name",
      requiring({ matchFields: [{ key: "metadata.name", operator: "In", values: ["one"] }] }),
      true,
    ],
  ];
  for (const [name, given, expected] of CASES) {
    it(name, () => {
      assert.equal(isWantedNode(given, NODE), expected);
    });
  }
});

describe("nodeWishes()", () => {
  it("sums the weights of what the node fulfils", () => {
    const preferredDuringSchedulingIgnoredDuringExecution = [
      { weight: 5, preference: term("disk", "In", "ssd") },
      { weight: 7, preference: term("disk", "In", "hdd") },
    ];
    const affinity = { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution } };
    assert.equal(nodeWishes(pod({ affinity }), NODE), 5);
  });
});
