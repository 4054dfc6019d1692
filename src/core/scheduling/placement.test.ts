import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { keyOf } from "../../api/machinery/object-key.ts";
import type { Namespace } from "../../api/v1/namespace.ts";
import type { Node } from "../../api/v1/node.ts";
import type { Pod, PodSpec } from "../../api/v1/pod.ts";
import { ClusterView } from "./cluster-view.ts";
import { hostPortsConflict } from "./host-ports.ts";
import { needsPlacement, planPlacement } from "./placement.ts";
import { podRequests } from "./resources.ts";
import { untoleratedTaint } from "./tolerations.ts";

type Labels = Readonly<Record<string, string>>;

function pod(spec: Partial<PodSpec> = {}, labels: Labels = {}, name = "p", namespace = "ns"): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels },
    spec: { containers: [{ name: "c" }], ...spec },
  };
}

interface Given {
  readonly spec?: Node["spec"];
  readonly labels?: Labels;
  readonly ready?: string;
  readonly allocatable?: Readonly<Record<string, string>>;
}

function node(name: string, given: Given = {}): Node {
  const { spec = {}, labels = {}, ready = "True", allocatable } = given;
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: { name, ...labels } },
    spec,
    status: {
      conditions: [{ type: "Ready", status: ready }],
      ...(allocatable === undefined ? {} : { allocatable }),
    },
  };
}

/** @param placed Pods by the name of their node. */
function cluster(
  nodes: readonly Node[],
  placed: readonly (readonly [node: string, pod: Pod])[] = [],
  namespaces: readonly Namespace[] = [],
): ClusterView {
  const view = new ClusterView(() => namespaces);
  for (const one of nodes) view.putNode(one);
  placed.forEach(([on, given], i) => {
    const name = `${given.metadata.name}-${String(i)}`;
    const there = { ...given, metadata: { ...given.metadata, name } };
    view.putPod(keyOf(there), on, there);
  });
  return view;
}

/** The node's name, or why there is none. */
function place(given: Pod, view: ClusterView): string {
  const placement = planPlacement(given, view);
  return placement.kind === "placed" ? placement.node : placement.message;
}

const asking = (cpu: string): Partial<PodSpec> => ({
  containers: [{ name: "c", resources: { requests: { cpu } } }],
});
const TAINT = { key: "gpu", value: "yes", effect: "NoSchedule" };
const web = { matchLabels: { app: "web" } };
const near = { labelSelector: web, topologyKey: "zone" };

describe("planPlacement()", () => {
  it("takes the node with the fewest Pods, the first by name on a tie", () => {
    const nodes = ["c", "a", "b"].map((name) => node(name));
    const placed = (["a", "a", "b", "c"] as const).map((name) => [name, pod()] as const);
    assert.equal(place(pod(), cluster(nodes, placed)), "b");
  });

  it("names and counts the reasons of all nodes", () => {
    const nodes = [node("a"), node("b"), node("c", { spec: { unschedulable: true } })];
    assert.equal(
      place(pod({ nodeSelector: { name: "x" } }), cluster(nodes)),
      "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match Pod's node affinity/selector.",
    );
  });

  it("keeps Pods off tainted nodes and nodes that are not ready, unless they tolerate it", () => {
    const refused = (given: Node): string => place(pod(), cluster([given]));
    assert.match(refused(node("a", { spec: { taints: [TAINT] } })), /untolerated taint {gpu: yes}/);
    assert.match(
      refused(node("a", { ready: "Unknown" })),
      /untolerated taint {node.kubernetes.io\/not-ready: }/,
    );
    const tolerations = [{ operator: "Exists" }];
    const worst = node("a", { spec: { taints: [TAINT], unschedulable: true }, ready: "False" });
    assert.equal(place(pod({ tolerations }), cluster([worst])), "a");
  });

  it("prefers nodes without a taint that would rather not have the Pod", () => {
    const taints = [{ ...TAINT, effect: "PreferNoSchedule" }];
    const view = cluster([node("a", { spec: { taints } }), node("b")], [["b", pod()]]);
    assert.equal(place(pod(), view), "b");
    assert.equal(place(pod({ tolerations: [{ operator: "Exists" }] }), view), "a");
  });

  it("HP-001, HP-002, HP-003: asks for free host ports", () => {
    const port = (hostPort: number, protocol: "TCP" | "UDP", hostIP: string) =>
      pod({
        containers: [{ name: "c", ports: [{ containerPort: 80, hostPort, protocol, hostIP }] }],
      });
    const cases: readonly (readonly [Pod, boolean])[] = [
      [port(8080, "TCP", "127.0.0.1"), false],
      [port(8080, "TCP", ""), false],
      [port(8080, "TCP", "0.0.0.0"), false],
      [port(8080, "TCP", "127.0.0.2"), true],
      [port(8080, "UDP", "127.0.0.1"), true],
      [port(8081, "TCP", "127.0.0.1"), true],
    ];
    for (const [wanting, isTaken] of cases) {
      const view = cluster([node("a")], [["a", port(8080, "TCP", "127.0.0.1")]]);
      const expected = isTaken
        ? "a"
        : "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.";
      assert.equal(place(wanting, view), expected);
    }
    const all = [{ port: 80, protocol: "TCP", hostIp: "0.0.0.0" }];
    assert.equal(
      hostPortsConflict(all, [{ port: 80, protocol: "TCP", hostIp: "127.0.0.9" }]),
      true,
    );
  });

  it("says that there are no nodes", () => {
    assert.equal(place(pod(), cluster([])), "no nodes available to schedule pods");
  });

  it("does not put more on a node than it offers", () => {
    const allocatable = { cpu: "2", memory: "1Gi", pods: "3" };
    const nodes = [
      node("a", { allocatable }),
      node("b", { allocatable: { cpu: "1", pods: "1" } }),
      node("c", { spec: { taints: [TAINT] } }),
    ];
    const view = cluster(nodes, [
      ["a", pod(asking("1500m"))],
      ["b", pod(asking("1"))],
    ]);
    assert.equal(place(pod(asking("500m")), view), "a");
    assert.equal(
      place(pod(asking("501m")), view),
      "0/3 nodes are available: 1 Too many pods, 1 node(s) had untolerated taint {gpu: yes}, 2 Insufficient cpu.",
    );
    const device = pod({
      containers: [{ name: "c", resources: { requests: { "example.com/gpu": "1" } } }],
    });
    assert.match(place(device, view), /2 Insufficient example.com\/gpu/);
  });

  it("prefers the node with the most room", () => {
    const nodes = [
      node("a", { allocatable: { cpu: "4", memory: "8Gi" } }),
      node("b", { allocatable: { cpu: "16", memory: "32Gi" } }),
    ];
    const view = cluster(nodes, [
      ["b", pod(asking("2"))],
      ["a", pod(asking("1"))],
    ]);
    assert.equal(place(pod(asking("1")), view), "b");
  });

  it("asks for the required node affinity and follows the preferred one", () => {
    const nodes = ["1", "2", "3"].map((disks) => node(`n${disks}`, { labels: { disks } }));
    const view = cluster(nodes, [["n3", pod()]]);
    const affine = (matchExpressions: readonly object[], weight?: number): Pod => {
      const term = { matchExpressions } as { matchExpressions: [] };
      const required = { nodeSelectorTerms: [term] };
      return pod({
        affinity: {
          nodeAffinity:
            weight === undefined
              ? { requiredDuringSchedulingIgnoredDuringExecution: required }
              : { preferredDuringSchedulingIgnoredDuringExecution: [{ weight, preference: term }] },
        },
      });
    };
    const cases: readonly (readonly [object, string])[] = [
      [{ key: "disks", operator: "In", values: ["2", "3"] }, "n2"],
      [{ key: "disks", operator: "NotIn", values: ["1"] }, "n2"],
      [{ key: "disks", operator: "Gt", values: ["2"] }, "n3"],
      [{ key: "disks", operator: "Lt", values: ["2"] }, "n1"],
      [{ key: "gone", operator: "DoesNotExist" }, "n1"],
    ];
    for (const [test, expected] of cases) assert.equal(place(affine([test]), view), expected);
    assert.match(
      place(affine([{ key: "gone", operator: "Exists" }]), view),
      /3 node\(s\) didn't match Pod's node affinity/,
    );
    // A term without tests matches no node.
    assert.match(place(affine([]), view), /3 node\(s\)/);
    assert.equal(place(affine([{ key: "disks", operator: "In", values: ["3"] }], 1), view), "n3");
  });

  it("puts Pods near to those that they ask for, and the first of a group anywhere", () => {
    const nodes = ["a", "b", "c"].map((zone) => node(zone, { labels: { zone } }));
    const together = { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [near] } };
    const follower = pod({ affinity: together });
    assert.match(place(follower, cluster(nodes)), /3 node\(s\) didn't match pod affinity rules/);
    assert.equal(place(pod({ affinity: together }, { app: "web" }), cluster(nodes)), "a");
    const placed = [["b", pod({}, { app: "web" })]] as const;
    assert.equal(place(follower, cluster(nodes, placed)), "b");
    const elsewhere = [["b", pod({}, { app: "web" }, "q", "other")]] as const;
    assert.match(place(follower, cluster(nodes, elsewhere)), /pod affinity rules/);
    const wish = { podAffinityTerm: near, weight: 10 };
    const preferred = { preferredDuringSchedulingIgnoredDuringExecution: [wish] };
    assert.equal(place(pod({ affinity: { podAffinity: preferred } }), cluster(nodes, placed)), "b");
    const crowded = [["a", pod({}, { app: "web" })]] as const;
    assert.equal(
      place(pod({ affinity: { podAntiAffinity: preferred } }), cluster(nodes, crowded)),
      "b",
    );
  });

  it("keeps Pods apart, whichever of the two asks for it", () => {
    const nodes = ["a", "b"].map((zone) => node(zone, { labels: { zone } }));
    const apart = { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [near] } };
    const hermit = pod({ affinity: apart }, { app: "db" });
    const plain = pod({}, { app: "web" });
    assert.equal(place(hermit, cluster(nodes, [["a", plain]])), "b");
    assert.match(
      place(
        hermit,
        cluster(nodes, [
          ["a", plain],
          ["b", plain],
        ]),
      ),
      /2 node\(s\) didn't match pod anti-affinity rules/,
    );
    assert.equal(place(plain, cluster(nodes, [["a", hermit]])), "b");
    assert.match(
      place(
        plain,
        cluster(nodes, [
          ["a", hermit],
          ["b", hermit],
        ]),
      ),
      /2 node\(s\) didn't satisfy existing pods anti-affinity rules/,
    );
  });

  it("lets terms choose namespaces by their labels", () => {
    const nodes = ["a", "b"].map((zone) => node(zone, { labels: { zone } }));
    const space = (name: string, team: string): Namespace => ({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name, labels: { team } },
      spec: {},
    });
    const term = { ...near, namespaceSelector: { matchLabels: { team: "blue" } } };
    const affinity = {
      podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] },
    };
    const there = [["a", pod({}, { app: "web" }, "q", "other")]] as const;
    const wanting = pod({ affinity });
    assert.equal(place(wanting, cluster(nodes, there, [space("other", "blue")])), "b");
    assert.equal(
      place(
        wanting,
        cluster(nodes, [...there, ["b", pod()], ["b", pod()]], [space("other", "red")]),
      ),
      "a",
    );
  });

  it("spreads Pods over domains as constraints ask", () => {
    const zones = [
      ["a1", "a"],
      ["a2", "a"],
      ["b1", "b"],
    ] as const;
    const nodes = zones.map(([name, zone]) => node(name, { labels: { zone } }));
    const constraint = { maxSkew: 1, topologyKey: "zone", labelSelector: web };
    const spread = (whenUnsatisfiable: string, more = {}): Pod =>
      pod(
        { topologySpreadConstraints: [{ ...constraint, ...more, whenUnsatisfiable }] },
        { app: "web" },
      );
    const placed = [
      ["a1", pod({}, { app: "web" })],
      ["b1", pod()],
      ["b1", pod()],
    ] as const;
    assert.equal(place(spread("DoNotSchedule"), cluster(nodes, placed)), "b1");
    assert.equal(place(spread("ScheduleAnyway"), cluster(nodes, placed)), "b1");
    const full = [
      ...nodes.slice(0, 2),
      node("b1", { labels: { zone: "b" }, spec: { unschedulable: true } }),
    ];
    assert.equal(
      place(spread("DoNotSchedule"), cluster(full, placed)),
      "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match pod topology spread constraints.",
    );
    assert.equal(place(spread("ScheduleAnyway"), cluster(full, placed)), "a2");
    // Fewer domains than asked for: the least counts as empty.
    const both = [...placed, ["b1", pod({}, { app: "web" })]] as const;
    assert.match(place(spread("DoNotSchedule", { minDomains: 3 }), cluster(nodes, both)), /3 node/);
    assert.match(
      place(spread("DoNotSchedule", { topologyKey: "rack" }), cluster(nodes)),
      /3 node\(s\) didn't match pod topology spread constraints \(missing required label\)/,
    );
  });
});

describe("ClusterView", () => {
  it("says the same after any changes as one that is made anew", () => {
    const labels = fc.constantFrom<Labels>({ app: "web" }, { app: "db" }, {});
    const step = fc.record({
      name: fc.constantFrom("p", "q", "r", "s"),
      on: fc.constantFrom("a", "b", ""),
      labels,
      cpu: fc.constantFrom("100m", "1"),
      isApart: fc.boolean(),
    });
    const affinity = {
      podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [near] },
    };
    const nodes = ["a", "b"].map((zone) =>
      node(zone, { labels: { zone }, allocatable: { cpu: "3", memory: "1Gi" } }),
    );
    const probe = pod({ affinity, ...asking("1") }, { app: "web" });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const view = cluster(nodes);
        const there = new Map<string, readonly [string, Pod]>();
        steps.forEach(({ name, on, labels: given, cpu, isApart }, i) => {
          place(probe, view); // So that its queries are tracked.
          const old = there.get(name);
          if (old !== undefined) view.removePod(keyOf(old[1]), old[0]);
          there.delete(name);
          if (on === "") return;
          const made = pod({ ...asking(cpu), ...(isApart ? { affinity } : {}) }, given, name);
          const next = { ...made, metadata: { ...made.metadata, uid: String(i) } };
          view.putPod(keyOf(next), on, next);
          there.set(name, [on, next]);
        });
        const anew = new ClusterView(() => []);
        for (const one of nodes) anew.putNode(one);
        for (const [on, one] of there.values()) anew.putPod(keyOf(one), on, one);
        assert.deepEqual(planPlacement(probe, view), planPlacement(probe, anew));
        const plain = pod({}, { app: "web" });
        assert.deepEqual(planPlacement(plain, view), planPlacement(plain, anew));
      }),
    );
  });

  it("does not call a heartbeat a change", () => {
    const view = cluster([node("a")]);
    assert.equal(view.putNode(node("a")), false);
    assert.equal(view.putNode(node("a", { spec: { unschedulable: true } })), true);
  });
});

describe("podRequests()", () => {
  const container = (cpu: string, more = {}) => ({
    name: "c",
    resources: { requests: { cpu } },
    ...more,
  });
  it("adds containers and sidecars, and takes the larger of them and of what starts before", () => {
    const cases: readonly (readonly [Partial<PodSpec>, number])[] = [
      [{ containers: [container("100m"), container("0.2")] }, 300],
      [{ containers: [container("100m")], initContainers: [container("1")] }, 1000],
      [
        {
          containers: [container("100m")],
          initContainers: [container("200m", { restartPolicy: "Always" }), container("150m")],
        },
        350,
      ],
      [{ containers: [container("100m")], overhead: { cpu: "50m" } }, 150],
      [{ containers: [container("100m")], resources: { requests: { cpu: "2" } } }, 2000],
    ];
    for (const [spec, expected] of cases) {
      assert.equal(podRequests(pod(spec)).get("cpu"), expected);
    }
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
