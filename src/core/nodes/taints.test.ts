import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Node } from "../../api/v1/node.ts";
import type { Taint, Toleration } from "../../api/v1/taint.ts";
import type { Pod } from "../../api/v1/pod.ts";
import { judgeDisruption, zoneOf, zoneState } from "./disruption.ts";
import { evictionTimeMs } from "./eviction.ts";
import { planTaints } from "./taints.ts";
import type { Expulsion } from "./taints.ts";

const T0 = "2025-01-01T00:00:00Z";

function node(
  conditions: Readonly<Record<string, string>>,
  spec: Node["spec"] = {},
  zone = "",
): Node {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "a", labels: { "topology.kubernetes.io/zone": zone } },
    spec,
    status: {
      conditions: Object.entries(conditions).map(([type, status]) => ({ type, status })),
    },
  };
}

function pod(tolerations: readonly Toleration[]): Pod {
  const spec = { containers: [{ name: "c" }], tolerations };
  return { apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, spec };
}

const text = (taints: readonly Taint[] | undefined): readonly string[] | undefined =>
  taints?.map(({ key, effect }) => `${key.replace("node.kubernetes.io/", "")}:${effect}`);

describe("planTaints()", () => {
  const theirs = { key: "gpu", effect: "NoExecute" };
  const ours = (key: string, effect: string): Taint => ({
    key: `node.kubernetes.io/${key}`,
    effect,
  });

  it("NODE-001: says with taints what conditions and a cordon say, and keeps those of others", () => {
    const cases: readonly (readonly [Node, Expulsion, readonly string[] | undefined])[] = [
      [node({ Ready: "True" }), "allowed", undefined],
      [node({ Ready: "False" }), "allowed", ["not-ready:NoSchedule", "not-ready:NoExecute"]],
      [node({ Ready: "Unknown" }), "allowed", ["unreachable:NoSchedule", "unreachable:NoExecute"]],
      [node({ Ready: "Unknown" }), "held", ["unreachable:NoSchedule"]],
      [node({ Ready: "True", DiskPressure: "True" }), "allowed", ["disk-pressure:NoSchedule"]],
      [node({ Ready: "True", DiskPressure: "False" }), "allowed", undefined],
      [node({ Ready: "True" }, { unschedulable: true }), "allowed", ["unschedulable:NoSchedule"]],
      [
        node({ Ready: "True" }, { taints: [theirs, ours("not-ready", "NoExecute")] }),
        "allowed",
        ["gpu:NoExecute"],
      ],
      [
        node({ Ready: "Unknown" }, { taints: [ours("not-ready", "NoExecute")] }),
        "held",
        ["unreachable:NoSchedule", "unreachable:NoExecute"],
      ],
      [
        node({ Ready: "Unknown" }, { taints: [ours("unreachable", "NoExecute")] }),
        "withdrawn",
        ["unreachable:NoSchedule"],
      ],
    ];
    for (const [given, expulsion, expected] of cases) {
      assert.deepEqual(text(planTaints(given, expulsion, T0)), expected);
    }
  });

  it("has nothing to say about its own result, and never touches the taints of others", () => {
    const status = fc.constantFrom("True", "False", "Unknown");
    const conditions = fc.dictionary(
      fc.constantFrom("Ready", "MemoryPressure", "PIDPressure"),
      status,
    );
    const key = fc.constantFrom(
      "gpu",
      "node.kubernetes.io/not-ready",
      "node.kubernetes.io/unschedulable",
    );
    const effect = fc.constantFrom("NoSchedule", "NoExecute", "PreferNoSchedule");
    const expulsion = fc.constantFrom<Expulsion>("allowed", "held", "withdrawn");
    const others = (taints: readonly Taint[] = []): readonly Taint[] =>
      taints.filter((one) => one.key === "gpu" || one.effect === "PreferNoSchedule");
    fc.assert(
      fc.property(
        conditions,
        fc.uniqueArray(fc.record({ key, effect }), {
          selector: (one) => `${one.key}:${one.effect}`,
        }),
        fc.boolean(),
        expulsion,
        (given, taints, unschedulable, how) => {
          const before = node(given, { taints, unschedulable });
          const after = planTaints(before, how, T0) ?? taints;
          const settled = { ...before, spec: { ...before.spec, taints: after } };
          assert.equal(planTaints(settled, how, T0), undefined);
          assert.deepEqual(others(after), others(taints));
        },
      ),
    );
  });
});

describe("judgeDisruption()", () => {
  const nodes = (zone: string, ready: number, lost: number): readonly Node[] => [
    ...Array.from({ length: ready }, () => node({ Ready: "True" }, {}, zone)),
    ...Array.from({ length: lost }, () => node({ Ready: "Unknown" }, {}, zone)),
  ];

  it("calls a zone disrupted by the share of its nodes, and the cluster when all are", () => {
    const cases = [
      [10, 0, "normal"],
      [1, 2, "normal"],
      [5, 5, "normal"],
      [4, 6, "partial"],
      [0, 1, "full"],
      [0, 0, "normal"],
    ] as const;
    for (const [ready, lost, expected] of cases) assert.equal(zoneState(ready, lost), expected);
    assert.equal(judgeDisruption(nodes("a", 0, 1)).isTotal, true);
    assert.equal(judgeDisruption([...nodes("a", 0, 3), ...nodes("b", 1, 0)]).isTotal, false);
    assert.equal(judgeDisruption([]).isTotal, false);
  });

  it("drives Pods off slowly, or not at all, where much of a zone is in trouble", () => {
    const all = [
      ...nodes("a", 5, 1),
      ...nodes("b", 4, 6),
      ...nodes("c", 40, 60),
      ...nodes("d", 0, 3),
    ];
    const disruption = judgeDisruption(all);
    const rates = ["a", "b", "c", "d"].map((zone) =>
      disruption.intervalMs(zoneOf(node({}, {}, zone))),
    );
    assert.deepEqual(rates, [10_000, undefined, 100_000, 10_000]);
  });
});

describe("evictionTimeMs()", () => {
  it("is the first time that a taint is no longer tolerated", () => {
    const taint = { key: "k", effect: "NoExecute" };
    const seen = [{ taint, sinceMs: 5_000 }];
    const exists = { key: "k", operator: "Exists" };
    const cases: readonly (readonly [readonly Toleration[], number | undefined])[] = [
      [[], 5_000],
      [[exists], undefined],
      [[{ ...exists, tolerationSeconds: 30 }], 35_000],
      [[{ ...exists, tolerationSeconds: -1 }], 5_000],
      [[{ ...exists, effect: "NoSchedule" }], 5_000],
      [[{ operator: "Exists" }], undefined],
    ];
    for (const [tolerations, expected] of cases) {
      assert.equal(evictionTimeMs(pod(tolerations), seen), expected);
    }
    const two = [...seen, { taint: { key: "l", effect: "NoExecute" }, sinceMs: 9_000 }];
    assert.equal(evictionTimeMs(pod([{ ...exists, tolerationSeconds: 30 }]), two), 9_000);
    assert.equal(evictionTimeMs(pod([]), []), undefined);
  });
});
