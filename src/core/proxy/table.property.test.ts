import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import { keyOf } from "../../api/machinery/object-key.ts";
import type { Service } from "../../api/v1/service.ts";
import { applyChange, diffFrontends, isNoChange } from "./diff.ts";
import { HERE, packet, pickNth, service, slice } from "./fixtures.test.ts";
import { LiveTable } from "./live-table.ts";
import { route } from "./route.ts";
import { servicePart } from "./service-part.ts";
import { forwardingTable } from "./table.ts";

// Few names and addresses, so that claims collide and endpoints repeat.
const names = fc.constantFrom("a", "b", "c");
const policy = fc.constantFrom("Cluster" as const, "Local" as const);

const anyService: fc.Arbitrary<Service> = fc
  .record({
    name: names,
    type: fc.constantFrom("ClusterIP" as const, "NodePort" as const, "LoadBalancer" as const),
    clusterIP: fc.constantFrom("10.96.0.1", "10.96.0.2", "None"),
    externalIP: fc.constantFrom("10.96.0.1", "198.51.100.1", "198.51.100.2"),
    internal: policy,
    external: policy,
    nodePort: fc.constantFrom(30_000, 30_001),
    affinity: fc.constantFrom("None" as const, "ClientIP" as const),
    ranges: fc.subarray(["10.244.0.0/16", "2001:db8::/32"]),
    created: fc.constantFrom("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
  })
  .map((each) =>
    service(
      {
        type: each.type,
        clusterIP: each.clusterIP,
        clusterIPs: [each.clusterIP],
        externalIPs: [each.externalIP],
        internalTrafficPolicy: each.internal,
        externalTrafficPolicy: each.external,
        sessionAffinity: each.affinity,
        loadBalancerSourceRanges: each.ranges,
        ports: [
          { name: "http", protocol: "TCP", port: 80, nodePort: each.nodePort },
          { name: "dns", protocol: "UDP", port: 80 },
        ],
      },
      { name: each.name, creationTimestamp: each.created },
      [{ ip: "198.51.100.2" }],
    ),
  );

const anyEndpoint = fc
  .tuple(
    fc.constantFrom("10.244.0.1", "10.244.0.2", "10.244.0.3"),
    fc.constantFrom("ready", "unready", "ending", "dead"),
    fc.constantFrom("", " @here", " @there"),
    fc.constantFrom("", " zone:a", " zone:b"),
    fc.constantFrom("", " node:here", " node:there"),
  )
  .map((parts) => parts[0] + " " + parts.slice(1).join(""));

const anySlice: fc.Arbitrary<EndpointSlice> = fc
  .tuple(names, fc.array(anyEndpoint, { maxLength: 4 }), fc.constantFrom("http", "dns"))
  .map(([name, endpoints, portName]) =>
    slice(endpoints, {
      metadata: { name: `${name}-x`, labels: { "kubernetes.io/service-name": name } },
      ports: [{ name: portName, protocol: portName === "dns" ? "UDP" : "TCP", port: 8080 }],
    }),
  );

const anyCluster = fc.record({
  services: fc.uniqueArray(anyService, { maxLength: 3, selector: (each) => each.metadata.name }),
  slices: fc.array(anySlice, { maxLength: 5 }),
});

describe("laws of the forwarding table", () => {
  it("is the same whatever order its inputs come in", () => {
    const shuffled = anyCluster.chain((cluster) =>
      fc.record({
        cluster: fc.constant(cluster),
        services: fc.shuffledSubarray(cluster.services, { minLength: cluster.services.length }),
        slices: fc.shuffledSubarray(cluster.slices, { minLength: cluster.slices.length }),
      }),
    );
    fc.assert(
      fc.property(shuffled, ({ cluster, services, slices }) => {
        assert.deepEqual(
          forwardingTable({ services, slices, node: HERE }),
          forwardingTable({ ...cluster, node: HERE }),
        );
      }),
    );
  });

  it("diff applied to old gives new, and equal tables have no difference", () => {
    fc.assert(
      fc.property(anyCluster, anyCluster, (one, two) => {
        const before = forwardingTable({ ...one, node: HERE }).frontends;
        const after = forwardingTable({ ...two, node: HERE }).frontends;
        assert.deepEqual(applyChange(before, diffFrontends(before, after)), after);
        const again = forwardingTable({ ...one, node: HERE }).frontends;
        assert.equal(isNoChange(diffFrontends(before, again)), true);
      }),
    );
  });

  it("changed a Service at a time it is the same as made at once, and the changes are the difference", () => {
    fc.assert(
      fc.property(fc.array(anyCluster, { minLength: 1, maxLength: 4 }), (states) => {
        const live = new LiveTable();
        for (const state of states) {
          const before = live.snapshot(HERE).frontends;
          const parts = state.services.map((each) =>
            servicePart(each, slicesOf(state.slices, each), HERE),
          );
          const present = new Set(parts.map((part) => part.service));
          const gone = live
            .services()
            .filter((key) => !present.has(key))
            .map((key) => ({ service: key, frontends: [], healthCheck: undefined }));
          const change = live.put([...gone, ...parts]);
          const expected = forwardingTable({ ...state, node: HERE });
          assert.deepEqual(live.snapshot(HERE), expected);
          assert.deepEqual(change, diffFrontends(before, expected.frontends));
        }
      }),
    );
  });

  it("routes to no endpoint that is neither ready nor serving while it ends, and reaches all that a set names", () => {
    fc.assert(
      fc.property(anyCluster, ({ services, slices }) => {
        const table = forwardingTable({ services, slices, node: HERE });
        const usable = new Set(
          slices.flatMap((each) =>
            each.endpoints
              .filter(
                ({ conditions: { ready, serving, terminating } }) =>
                  ready === true || (serving === true && terminating === true),
              )
              .map(
                ({ addresses }) =>
                  `${String(each.metadata.labels?.["kubernetes.io/service-name"])} ${String(addresses[0])}`,
              ),
          ),
        );
        for (const { protocol, address, port, target } of table.frontends) {
          const reached = new Set<string>();
          for (let n = 0; n < 12; n++) {
            const result = route(
              table,
              packet("10.244.7.7", address, { protocol, port }),
              pickNth(n),
            );
            assert.notEqual(result.kind, "notOurs");
            if (result.kind === "forward") reached.add(result.backend.address);
          }
          const name = target.service.slice("default/".length);
          for (const backend of reached) assert.ok(usable.has(`${name} ${backend}`), backend);
          const sets = [target.cluster, target.local].map((set) => set.map((each) => each.address));
          assert.ok(
            reached.size === 0 || sets.some((set) => reached.size === set.length),
            `${[...reached].join()} of ${JSON.stringify(sets)}`,
          );
        }
      }),
    );
  });
});

function slicesOf(slices: readonly EndpointSlice[], of: Service): readonly EndpointSlice[] {
  return slices.filter(
    (each) =>
      `default/${String(each.metadata.labels?.["kubernetes.io/service-name"])}` === keyOf(of),
  );
}
