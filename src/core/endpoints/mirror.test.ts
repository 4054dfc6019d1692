import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import type { Endpoints, EndpointSubset } from "../../api/v1/endpoints.ts";
import type { Service } from "../../api/v1/service.ts";
import { isMirrored, isMirrorSlice, planMirror } from "./mirror.ts";
import type { MirrorPlan } from "./mirror.ts";

function endpoints(
  subsets: readonly EndpointSubset[],
  metadata: Partial<Endpoints["metadata"]> = {},
): Endpoints {
  return {
    apiVersion: "v1",
    kind: "Endpoints",
    metadata: { name: "db", namespace: "ns", uid: "e1", ...metadata },
    subsets,
  };
}

function service(selector?: Record<string, string>): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "db", namespace: "ns" },
    spec: {
      type: "ClusterIP",
      sessionAffinity: "None",
      ...(selector === undefined ? {} : { selector }),
    },
  };
}

let made = 0;

function apply(slices: readonly EndpointSlice[], todo: MirrorPlan): readonly EndpointSlice[] {
  const changed = new Set([...todo.update, ...todo.delete].map(({ metadata }) => metadata.name));
  return [
    ...slices.filter(({ metadata }) => !changed.has(metadata.name)),
    ...todo.update,
    ...todo.create.map((draft): EndpointSlice => {
      made++;
      return {
        ...draft,
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: { ...draft.metadata, name: `db-${String(made)}` },
      };
    }),
  ];
}

function writes(todo: MirrorPlan): readonly number[] {
  return [todo.create.length, todo.update.length, todo.delete.length];
}

const port = (number: number, name = ""): { name: string; port: number; protocol: "TCP" } => ({
  name,
  port: number,
  protocol: "TCP",
});

/** `family ports: addresses` of each slice, not ready ones with a mark. */
function summary(slices: readonly EndpointSlice[]): readonly string[] {
  return slices
    .map(({ addressType, ports = [], endpoints: list }) => {
      const numbers = ports.map((p) => String(p.port)).join();
      const listed = list.map((e) => e.addresses.join() + (e.conditions.ready === true ? "" : "!"));
      return `${addressType} ${numbers}: ${listed.toSorted().join(" ")}`;
    })
    .toSorted();
}

function mirrored(subsets: readonly EndpointSubset[]): readonly EndpointSlice[] {
  return apply([], planMirror(endpoints(subsets), []));
}

describe("isMirrored()", () => {
  it("MIRR-002, MIRR-013: a user's Endpoints of a Service without selector, unless told otherwise", () => {
    assert.ok(isMirrored(endpoints([]), service()));
    assert.ok(!isMirrored(endpoints([]), service({ app: "db" })));
    assert.ok(!isMirrored(endpoints([]), undefined));
    const skip = { labels: { "endpointslice.kubernetes.io/skip-mirror": "true" } };
    assert.ok(!isMirrored(endpoints([], skip), service()));
    const other = { labels: { "endpointslice.kubernetes.io/skip-mirror": "false" } };
    assert.ok(isMirrored(endpoints([], other), service()));
    const leader = { annotations: { "control-plane.alpha.kubernetes.io/leader": "{}" } };
    assert.ok(!isMirrored(endpoints([], leader), service()));
  });
});

describe("planMirror()", () => {
  it("MIRR-003: the slices are owned by the Endpoints and labelled with the Service", () => {
    const [slice] = mirrored([{ addresses: [{ ip: "192.0.2.1" }], ports: [port(80)] }]);
    assert.ok(slice !== undefined && isMirrorSlice(slice));
    assert.equal(slice.metadata.generateName, "db-");
    assert.deepEqual(slice.metadata.labels, {
      "kubernetes.io/service-name": "db",
      "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
    });
    assert.deepEqual(slice.metadata.ownerReferences, [
      {
        apiVersion: "v1",
        kind: "Endpoints",
        name: "db",
        uid: "e1",
        controller: true,
        blockOwnerDeletion: true,
      },
    ]);
  });

  it("MIRR-004: copies labels and annotations, but not the trigger time and what kubectl applied", () => {
    const subsets = [{ addresses: [{ ip: "192.0.2.1" }], ports: [port(80)] }];
    const annotations = {
      "example.com/a": "1",
      "endpoints.kubernetes.io/last-change-trigger-time": "2025-01-01T00:00:00Z",
      "kubectl.kubernetes.io/last-applied-configuration": "{}",
    };
    const slices = apply(
      [],
      planMirror(endpoints(subsets, { labels: { tier: "x" }, annotations }), []),
    );
    assert.equal(slices[0]?.metadata.labels?.["tier"], "x");
    assert.deepEqual(slices[0]?.metadata.annotations, { "example.com/a": "1" });
    const relabelled = planMirror(endpoints(subsets, { labels: { tier: "y" } }), slices);
    assert.deepEqual(writes(relabelled), [0, 1, 0]);
    const [now] = apply(slices, relabelled);
    assert.deepEqual([now?.metadata.labels?.["tier"], now?.metadata.annotations], ["y", undefined]);
  });

  it("MIRR-005, MIRR-006: keeps readiness, host name, node and target, and claims nothing else", () => {
    const targetRef = { kind: "Pod", namespace: "ns", name: "p", uid: "u" };
    const [slice] = mirrored([
      {
        addresses: [{ ip: "192.0.2.1", hostname: "h", nodeName: "n", targetRef }],
        notReadyAddresses: [{ ip: "192.0.2.2" }],
        ports: [port(80)],
      },
    ]);
    const byAddress = slice?.endpoints.toSorted((a, b) =>
      a.addresses.join() < b.addresses.join() ? -1 : 1,
    );
    assert.deepEqual(byAddress, [
      {
        addresses: ["192.0.2.1"],
        conditions: { ready: true },
        hostname: "h",
        nodeName: "n",
        targetRef,
      },
      { addresses: ["192.0.2.2"], conditions: { ready: false } },
    ]);
  });

  it("MIRR-007: puts the families of one subset into slices of their own", () => {
    const both = [{ ip: "192.0.2.1" }, { ip: "2001:db8::1" }];
    assert.deepEqual(summary(mirrored([{ addresses: both, ports: [port(80)] }])), [
      "IPv4 80: 192.0.2.1",
      "IPv6 80: 2001:db8::1",
    ]);
  });

  it("MIRR-008: addresses in several subsets get the ports of all", () => {
    const slices = mirrored([
      { addresses: [{ ip: "192.0.2.1" }, { ip: "192.0.2.2" }], ports: [port(80, "http")] },
      { addresses: [{ ip: "192.0.2.1" }], ports: [port(90, "admin")] },
      { notReadyAddresses: [{ ip: "192.0.2.2" }], ports: [port(70, "slow")] },
    ]);
    assert.deepEqual(summary(slices), [
      "IPv4 70: 192.0.2.2!",
      "IPv4 80: 192.0.2.2",
      "IPv4 90,80: 192.0.2.1",
    ]);
  });

  it("MIRR-009: mirrors 1000 addresses of a subset, the ready ones first, and counts the rest", () => {
    const list = (count: number, net: number): { ip: string }[] =>
      Array.from({ length: count }, (_, i) => ({
        ip: `10.${String(net)}.${String(i >> 8)}.${String(i & 255)}`,
      }));
    const given = endpoints([
      { notReadyAddresses: list(300, 1), addresses: list(900, 2), ports: [port(80)] },
    ]);
    const todo = planMirror(given, []);
    assert.equal(todo.skippedAddresses, 200);
    const [slice] = apply([], todo);
    const ready = slice?.endpoints.filter(({ conditions }) => conditions.ready === true) ?? [];
    assert.deepEqual([slice?.endpoints.length, ready.length], [1000, 900]);
  });

  it("MIRR-010: leaves out what is no address, and counts it", () => {
    const todo = planMirror(
      endpoints([{ addresses: [{ ip: "db.example" }, { ip: "192.0.2.1" }], ports: [port(80)] }]),
      [],
    );
    assert.equal(todo.invalidAddresses, 1);
    assert.deepEqual(summary(apply([], todo)), ["IPv4 80: 192.0.2.1"]);
  });

  it("MIRR-012: of empty Endpoints no slice is left", () => {
    const slices = mirrored([{ addresses: [{ ip: "192.0.2.1" }], ports: [port(80)] }]);
    assert.deepEqual(writes(planMirror(endpoints([]), slices)), [0, 0, 1]);
  });

  it("replaces the slices of Endpoints that were made anew", () => {
    const subsets = [{ addresses: [{ ip: "192.0.2.1" }], ports: [port(80)] }];
    const slices = mirrored(subsets);
    assert.deepEqual(writes(planMirror(endpoints(subsets, { uid: "e2" }), slices)), [1, 0, 1]);
  });
});

describe("planMirror() laws", () => {
  const someAddresses = fc.uniqueArray(
    fc.integer({ min: 1, max: 9 }).map((n) => ({ ip: `192.0.2.${String(n)}` })),
    { selector: ({ ip }) => ip, maxLength: 5 },
  );
  const somePorts = fc.uniqueArray(
    fc.constantFrom(80, 81, 82).map((n) => port(n, `p${String(n)}`)),
    { selector: ({ name }) => name, minLength: 1, maxLength: 3 },
  );
  const someSubsets = fc.array(
    fc.record({ addresses: someAddresses, notReadyAddresses: someAddresses, ports: somePorts }),
    { maxLength: 4 },
  );

  /** Every pair of address and port, with a mark when it is not ready. */
  const pairsOf = (subsets: readonly EndpointSubset[]): readonly string[] => {
    const ready = new Map<string, boolean>();
    for (const { addresses = [], notReadyAddresses = [], ports = [] } of subsets) {
      for (const p of ports) {
        for (const { ip } of addresses) {
          const pair = `${ip}:${String(p.port)}`;
          ready.set(pair, ready.get(pair) ?? true);
        }
        for (const { ip } of notReadyAddresses) ready.set(`${ip}:${String(p.port)}`, false);
      }
    }
    return [...ready].map(([pair, isReady]) => pair + (isReady ? "" : "!")).toSorted();
  };

  it("MIRR-001, MIRR-008: the slices say of each address and port what the Endpoints say, and stay", () => {
    fc.assert(
      fc.property(fc.array(someSubsets, { minLength: 1, maxLength: 4 }), (course) => {
        let slices: readonly EndpointSlice[] = [];
        for (const subsets of course) {
          slices = apply(slices, planMirror(endpoints(subsets), slices));
          const listed = slices.flatMap(({ ports = [], endpoints: list }) =>
            list.flatMap(({ addresses, conditions }) =>
              ports.map((p) => {
                const pair = `${addresses.join()}:${String(p.port)}`;
                return pair + (conditions.ready === true ? "" : "!");
              }),
            ),
          );
          assert.deepEqual(listed.toSorted(), pairsOf(subsets));
          assert.deepEqual(writes(planMirror(endpoints(subsets), slices)), [0, 0, 0]);
        }
      }),
    );
  });
});
