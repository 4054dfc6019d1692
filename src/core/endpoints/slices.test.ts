import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Endpoint, EndpointSlice } from "../../api/discovery/endpointslice.ts";
import type { Node } from "../../api/v1/node.ts";
import type { Pod, PodSpec } from "../../api/v1/pod.ts";
import type { PodStatus } from "../../api/v1/pod-status.ts";
import type { Service, ServiceSpec } from "../../api/v1/service.ts";
import { isSameForEndpoints } from "./pod-address.ts";
import { planSlices } from "./slices.ts";
import type { SlicePlan, SlicesObserved } from "./slices.ts";
import { planTriggerTime } from "./trigger-time.ts";

function service(spec: Partial<ServiceSpec> = {}, labels: Record<string, string> = {}): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "ns", uid: "service-1", labels },
    spec: {
      type: "ClusterIP",
      clusterIP: "10.0.0.7",
      ipFamilies: ["IPv4"],
      sessionAffinity: "None",
      selector: { app: "web" },
      ports: [{ name: "http", port: 80, protocol: "TCP", targetPort: 8080 }],
      ...spec,
    },
  };
}

interface PodGiven {
  readonly ready?: boolean;
  readonly terminating?: boolean;
  readonly ips?: readonly string[];
  readonly spec?: Partial<PodSpec>;
  readonly status?: Partial<PodStatus>;
  readonly uid?: string;
}

function pod(name: string, given: PodGiven = {}): Pod {
  const { ready = true, terminating = false, ips = [`10.1.0.${name.replace(/\D/g, "")}`] } = given;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: "ns",
      uid: given.uid ?? `uid-${name}`,
      labels: { app: "web" },
      ...(terminating ? { deletionTimestamp: "2025-01-01T00:00:30Z" } : {}),
    },
    spec: { containers: [{ name: "c" }], nodeName: "node-a", ...given.spec },
    status: {
      phase: "Running",
      podIPs: ips.map((ip) => ({ ip })),
      conditions: [
        {
          type: "Ready",
          status: ready ? "True" : "False",
          lastTransitionTime: "2025-01-01T00:00:00Z",
        },
      ],
      ...given.status,
    },
  };
}

function pods(count: number): readonly Pod[] {
  return Array.from({ length: count }, (_, i) =>
    pod(`p${String(i)}`, { ips: [`10.${String(1 + (i >> 8))}.0.${String(i & 255)}`] }),
  );
}

const NODE: Node = {
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "node-a", labels: { "topology.kubernetes.io/zone": "zone-a" } },
  spec: {},
};

function plan(observed: Partial<SlicesObserved>): SlicePlan {
  return planSlices({
    service: service(),
    pods: [],
    slices: [],
    nodeOf: (name) => (name === NODE.metadata.name ? NODE : undefined),
    ...observed,
  });
}

let names = 0;

/** What the API server would hold after the plan was carried out. */
function apply(slices: readonly EndpointSlice[], todo: SlicePlan): readonly EndpointSlice[] {
  const gone = new Set(todo.delete.map(({ metadata }) => metadata.name));
  const updated = new Map(todo.update.map((slice) => [slice.metadata.name, slice]));
  return [
    ...slices
      .filter(({ metadata }) => !gone.has(metadata.name))
      .map((slice) => updated.get(slice.metadata.name) ?? slice),
    ...todo.create.map((draft): EndpointSlice => {
      names++;
      const { addressType, endpoints, ports } = draft;
      return {
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: {
          ...draft.metadata,
          name: `web-${String(names)}`,
          uid: `slice-${String(names)}`,
        },
        addressType,
        endpoints,
        ports,
      };
    }),
  ];
}

function settle(observed: Partial<SlicesObserved>): readonly EndpointSlice[] {
  return apply(observed.slices ?? [], plan(observed));
}

function sizes(slices: readonly EndpointSlice[]): readonly number[] {
  return slices.map(({ endpoints }) => endpoints.length).toSorted((a, b) => b - a);
}

function only<T>(list: readonly T[]): T {
  const [first] = list;
  assert.ok(first !== undefined && list.length === 1, `expected one, got ${String(list.length)}`);
  return first;
}

function endpointsOf(slices: readonly EndpointSlice[]): readonly Endpoint[] {
  return slices.flatMap(({ endpoints }) => endpoints);
}

function writes(todo: SlicePlan): number {
  return todo.create.length + todo.update.length + todo.delete.length;
}

describe("planSlices() and endpoints", () => {
  it("EPS-001, 022, 025, 026, 033: lists a ready Pod with address, target, node, zone and ports", () => {
    const slice = only(settle({ pods: [pod("p1")] }));
    assert.deepEqual(slice.endpoints, [
      {
        addresses: ["10.1.0.1"],
        conditions: { ready: true, serving: true, terminating: false },
        targetRef: { kind: "Pod", namespace: "ns", name: "p1", uid: "uid-p1" },
        nodeName: "node-a",
        zone: "zone-a",
      },
    ]);
    assert.deepEqual(slice.ports, [{ name: "http", protocol: "TCP", port: 8080 }]);
    assert.equal(slice.addressType, "IPv4");
  });

  it("EPS-008..010: names, labels and owns its slices; users cannot set the reserved labels", () => {
    const labels = {
      tier: "front",
      "kubernetes.io/service-name": "other",
      "endpointslice.kubernetes.io/managed-by": "me",
      "service.kubernetes.io/headless": "yes",
    };
    const draft = only(plan({ service: service({}, labels) }).create);
    assert.equal(draft.metadata.generateName, "web-");
    assert.deepEqual(draft.metadata.labels, {
      tier: "front",
      "kubernetes.io/service-name": "web",
      "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    });
    assert.deepEqual(draft.metadata.ownerReferences, [
      {
        apiVersion: "v1",
        kind: "Service",
        name: "web",
        uid: "service-1",
        controller: true,
        blockOwnerDeletion: true,
      },
    ]);
    const headless = only(plan({ service: service({ clusterIP: "None" }) }).create);
    assert.equal(headless.metadata.labels?.["service.kubernetes.io/headless"], "");
  });

  it("EPS-020, 021: leaves out Pods that ended or have no address, keeps terminating ones", () => {
    const slice = only(
      settle({
        service: service({ publishNotReadyAddresses: true }),
        pods: [
          pod("p1", { status: { phase: "Succeeded" } }),
          pod("p2", { status: { phase: "Failed" } }),
          pod("p3", { ips: [] }),
          pod("p4", { terminating: true }),
          pod("p5", { ips: ["fd00::5"] }),
        ],
      }),
    );
    assert.deepEqual(
      slice.endpoints.map(({ targetRef }) => targetRef?.name),
      ["p4"],
    );
  });

  it("EPS-022, 023: tells ready, serving and terminating apart", () => {
    const conditions = (given: PodGiven, spec: Partial<ServiceSpec> = {}): unknown =>
      only(endpointsOf(settle({ service: service(spec), pods: [pod("p1", given)] }))).conditions;
    const [ready, serving, terminating] = [true, true, true];
    assert.deepEqual(conditions({}), { ready, serving, terminating: false });
    assert.deepEqual(conditions({ ready: false }), {
      ready: false,
      serving: false,
      terminating: false,
    });
    assert.deepEqual(conditions({ terminating }), { ready: false, serving, terminating });
    assert.deepEqual(
      conditions({ terminating, ready: false }, { publishNotReadyAddresses: true }),
      {
        ready,
        serving: false,
        terminating,
      },
    );
  });

  it("EPS-027: gives a host name only to Pods whose subdomain is the Service", () => {
    const hostname = (spec: Partial<PodSpec>): unknown =>
      only(endpointsOf(settle({ pods: [pod("p1", { spec })] }))).hostname;
    assert.equal(hostname({ hostname: "one", subdomain: "web" }), "one");
    assert.equal(hostname({ hostname: "one", subdomain: "other" }), undefined);
    assert.equal(hostname({ hostname: "one" }), undefined);
    assert.equal(hostname({ subdomain: "web" }), undefined);
  });

  it("EPS-028: skips a Pod on a node that does not exist, and says so", () => {
    const lost = pod("p1", { spec: { nodeName: "node-x" } });
    const skipped = plan({ pods: [lost] });
    assert.deepEqual(skipped.missingNodes, ["node-x"]);
    assert.deepEqual(endpointsOf(apply([], skipped)), []);
    const published = plan({ service: service({ publishNotReadyAddresses: true }), pods: [lost] });
    assert.equal(only(endpointsOf(apply([], published))).zone, undefined);
  });

  it("EPS-030, 031, 032: resolves named ports per Pod and groups by the result", () => {
    const named = (name: string, port: number, protocol: "TCP" | "UDP" = "TCP"): PodGiven => ({
      spec: {
        containers: [{ name: "c", ports: [{ name: "web", containerPort: port, protocol }] }],
      },
      ips: [`10.1.0.${name}`],
    });
    const sidecar: PodGiven = {
      spec: {
        containers: [{ name: "c" }],
        initContainers: [
          {
            name: "s",
            restartPolicy: "Always",
            ports: [{ name: "web", containerPort: 8080, protocol: "TCP" }],
          },
        ],
      },
    };
    const slices = settle({
      service: service({
        ports: [
          { name: "http", port: 80, protocol: "TCP", targetPort: "web" },
          { name: "admin", port: 81, protocol: "TCP", targetPort: 9090, appProtocol: "http" },
        ],
      }),
      pods: [
        pod("p1", named("1", 8080)),
        pod("p2", named("2", 8081)),
        pod("p3", named("3", 8080, "UDP")),
        pod("p4", sidecar),
      ],
    });
    const summary = slices.map(({ ports = [], endpoints }) => [
      ports.map(({ name, port }) => `${name ?? ""}=${String(port)}`).join(),
      endpoints.map(({ targetRef }) => targetRef?.name).join(),
    ]);
    assert.deepEqual(
      new Map(summary.map(([ports, targets]) => [ports, targets])),
      new Map([
        ["admin=9090,http=8080", "p1,p4"],
        ["admin=9090,http=8081", "p2"],
        ["admin=9090", "p3"],
      ]),
    );
    assert.equal(slices[0]?.ports?.[0]?.appProtocol, "http");
  });

  it("EPS-034: a headless Service without ports has endpoints and no ports", () => {
    const slice = only(
      settle({ service: service({ clusterIP: "None", ports: [] }), pods: [pod("p1")] }),
    );
    assert.equal(slice.endpoints.length, 1);
    assert.deepEqual(slice.ports, []);
  });

  it("EPS-029, 035: two Pods with one address are two endpoints", () => {
    const shared = ["10.9.0.1"];
    const slice = only(settle({ pods: [pod("p1", { ips: shared }), pod("p2", { ips: shared })] }));
    assert.equal(slice.endpoints.length, 2);
  });

  it("DUAL-015, DUAL-016, EPS-011: keeps a set of slices for each family, and none for a family given up", () => {
    const dual = service({ ipFamilies: ["IPv4", "IPv6"] });
    const slices = settle({
      service: dual,
      pods: [pod("p1", { ips: ["10.1.0.1", "fd00::1"] }), pod("p2", { ips: ["10.1.0.2"] })],
    });
    const byFamily = new Map(slices.map((slice) => [slice.addressType, slice.endpoints.length]));
    assert.deepEqual(
      byFamily,
      new Map([
        ["IPv4", 2],
        ["IPv6", 1],
      ]),
    );
    const single = plan({ slices, pods: [pod("p1")] });
    assert.deepEqual(
      single.delete.map(({ addressType }) => addressType),
      ["IPv6"],
    );
  });
});

describe("planSlices() and existing slices", () => {
  it("EPS-002, EPS-046: a Service without Pods has one placeholder, which is then left alone", () => {
    const slices = settle({});
    assert.deepEqual([only(slices).endpoints, only(slices).ports], [[], []]);
    assert.equal(writes(plan({ slices })), 0);
  });

  it("EPS-046, EPS-048: the placeholder turns into the first real slice, and back", () => {
    const placeholder = settle({});
    const first = plan({ slices: placeholder, pods: [pod("p1")] });
    assert.deepEqual([first.create.length, first.update.length, first.delete.length], [0, 1, 0]);
    const back = plan({ slices: apply(placeholder, first) });
    assert.deepEqual([back.create.length, back.update.length, back.delete.length], [0, 1, 0]);
    assert.deepEqual(back.update[0]?.ports, []);
  });

  it("EPS-012: deletes slices of a deleted Service of the same name instead of adopting them", () => {
    const slices = settle({ pods: [pod("p1")] });
    const again: Service = { ...service(), metadata: { ...service().metadata, uid: "service-2" } };
    const todo = plan({ service: again, slices, pods: [pod("p1")] });
    assert.deepEqual(todo.delete, slices);
    assert.equal(todo.update.length, 0);
    assert.equal(todo.create.length, 1);
  });

  it("EPS-013: puts back what somebody changed in its slice", () => {
    const slice = only(settle({ pods: [pod("p1")] }));
    const spoiled: readonly EndpointSlice[] = [
      { ...slice, endpoints: [] },
      { ...slice, ports: [] },
      { ...slice, metadata: { ...slice.metadata, labels: { ...slice.metadata.labels, x: "y" } } },
      { ...slice, endpoints: [...slice.endpoints, { addresses: ["10.1.0.99"], conditions: {} }] },
    ];
    for (const given of spoiled) {
      const mended = only(apply([given], plan({ slices: [given], pods: [pod("p1")] })));
      assert.deepEqual(
        [mended.endpoints, mended.ports, mended.metadata.labels],
        [slice.endpoints, slice.ports, slice.metadata.labels],
      );
    }
  });

  it("EPS-014: leaves slices of others alone", () => {
    const slice = only(settle({ pods: [pod("p1")] }));
    for (const manager of ["somebody-else", undefined]) {
      const labels = { "kubernetes.io/service-name": "web" };
      const theirs: EndpointSlice = {
        ...slice,
        metadata: {
          ...slice.metadata,
          labels:
            manager === undefined
              ? labels
              : { ...labels, "endpointslice.kubernetes.io/managed-by": manager },
        },
      };
      const todo = plan({ slices: [theirs] });
      assert.deepEqual([todo.create.length, todo.update.length, todo.delete.length], [1, 0, 0]);
    }
  });

  it("EPS-015: makes no slice for a Service that is being deleted", () => {
    const leaving = service();
    const todo = plan({
      service: {
        ...leaving,
        metadata: { ...leaving.metadata, deletionTimestamp: "2025-01-01T00:00:00Z" },
      },
      pods: [pod("p1")],
    });
    assert.equal(todo.create.length, 0);
  });

  it("EPS-009: follows the Service's labels, removed ones too", () => {
    const slices = settle({ service: service({}, { tier: "front" }), pods: [pod("p1")] });
    const todo = plan({ slices, pods: [pod("p1")] });
    assert.equal(only(todo.update).metadata.labels?.["tier"], undefined);
  });

  it("EPS-041: packs 250 Pods as 100, 100 and 50", () => {
    assert.deepEqual(sizes(settle({ pods: pods(250) })), [100, 100, 50]);
  });

  it("EPS-042, EPS-049: one Pod that changes, goes or comes writes one slice of many", () => {
    const all = pods(1000);
    const slices = settle({ pods: all });
    const flipped = all.map((p, i) =>
      i === 500 ? pod("p500", { ready: false, ips: ["10.2.0.244"] }) : p,
    );
    const changes = [flipped, all.toSpliced(3, 1), [...all, pod("new", { ips: ["10.9.9.9"] })]];
    for (const now of changes) assert.equal(writes(plan({ slices, pods: now })), 1);
  });

  it("EPS-043: new endpoints fill slices that are written anyway, the fullest first", () => {
    const all = pods(250);
    const slices = settle({ pods: all });
    // One goes from a full slice, one comes: only that slice is written.
    const todo = plan({ slices, pods: [...all.slice(1), pod("new", { ips: ["10.9.9.9"] })] });
    assert.equal(writes(todo), 1);
    assert.equal(only(todo.update).endpoints.length, 100);
  });

  it("EPS-044: the rest goes to the closest fit, else to a new slice", () => {
    const max = { maxEndpointsPerSlice: 10 };
    const all = pods(28);
    const slices = settle({ ...max, pods: all });
    assert.deepEqual(sizes(slices), [10, 10, 8]);
    const extra = (count: number): readonly Pod[] =>
      Array.from({ length: count }, (_, i) =>
        pod(`x${String(i)}`, { ips: [`10.9.9.${String(i)}`] }),
      );
    const fits = plan({ ...max, slices, pods: [...all, ...extra(2)] });
    assert.deepEqual([fits.create.length, fits.update.length], [0, 1]);
    const tooMany = plan({ ...max, slices, pods: [...all, ...extra(3)] });
    assert.deepEqual([tooMany.create.length, tooMany.update.length], [1, 0]);
  });

  it("EPS-045: never rebalances half-full slices", () => {
    const max = { maxEndpointsPerSlice: 10 };
    const all = pods(20);
    const kept = all.filter((_, i) => i % 2 === 0);
    const slices = settle({ ...max, pods: kept, slices: settle({ ...max, pods: all }) });
    assert.deepEqual(sizes(slices), [5, 5]);
    assert.equal(writes(plan({ ...max, pods: kept, slices })), 0);
  });

  it("EPS-047, EPS-048: changed Service ports update slices in place", () => {
    const slices = settle({ pods: pods(150) });
    const moved = service({
      ports: [{ name: "http", port: 80, protocol: "TCP", targetPort: 9090 }],
    });
    const todo = plan({ service: moved, slices, pods: pods(150) });
    assert.deepEqual([todo.create.length, todo.update.length, todo.delete.length], [0, 2, 0]);
    for (const slice of todo.update) assert.equal(slice.ports?.[0]?.port, 9090);
  });

  it("a lowered limit splits what is over it", () => {
    const slices = settle({ pods: pods(30) });
    const now = settle({ slices, pods: pods(30), maxEndpointsPerSlice: 10 });
    assert.deepEqual(sizes(now), [10, 10, 10]);
  });
});

const somePods = fc
  .uniqueArray(
    fc.record({
      id: fc.integer({ min: 1, max: 30 }),
      ready: fc.boolean(),
      terminating: fc.boolean(),
      port: fc.constantFrom(8080, 8081),
      hasIp: fc.boolean(),
    }),
    { selector: ({ id }) => id, maxLength: 30 },
  )
  .map((list) =>
    list.map(({ id, ready, terminating, port, hasIp }) =>
      pod(`p${String(id)}`, {
        ready,
        terminating,
        ...(hasIp ? {} : { ips: [] }),
        spec: {
          containers: [
            { name: "c", ports: [{ name: "web", containerPort: port, protocol: "TCP" as const }] },
          ],
        },
      }),
    ),
  );

describe("planSlices() laws", () => {
  const named = service({ ports: [{ port: 80, protocol: "TCP", targetPort: "web" }] });
  const max = { service: named, maxEndpointsPerSlice: 4 };

  it("EPS-038: whatever happened before, the slices say exactly where the Pods are, and then stay", () => {
    fc.assert(
      fc.property(fc.array(somePods, { minLength: 1, maxLength: 6 }), (course) => {
        let slices: readonly EndpointSlice[] = [];
        for (const now of course) {
          slices = settle({ ...max, slices, pods: now });
          const wanted = now
            .filter(({ status }) => (status?.podIPs ?? []).length > 0)
            .map(({ metadata }) => metadata.name);
          const listed = endpointsOf(slices).map(({ targetRef }) => targetRef?.name ?? "");
          assert.deepEqual(listed.toSorted(), wanted.toSorted());
          assert.ok(slices.length >= 1 && slices.every(({ endpoints }) => endpoints.length <= 4));
          assert.equal(writes(plan({ ...max, slices, pods: now })), 0);
        }
      }),
    );
  });

  it("does not depend on the order of what it is given", () => {
    fc.assert(
      fc.property(somePods, somePods, (before, now) => {
        const slices = settle({ ...max, pods: before });
        const given = plan({ ...max, slices, pods: now });
        const turned = plan({ ...max, slices: slices.toReversed(), pods: now.toReversed() });
        assert.deepEqual(turned, given);
      }),
    );
  });
});

describe("isSameForEndpoints()", () => {
  it("EPS-036: sees only what can change an endpoint", () => {
    const before = pod("p1");
    assert.ok(
      isSameForEndpoints(before, { ...before, status: { ...before.status, message: "x" } }),
    );
    const relabelled: Pod = { ...before, metadata: { ...before.metadata, labels: { app: "b" } } };
    const others = [
      relabelled,
      pod("p1", { ready: false }),
      pod("p1", { terminating: true }),
      pod("p1", { ips: ["10.1.0.2"] }),
      pod("p1", { status: { phase: "Failed" } }),
      pod("p1", { spec: { nodeName: "node-b" } }),
      pod("p1", { spec: { hostname: "h" } }),
      pod("p1", { uid: "other" }),
    ];
    for (const after of others) assert.equal(isSameForEndpoints(before, after), false);
  });
});

describe("planTriggerTime()", () => {
  const at = (name: string, lastTransitionTime: string): Pod =>
    pod(name, { status: { conditions: [{ type: "Ready", status: "True", lastTransitionTime }] } });
  const created: Service = {
    ...service(),
    metadata: { ...service().metadata, creationTimestamp: "2025-01-01T00:00:05Z" },
  };

  it("EPS-050: is the earliest change that was not seen before", () => {
    const first = planTriggerTime(
      created,
      [at("p1", "2025-01-01T00:00:07Z"), at("p2", "2025-01-01T00:00:06Z")],
      undefined,
    );
    assert.equal(first.triggerTime, "2025-01-01T00:00:05Z");
    const second = planTriggerTime(
      created,
      [at("p1", "2025-01-01T00:00:09Z"), at("p2", "2025-01-01T00:00:06Z")],
      first.state,
    );
    assert.equal(second.triggerTime, "2025-01-01T00:00:09Z");
    const same = planTriggerTime(
      created,
      [at("p1", "2025-01-01T00:00:09Z"), at("p2", "2025-01-01T00:00:06Z")],
      second.state,
    );
    assert.equal(same.triggerTime, undefined);
  });

  it("EPS-050: is written on slices, and taken off when a write has no trigger", () => {
    const triggerTime = "2025-01-01T00:00:07Z";
    const slices = settle({ pods: [pod("p1")], triggerTime });
    const key = "endpoints.kubernetes.io/last-change-trigger-time";
    assert.equal(only(slices).metadata.annotations?.[key], triggerTime);
    const later = only(plan({ slices, pods: [pod("p1"), pod("p2")] }).update);
    assert.equal(later.metadata.annotations, undefined);
  });
});
