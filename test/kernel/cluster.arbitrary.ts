import * as fc from "fast-check";
import type { EndpointSlice } from "../../src/api/discovery/endpointslice.ts";
import type { Protocol, Service } from "../../src/api/v1/service.ts";
import { endpoint, service, slice } from "../../src/core/proxy/fixtures.test.ts";

/** The Pods of the test network: two on this node, two that the cluster thinks are elsewhere. */
export const PODS = [1, 2, 3, 4].map((n) => ({
  name: `p${String(n)}`,
  v4: `10.244.0.${String(n)}`,
  v6: `fd00:244::${String(n)}`,
  node: n <= 2 ? "here" : "there",
}));
export const POD_PORT = 8080;

/** Addresses that generated Services use. */
const EXTERNAL = ["203.0.113.1", "203.0.113.2", "2001:db8:99::1"];

export interface Cluster {
  readonly services: readonly Service[];
  readonly slices: readonly EndpointSlice[];
}

const policy = fc.constantFrom("Cluster" as const, "Local" as const);
const names = ["a", "b", "c"] as const;

const anyService = (name: (typeof names)[number]): fc.Arbitrary<Service> => {
  const n = names.indexOf(name) + 1;
  return fc
    .record({
      type: fc.constantFrom("ClusterIP" as const, "NodePort" as const, "LoadBalancer" as const),
      internal: policy,
      external: policy,
      external4: fc.subarray([...EXTERNAL]),
      balancer: fc.constantFrom(undefined, "203.0.113.7", "2001:db8:99::7"),
      mode: fc.constantFrom("VIP" as const, "Proxy" as const),
      affinity: fc.constantFrom("None" as const, "ClientIP" as const),
      balance: fc.constantFrom(undefined, "source-hash", "random", "no-such"),
      // Longer than a test of the real kernel takes; other clocks go faster.
      seconds: fc.constantFrom(undefined, 300, 86_400),
      sctp: fc.boolean(),
      ranges: fc.subarray(["192.0.2.0/24", "10.244.0.0/16", "192.0.2.2/32", "2001:db8:1::/64"]),
      created: fc.constantFrom("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
    })
    .map((each) =>
      service(
        {
          type: each.type,
          clusterIP: `10.96.0.${String(n)}`,
          clusterIPs: [`10.96.0.${String(n)}`, `fd00:96::${String(n)}`],
          externalIPs: each.external4,
          internalTrafficPolicy: each.internal,
          externalTrafficPolicy: each.external,
          sessionAffinity: each.affinity,
          ...(each.seconds === undefined
            ? {}
            : { sessionAffinityConfig: { clientIP: { timeoutSeconds: each.seconds } } }),
          loadBalancerSourceRanges: each.ranges,
          ports: [
            portOf("http", "TCP", each.type, 30_000 + n),
            portOf("dns", "UDP", each.type, 30_000 + n),
            ...(each.sctp ? [portOf("sig", "SCTP", each.type, 30_000 + n)] : []),
          ],
        },
        {
          name,
          creationTimestamp: each.created,
          ...(each.balance === undefined
            ? {}
            : { annotations: { "portolan.dev/balance": each.balance } }),
        },
        each.balancer === undefined ? [] : [{ ip: each.balancer, ipMode: each.mode }],
      ),
    );
};

function portOf(
  name: string,
  protocol: Protocol,
  type: string,
  nodePort: number,
): NonNullable<Service["spec"]["ports"]>[number] {
  return { name, protocol, port: 80, ...(type === "ClusterIP" ? {} : { nodePort }) };
}

/** Where the cluster thinks that each Pod is; it may change its mind (PROXY-010). */
const anyPlaces = fc.tuple(
  ...PODS.map(({ node }) => fc.constantFrom(node, node, node, "here", "there")),
);

const anyEndpoint = (places: readonly string[]) =>
  fc
    .tuple(
      fc.constantFrom(...PODS.map((pod, i) => ({ ...pod, node: places[i] ?? pod.node }))),
      fc.constantFrom("ready", "ready", "unready", "ending", "dead"),
      fc.constantFrom("", " zone:a", " zone:b"),
      fc.constantFrom("", "", " node:here", " node:there"),
    )
    .map(([pod, state, zone, node]) => ({ pod, rest: `${state} @${pod.node}${zone}${node}` }));

const anySlices = (
  name: string,
  places: readonly string[],
): fc.Arbitrary<readonly EndpointSlice[]> =>
  fc.array(anyEndpoint(places), { maxLength: 4 }).map((endpoints) =>
    (["IPv4", "IPv6"] as const).map((addressType) =>
      slice([], {
        metadata: {
          name: `${name}-${addressType}`,
          labels: { "kubernetes.io/service-name": name },
        },
        addressType,
        endpoints: endpoints.map(({ pod, rest }) =>
          endpoint(`${addressType === "IPv4" ? pod.v4 : pod.v6} ${rest}`),
        ),
        ports: [
          { name: "http", protocol: "TCP", port: POD_PORT },
          { name: "dns", protocol: "UDP", port: POD_PORT },
          { name: "sig", protocol: "SCTP", port: POD_PORT },
        ],
      }),
    ),
  );

/** Services of all policies with endpoints in all states, some claiming each other's addresses. */
export const anyCluster: fc.Arbitrary<Cluster> = fc
  .tuple(fc.subarray([...names], { minLength: 1 }), anyPlaces)
  .chain(([chosen, places]) =>
    fc.record({
      services: fc.tuple(...chosen.map(anyService)),
      slices: fc
        .tuple(...chosen.map((name) => anySlices(name, places)))
        .map((lists) => lists.flat()),
    }),
  );
