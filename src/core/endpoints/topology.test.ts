import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import type { Node } from "../../api/v1/node.ts";
import type { Pod } from "../../api/v1/pod.ts";
import type { Service, ServiceSpec } from "../../api/v1/service.ts";
import { planSlices } from "./slices.ts";
import type { SlicePlan } from "./slices.ts";
import { planTopology, topologyNews, wantsTopology } from "./topology.ts";
import type { ReadyEndpoint, TopologyOutcome } from "./topology.ts";
import { isSameCapacity, zoneCapacityOf } from "./zone-capacity.ts";
import type { ZoneCapacity } from "./zone-capacity.ts";

const ZONE = "topology.kubernetes.io/zone";
const AUTO = { "service.kubernetes.io/topology-mode": "Auto" };

function node(
  name: string,
  zone: string | undefined,
  given: { cpu?: string; ready?: boolean; labels?: Record<string, string> } = {},
): Node {
  const { cpu = "4", ready = true, labels = {} } = given;
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels: { ...labels, ...(zone === undefined ? {} : { [ZONE]: zone }) } },
    spec: {},
    status: {
      conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
      ...(cpu === "" ? {} : { allocatable: { cpu } }),
    },
  };
}

/** The node `zone-1` is in the zone `zone`. */
const NODES = ["a", "b", "c"].map((zone) => node(`${zone}-1`, zone));

function pod(name: string, nodeName: string, ready = true): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "ns", uid: name, labels: { app: "web" } },
    spec: { containers: [{ name: "c" }], nodeName },
    status: {
      phase: "Running",
      podIPs: [{ ip: `10.0.0.${name.replace(/\D/g, "")}` }],
      conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
    },
  };
}

function service(
  spec: Partial<ServiceSpec> = {},
  annotations: Record<string, string> = {},
): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "ns", uid: "s", annotations },
    spec: {
      type: "ClusterIP",
      sessionAffinity: "None",
      ipFamilies: ["IPv4"],
      selector: { app: "web" },
      ports: [{ port: 80, protocol: "TCP", targetPort: 8080 }],
      ...spec,
    },
  };
}

function plan(
  given: Service,
  pods: readonly Pod[],
  slices: readonly EndpointSlice[] = [],
  nodes: readonly Node[] = NODES,
): SlicePlan {
  return planSlices({
    service: given,
    pods,
    slices,
    nodeOf: (name) => nodes.find(({ metadata }) => metadata.name === name),
    zoneCapacity: () => zoneCapacityOf(nodes),
  });
}

/** The slices that there are after the plan. */
function apply(slices: readonly EndpointSlice[], todo: SlicePlan): readonly EndpointSlice[] {
  const changed = [...todo.update, ...todo.delete].map(({ metadata }) => metadata.name);
  return [
    ...slices.filter(({ metadata }) => !changed.includes(metadata.name)),
    ...todo.update,
    ...todo.create.map(
      (draft, i): EndpointSlice => ({
        ...draft,
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: { ...draft.metadata, name: `web-${String(slices.length + i)}` },
      }),
    ),
  ];
}

/** Each Pod's hints, as text. */
function hintsOf(slices: readonly EndpointSlice[]): Record<string, string> {
  const entries = slices
    .flatMap(({ endpoints }) => endpoints)
    .map(({ targetRef, hints }) => {
      const zones = (hints?.forZones ?? []).map(({ name }) => name);
      const nodes = (hints?.forNodes ?? []).map(({ name }) => name);
      return [targetRef?.name ?? "", [...zones, ...nodes].join()] as const;
    });
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

const spread = [pod("p1", "a-1"), pod("p2", "b-1"), pod("p3", "c-1")];

describe("spec.trafficDistribution", () => {
  it("TOPO-001: PreferClose and PreferSameZone give each ready endpoint its own zone", () => {
    for (const trafficDistribution of ["PreferClose", "PreferSameZone"]) {
      const slices = apply([], plan(service({ trafficDistribution }), spread));
      assert.deepEqual(hintsOf(slices), { p1: "a", p2: "b", p3: "c" });
    }
  });

  it("TOPO-002: PreferSameNode adds its node", () => {
    const slices = apply([], plan(service({ trafficDistribution: "PreferSameNode" }), spread));
    assert.deepEqual(hintsOf(slices), { p1: "a,a-1", p2: "b,b-1", p3: "c,c-1" });
  });

  it("TOPO-003: endpoints that are not ready or in no zone have none, and clearing it clears all", () => {
    const nodes = [...NODES, node("n-1", undefined)];
    const pods = [pod("p1", "a-1"), pod("p2", "b-1", false), pod("p3", "n-1")];
    const close = service({ trafficDistribution: "PreferClose" });
    const slices = apply([], plan(close, pods, [], nodes));
    assert.deepEqual(hintsOf(slices), { p1: "a", p2: "", p3: "" });
    const ready = pods.with(1, pod("p2", "b-1"));
    assert.equal(hintsOf(apply(slices, plan(close, ready, slices, nodes)))["p2"], "b");
    const cleared = plan(service(), pods, slices, nodes);
    assert.equal(cleared.update.length, 1);
    assert.deepEqual(hintsOf(apply(slices, cleared)), { p1: "", p2: "", p3: "" });
  });

  it("EPS-038: hints that are as they should be are not written again", () => {
    for (const given of [service({ trafficDistribution: "PreferSameNode" }), service({}, AUTO)]) {
      const slices = apply([], plan(given, spread));
      const again = plan(given, spread, slices);
      assert.deepEqual([again.create, again.update, again.delete], [[], [], []]);
    }
  });
});

describe("wantsTopology()", () => {
  it("TOPO-004, TOPO-006: Auto or auto, and the older annotation wins", () => {
    const mode = "service.kubernetes.io/topology-mode";
    const older = "service.kubernetes.io/topology-aware-hints";
    const cases: readonly [Record<string, string>, boolean][] = [
      [{}, false],
      [{ [mode]: "Auto" }, true],
      [{ [mode]: "auto" }, true],
      [{ [older]: "auto" }, true],
      [{ [mode]: "AUTO" }, false],
      [{ [mode]: "Disabled" }, false],
      [{ [mode]: "Auto", [older]: "Disabled" }, false],
      [{ [mode]: "Disabled", [older]: "Auto" }, true],
    ];
    for (const [annotations, wanted] of cases) {
      assert.equal(wantsTopology(service({}, annotations)), wanted, JSON.stringify(annotations));
    }
  });
});

describe("planSlices() and topology-mode: Auto", () => {
  it("TOPO-005: goes before trafficDistribution", () => {
    const both = service({ trafficDistribution: "PreferSameNode" }, AUTO);
    assert.deepEqual(hintsOf(apply([], plan(both, spread))), { p1: "a", p2: "b", p3: "c" });
    const other = service(
      { trafficDistribution: "PreferClose" },
      { ...AUTO, "service.kubernetes.io/topology-mode": "x" },
    );
    assert.deepEqual(hintsOf(apply([], plan(other, spread))), { p1: "a", p2: "b", p3: "c" });
  });

  it("TOPO-007: leaves out nodes that are not ready or of the control plane; one that says too little stops all", () => {
    const control = { labels: { "node-role.kubernetes.io/control-plane": "" } };
    const uncounted = [node("x", undefined, { ready: false }), node("y", undefined, control)];
    assert.deepEqual(zoneCapacityOf([...NODES, ...uncounted]), zoneCapacityOf(NODES));
    for (const vague of [node("z", undefined), node("z", "a", { cpu: "" })]) {
      assert.deepEqual(zoneCapacityOf([...NODES, vague]), { kind: "unknown" });
      const slices = apply([], plan(service({}, AUTO), spread, [], [...NODES, vague]));
      assert.deepEqual(hintsOf(slices), { p1: "", p2: "", p3: "" });
    }
  });

  it("TOPO-008, TOPO-009, TOPO-011: says why there are no hints, and takes back what there were", () => {
    const cases: readonly [string, readonly Pod[], readonly Node[]][] = [
      ["Insufficient number of endpoints (2 endpoints, 3 zones)", spread.slice(1), NODES],
      ["Nodes only ready in one zone", spread, NODES.slice(0, 1)],
      [
        "One or more endpoints do not have a zone specified",
        [...spread, pod("p4", "n-1")],
        [...NODES, node("n-1", undefined, { labels: { "node-role.kubernetes.io/master": "" } })],
      ],
      [
        "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold (3 endpoints, 2 zones)",
        spread,
        NODES.slice(0, 2).concat(node("c-1", "b"), node("a-2", "a")),
      ],
      [
        "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes",
        spread,
        [],
      ],
    ];
    const auto = service({}, AUTO);
    const hinted = apply([], plan(auto, spread));
    for (const [why, pods, nodes] of cases) {
      const todo = plan(auto, pods, hinted, nodes.length > 0 ? nodes : [node("c-1", undefined)]);
      const outcome = todo.topology.get("IPv4");
      assert.ok(outcome?.kind === "refused", why);
      assert.equal(outcome.why + outcome.detail, why);
      assert.ok(Object.values(hintsOf(apply(hinted, todo))).every((hint) => hint === ""));
    }
  });

  it("TOPO-010: gives endpoints their own zone, and some away to zones that are short", () => {
    const big = [node("a-1", "a"), node("b-1", "b")];
    const own = [pod("p1", "a-1"), pod("p2", "a-1"), pod("p3", "b-1"), pod("p4", "b-1")];
    const auto = service({}, AUTO);
    assert.deepEqual(hintsOf(apply([], plan(auto, own, [], big))), {
      p1: "a",
      p2: "a",
      p3: "b",
      p4: "b",
    });
    const crowded = Array.from({ length: 4 }, (_, i) => pod(`p${String(i)}`, "a-1"));
    const hints = Object.values(hintsOf(apply([], plan(auto, crowded, [], big))));
    assert.deepEqual(hints.toSorted(), ["a", "a", "b", "b"]);
  });

  it("TOPO-014: a changed zone, CPU or readiness of a node counts, and nothing else of it does", () => {
    const [before] = NODES;
    assert.ok(isSameCapacity(before, node("a-1", "a", { labels: { other: "x" } })));
    const others = [
      node("a-1", "b"),
      node("a-1", "a", { cpu: "8" }),
      node("a-1", "a", { ready: false }),
      node("a-1", "a", { labels: { "node-role.kubernetes.io/control-plane": "" } }),
      undefined,
    ];
    for (const after of others) assert.ok(!isSameCapacity(before, after));
  });
});

describe("topologyNews()", () => {
  const off: TopologyOutcome = { kind: "off" };
  const hinted: TopologyOutcome = { kind: "hinted", zones: new Map() };
  const refused = (why: string, detail = ""): TopologyOutcome => ({ kind: "refused", why, detail });

  it("TOPO-012: tells of hints when they come and when they go, with the family", () => {
    assert.deepEqual(topologyNews("IPv6", off, hinted), {
      type: "Normal",
      reason: "TopologyAwareHintsEnabled",
      message: "Topology Aware Hints has been enabled, addressType: IPv6",
    });
    assert.deepEqual(topologyNews("IPv4", hinted, refused("Few", " (1 endpoints, 2 zones)")), {
      type: "Warning",
      reason: "TopologyAwareHintsDisabled",
      message: "Few (1 endpoints, 2 zones), addressType: IPv4",
    });
  });

  it("TOPO-013: tells once, and once more when the annotation is removed", () => {
    assert.equal(topologyNews("IPv4", hinted, hinted), undefined);
    assert.equal(topologyNews("IPv4", refused("Few", " 1"), refused("Few", " 2")), undefined);
    assert.equal(topologyNews("IPv4", refused("Few"), refused("Other"))?.type, "Warning");
    assert.equal(
      topologyNews("IPv4", hinted, off)?.message,
      "Topology Aware Hints has been disabled, addressType: IPv4",
    );
    assert.equal(topologyNews("IPv4", off, off), undefined);
    assert.equal(topologyNews("IPv4", refused("Few"), off), undefined);
  });
});

describe("planTopology() laws", () => {
  const zoneNames = ["a", "b", "c", "d"];
  const capacity = fc
    .array(fc.integer({ min: 1, max: 20 }), { minLength: 2, maxLength: 4 })
    .map((cpus): ZoneCapacity & { kind: "known" } => {
      const total = cpus.reduce((sum, cpu) => sum + cpu, 0);
      const shares = cpus.map((cpu, i) => [zoneNames[i] ?? "", cpu / total] as const);
      return { kind: "known", shares: new Map(shares) };
    });
  const endpoints = fc
    .uniqueArray(fc.tuple(fc.integer({ min: 0, max: 99 }), fc.constantFrom(...zoneNames)), {
      selector: ([id]) => id,
      minLength: 1,
      maxLength: 40,
    })
    .map((list) => list.map(([id, zone]): ReadyEndpoint => ({ key: `p${String(id)}`, zone })));

  it("TOPO-009, TOPO-010: every endpoint has one zone that has nodes, and none is overloaded", () => {
    fc.assert(
      fc.property(capacity, endpoints, endpoints, (known, first, second) => {
        let before: ReadonlyMap<string, string> = new Map();
        for (const now of [first, second]) {
          const outcome = planTopology(now, before, known);
          if (outcome.kind === "refused") continue;
          const { zones } = outcome;
          assert.deepEqual([...zones.keys()].toSorted(), now.map(({ key }) => key).toSorted());
          const counts = new Map([...known.shares.keys()].map((zone) => [zone, 0]));
          for (const zone of zones.values()) counts.set(zone, (counts.get(zone) ?? NaN) + 1);
          for (const [zone, share] of known.shares) {
            const load = (share * now.length) / (counts.get(zone) ?? 0);
            assert.ok(load <= 1.2 + 1e-6, `${zone} has ${String(load)} of its share`);
          }
          // What is settled stays, in whatever order it comes.
          const again = planTopology(now.toReversed(), zones, known);
          assert.ok(again.kind === "hinted");
          assert.deepEqual(again.zones, zones);
          before = zones;
        }
      }),
    );
  });

  it("TOPO-010: one endpoint less changes the zones of a few others at most", () => {
    fc.assert(
      fc.property(capacity, endpoints, (known, all) => {
        const full = planTopology(all, new Map(), known);
        const rest = all.slice(1);
        if (full.kind === "refused") return;
        const less = planTopology(rest, full.zones, known);
        if (less.kind === "refused") return;
        const moved = rest.filter(({ key }) => full.zones.get(key) !== less.zones.get(key));
        assert.ok(moved.length <= known.shares.size, `${String(moved.length)} moved`);
      }),
    );
  });
});
