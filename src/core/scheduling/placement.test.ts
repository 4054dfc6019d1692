import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Node } from "../../api/v1/node.ts";
import type { Pod, PodSpec } from "../../api/v1/pod.ts";
import { hostPortsConflict } from "./host-ports.ts";
import type { HostPort } from "./host-ports.ts";
import { needsPlacement, planPlacement } from "./placement.ts";
import type { Placement, PlacementObserved } from "./placement.ts";
import { untoleratedTaint } from "./tolerations.ts";

function pod(spec: Partial<PodSpec> = {}): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", namespace: "ns" },
    spec: { containers: [{ name: "c" }], ...spec },
  };
}

function node(name: string, spec: Node["spec"] = {}, ready = "True"): Node {
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: { name } },
    spec,
    status: { conditions: [{ type: "Ready", status: ready }] },
  };
}

function place(observed: Partial<PlacementObserved>): Placement {
  return planPlacement({
    pod: pod(),
    nodes: [],
    podCountOf: () => 0,
    hostPortsOn: () => [],
    ...observed,
  });
}

const TAINT = { key: "gpu", value: "yes", effect: "NoSchedule" };

describe("planPlacement()", () => {
  it("takes the node with the fewest Pods, the first by name on a tie", () => {
    const counts: Readonly<Record<string, number>> = { a: 2, b: 1, c: 1 };
    const nodes = ["c", "a", "b"].map((name) => node(name));
    const placement = place({ nodes, podCountOf: (name) => counts[name] ?? 0 });
    assert.deepEqual(placement, { kind: "placed", node: "b" });
  });

  it("names and counts the reasons of all nodes", () => {
    const placement = place({
      pod: pod({ nodeSelector: { name: "x" } }),
      nodes: [node("a"), node("b"), node("c", { unschedulable: true })],
    });
    assert.deepEqual(placement, {
      kind: "unschedulable",
      message:
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match Pod's node affinity/selector.",
    });
  });

  it("keeps Pods off tainted nodes and nodes that are not ready, unless they tolerate it", () => {
    const refused = (given: Node): string => {
      const placement = place({ nodes: [given] });
      return placement.kind === "unschedulable" ? placement.message : "";
    };
    assert.match(refused(node("a", { taints: [TAINT] })), /untolerated taint {gpu: yes}/);
    assert.match(
      refused(node("a", {}, "Unknown")),
      /untolerated taint {node.kubernetes.io\/not-ready: }/,
    );
    const tolerations = [{ operator: "Exists" }];
    for (const given of [node("a", { taints: [TAINT], unschedulable: true }, "False")]) {
      assert.equal(place({ pod: pod({ tolerations }), nodes: [given] }).kind, "placed");
    }
  });

  it("HP-001: asks for free host ports", () => {
    const ports = [{ containerPort: 80, hostPort: 8080, protocol: "TCP" as const }];
    const wanting = pod({ containers: [{ name: "c", ports }] });
    const taken: HostPort = { port: 8080, protocol: "TCP", hostIp: "127.0.0.1" };
    const on = (port: HostPort): string =>
      place({ pod: wanting, nodes: [node("a")], hostPortsOn: () => [port] }).kind;
    assert.equal(on(taken), "unschedulable");
    assert.equal(on({ ...taken, protocol: "UDP" }), "placed");
    assert.equal(on({ ...taken, port: 8081 }), "placed");
    assert.equal(hostPortsConflict([taken], [{ ...taken, hostIp: "127.0.0.2" }]), false);
  });

  it("says that there are no nodes", () => {
    assert.deepEqual(place({}), {
      kind: "unschedulable",
      message: "no nodes available to schedule pods",
    });
  });
});

describe("needsPlacement()", () => {
  it("is true for a Pod without a node that is not ending and is ours", () => {
    assert.ok(needsPlacement(pod(), "default-scheduler"));
    assert.ok(needsPlacement(pod({ schedulerName: "default-scheduler" }), "default-scheduler"));
    const others: readonly Pod[] = [
      pod({ nodeName: "a" }),
      pod({ schedulerName: "other" }),
      pod({ schedulingGates: [{ name: "wait" }] }),
      { ...pod(), status: { phase: "Failed" } },
      { ...pod(), metadata: { name: "p", deletionTimestamp: "2025-01-01T00:00:00Z" } },
    ];
    for (const other of others) assert.equal(needsPlacement(other, "default-scheduler"), false);
  });
});

describe("untoleratedTaint()", () => {
  it("compares key, value and effect, an empty one of the toleration with all", () => {
    const cases: readonly (readonly [object, boolean])[] = [
      [{ key: "gpu", operator: "Exists" }, true],
      [{ key: "gpu", value: "yes" }, true],
      [{ key: "gpu", operator: "Equal", value: "yes", effect: "NoSchedule" }, true],
      [{ key: "gpu", value: "no" }, false],
      [{ key: "cpu", operator: "Exists" }, false],
      [{ key: "gpu", operator: "Exists", effect: "NoExecute" }, false],
    ];
    for (const [toleration, isTolerated] of cases) {
      assert.equal(untoleratedTaint([TAINT], [toleration]) === undefined, isTolerated);
    }
    assert.equal(untoleratedTaint([{ ...TAINT, effect: "PreferNoSchedule" }], []), undefined);
  });
});
