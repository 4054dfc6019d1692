import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { EndpointSlice } from "../../api/discovery/endpointslice.ts";
import { objectKey } from "../../api/machinery/object-key.ts";
import { diffBackends } from "./backend-list.ts";
import { HERE, service, slice } from "./fixtures.test.ts";
import type { Backend } from "./frontend.ts";
import { comparePlaces } from "./place.ts";
import { servicePart } from "./service-part.ts";
import type { ServicePart } from "./service-part.ts";
import { ServiceParts } from "./service-parts.ts";

const WEB = objectKey({ namespace: "default", name: "web" });

// Few addresses, so that slices have the same endpoints and one slice has doubles.
const anyLine = fc
  .tuple(
    fc.constantFrom("10.244.0.1", "10.244.0.2", "10.244.0.3", "10.244.0.4", "no-address"),
    fc.constantFrom("ready", "ready", "unready", "ending", "dead"),
    fc.constantFrom("", " @here", " @there"),
    fc.constantFrom("", "", " zone:a", " zone:b"),
    fc.constantFrom("", "", " node:here", " node:there"),
  )
  .map((parts) => parts[0] + " " + parts.slice(1).join(""));

const anySlice = (name: string): fc.Arbitrary<EndpointSlice> =>
  fc
    .tuple(
      fc.array(anyLine, { maxLength: 5 }),
      fc.constantFrom(["http"], ["dns"], ["http", "dns"]),
      fc.constantFrom("kubernetes.io/service-name", "service.kubernetes.io/headless"),
    )
    .map(([lines, ports, label]) =>
      slice(lines, {
        metadata: { name, labels: { [label]: "web" } },
        ports: ports.map((port) => ({
          name: port,
          protocol: port === "dns" ? ("UDP" as const) : ("TCP" as const),
          port: 8080,
        })),
      }),
    );

const anyWeb = fc
  .record({
    type: fc.constantFrom("ClusterIP" as const, "LoadBalancer" as const),
    internal: fc.constantFrom("Cluster" as const, "Local" as const),
    external: fc.constantFrom("Cluster" as const, "Local" as const),
    ports: fc.subarray(["http", "dns"], { minLength: 1 }),
  })
  .map(({ type, internal, external, ports }) =>
    service(
      {
        type,
        internalTrafficPolicy: internal,
        externalTrafficPolicy: external,
        healthCheckNodePort: 31_000,
        externalIPs: ["198.51.100.9"],
        ports: ports.map((name, i) => ({
          name,
          protocol: name === "dns" ? ("UDP" as const) : ("TCP" as const),
          port: 80,
          nodePort: 30_000 + i,
        })),
      },
      {},
      [{ ip: "203.0.113.7" }],
    ),
  );

/** What happens to a Service: most often one slice changes, sometimes the Service itself or the node. */
const anyStep = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .constantFrom("s1", "s2", "s3")
      .chain((name) => fc.oneof(anySlice(name), fc.constant(name))),
  },
  { weight: 1, arbitrary: anyWeb },
  {
    weight: 1,
    arbitrary: fc
      .record({
        zone: fc.constantFrom("a", "b", undefined),
        ignoresExternalIPs: fc.boolean(),
      })
      .map((node) => ({ node: { ...HERE, ...node } })),
  },
);

describe("the parts of Services, asked for again and again", () => {
  it("are what they would be when worked out anew, and what they say of their changes is so", () => {
    fc.assert(
      fc.property(anyWeb, fc.array(anyStep, { maxLength: 12 }), (first, steps) => {
        const parts = new ServiceParts(0);
        const slices = new Map<string, EndpointSlice>();
        let web = first;
        let node = HERE;
        let before: ServicePart | undefined;
        for (const step of steps) {
          if (typeof step === "string") slices.delete(step);
          else if ("node" in step) node = step.node;
          else if ("addressType" in step) slices.set(step.metadata.name ?? "", step);
          else web = step;
          const part = parts.part(WEB, web, [...slices.values()], node);
          assert.deepEqual(part, servicePart(web, [...slices.values()], node));
          if (before !== undefined) checkChanges(before, part);
          before = part;
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("EXT-004: leave external IPs out where they are ignored, however many endpoints there are", () => {
    const web = service({ externalIPs: ["198.51.100.9"] });
    for (const minEndpoints of [0, 200]) {
      const parts = new ServiceParts(minEndpoints);
      const addressesOn = (node: typeof HERE): readonly string[] =>
        parts
          .part(WEB, web, [slice(["10.244.0.1 ready"])], node)
          .frontends.map(({ address }) => address);
      assert.ok(addressesOn(HERE).includes("198.51.100.9"));
      assert.ok(!addressesOn({ ...HERE, ignoresExternalIPs: true }).includes("198.51.100.9"));
    }
  });

  it("forget a Service that is gone", () => {
    const parts = new ServiceParts(0);
    parts.part(WEB, service(), [slice(["10.244.0.1 ready"])], HERE);
    assert.deepEqual(parts.part(WEB, undefined, [], HERE).frontends, []);
    const [frontend] = parts.part(WEB, service(), [slice(["10.244.0.2 ready"])], HERE).frontends;
    assert.deepEqual(
      frontend?.target.cluster.map((each) => each.address),
      ["10.244.0.2"],
    );
  });

  it("with thousands of endpoints, one more is known as one more, and many at once as many", () => {
    const lines = (count: number, slice: number): readonly string[] =>
      Array.from({ length: count }, (_, i) => `10.${String(slice)}.0.${String(i)} ready`);
    const sliceOf = (n: number, count: number): EndpointSlice =>
      slice(lines(count, n), { metadata: { name: `s${String(n)}` } });
    const slices = Array.from({ length: 30 }, (_, n) => sliceOf(n, 100));
    const parts = new ServiceParts();
    const clusterOf = (given: readonly EndpointSlice[]): readonly Backend[] => {
      const part = parts.part(WEB, service(), given, HERE);
      assert.deepEqual(part, servicePart(service(), given, HERE));
      return part.frontends[0]?.target.cluster ?? [];
    };
    const before = clusterOf(slices);
    const one = clusterOf(slices.with(7, sliceOf(7, 101)));
    assert.deepEqual(
      diffBackends(before, one).added.map((each) => each.address),
      ["10.7.0.100"],
    );
    // All others are the very objects that they were.
    assert.equal(one.filter((each) => before.includes(each)).length, 3000);
    const many = clusterOf(slices.with(7, sliceOf(7, 0)).with(9, sliceOf(9, 180)));
    assert.equal(diffBackends(one, many).removed.length, 101);
    assert.equal(diffBackends(one, many).added.length, 80);
  });
});

/** The differences that lists know of themselves are those that can be seen. */
function checkChanges(before: ServicePart, after: ServicePart): void {
  for (const [i, { target }] of after.frontends.entries()) {
    const old = before.frontends[i]?.target;
    if (old === undefined) continue;
    for (const policy of ["cluster", "local"] as const) {
      const texts = (list: readonly Backend[]): readonly string[] =>
        list.map((each) => `${each.address} ${String(each.port)}`);
      const was = texts(old[policy]);
      const is = texts(target[policy]);
      const { removed, added, replaced } = diffBackends(old[policy], target[policy]);
      const isMoved = (one: Backend): boolean =>
        old[policy].some((each) => comparePlaces(each, one) === 0 && each.isLocal !== one.isLocal);
      assert.deepEqual(
        texts(replaced).toSorted(),
        texts(target[policy].filter(isMoved)).toSorted(),
      );
      assert.deepEqual(
        texts(removed).toSorted(),
        was.filter((text) => !is.includes(text)),
      );
      assert.deepEqual(
        texts(added).toSorted(),
        is.filter((text) => !was.includes(text)),
      );
    }
  }
}
