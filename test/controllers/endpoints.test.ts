import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { endpointSliceKind } from "../../src/api/discovery/endpointslice.kind.ts";
import type { EndpointSlice } from "../../src/api/discovery/endpointslice.ts";
import { endpointsKind } from "../../src/api/v1/endpoints.kind.ts";
import type { Endpoints } from "../../src/api/v1/endpoints.ts";
import { nodeKind } from "../../src/api/v1/node.kind.ts";
import { podKind } from "../../src/api/v1/pod.kind.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import { startEndpointsController } from "../../src/controllers/endpoints.ts";
import { startEndpointSliceController } from "../../src/controllers/endpointslice.ts";
import { startControlPlane } from "./control-plane.ts";

/** Names of the Pods that a Service's slices list, with a mark for those that are not ready. */
function listed(slices: readonly EndpointSlice[], service: string): string {
  return slices
    .filter(({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === service)
    .flatMap(({ endpoints }) => endpoints)
    .map(
      ({ targetRef, conditions }) =>
        `${targetRef?.name ?? ""}${conditions.ready === true ? "" : "!"}`,
    )
    .toSorted()
    .join();
}

function slicesOf(slices: readonly EndpointSlice[], service: string): readonly EndpointSlice[] {
  return slices.filter(
    ({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === service,
  );
}

function addresses(all: readonly Endpoints[], name: string): string | undefined {
  const endpoints = all.find(({ metadata }) => metadata.name === name);
  if (endpoints === undefined) return undefined;
  return (endpoints.subsets ?? [])
    .flatMap((subset) => [
      ...(subset.addresses ?? []).map(({ targetRef }) => targetRef?.name ?? ""),
      ...(subset.notReadyAddresses ?? []).map(({ targetRef }) => `${targetRef?.name ?? ""}!`),
    ])
    .join();
}

describe("the EndpointSlice controller", () => {
  it("EPS-001, EPS-002, EPS-021: follows a Pod from nothing through readiness to its end", async () => {
    await using plane = await startControlPlane();
    await using _controller = startEndpointSliceController(plane.deps);
    await plane.node("a", { labels: { "topology.kubernetes.io/zone": "z1" } });
    await plane.service("web");
    const [placeholder] = slicesOf(
      await plane.until(endpointSliceKind, (all) => slicesOf(all, "web").length === 1),
      "web",
    );
    assert.deepEqual(placeholder?.endpoints, []);

    const pod = await plane.report(await plane.pod("p1", { nodeName: "a" }), false);
    await plane.until(endpointSliceKind, (all) => listed(all, "web") === "p1!");
    await plane.report(pod, true);
    const all = await plane.until(endpointSliceKind, (now) => listed(now, "web") === "p1");
    const [slice] = slicesOf(all, "web");
    assert.equal(slice?.metadata.name, placeholder.metadata.name);
    assert.equal(slice?.endpoints[0]?.zone, "z1");
    assert.equal(slice?.ports?.[0]?.port, 8080);

    await plane.client.delete(podKind, pod.metadata, { gracePeriodSeconds: 30 });
    const ending = await plane.until(endpointSliceKind, (now) => listed(now, "web") === "p1!");
    assert.equal(slicesOf(ending, "web")[0]?.endpoints[0]?.conditions.terminating, true);
    await plane.remove(podKind, "p1");
    await plane.until(endpointSliceKind, (now) => listed(now, "web") === "");
  });

  it("EPS-003: deletes the slices of a deleted Service, also one deleted while nobody looked", async () => {
    await using plane = await startControlPlane();
    const first = startEndpointSliceController(plane.deps);
    await plane.service("web");
    await plane.service("api");
    await plane.until(
      endpointSliceKind,
      (all) => slicesOf(all, "web").length === 1 && slicesOf(all, "api").length === 1,
    );
    await plane.remove(serviceKind, "web");
    await plane.until(endpointSliceKind, (all) => slicesOf(all, "web").length === 0);
    await first[Symbol.asyncDispose]();
    await plane.remove(serviceKind, "api");
    await using _second = startEndpointSliceController({
      ...plane.deps,
      informers: plane.freshInformers(),
    });
    await plane.until(endpointSliceKind, (all) => slicesOf(all, "api").length === 0);
  });

  it("EPS-012, UPD-020: a Service made anew gets slices of its own", async () => {
    await using plane = await startControlPlane();
    await using _controller = startEndpointSliceController(plane.deps);
    const old = await plane.service("web");
    await plane.until(endpointSliceKind, (all) => slicesOf(all, "web").length === 1);
    await plane.remove(serviceKind, "web");
    const again = await plane.service("web");
    assert.notEqual(again.metadata.uid, old.metadata.uid);
    await plane.until(endpointSliceKind, (all) => {
      const owners = slicesOf(all, "web").map(
        ({ metadata }) => metadata.ownerReferences?.[0]?.uid ?? "",
      );
      return owners.length === 1 && owners[0] === again.metadata.uid;
    });
  });

  it("EPS-013, EPS-014: puts back its own slices and leaves those of others", async () => {
    await using plane = await startControlPlane();
    await using _controller = startEndpointSliceController(plane.deps);
    await plane.node("a");
    await plane.service("web");
    await plane.report(await plane.pod("p1", { nodeName: "a" }), true);
    const all = await plane.until(endpointSliceKind, (now) => listed(now, "web") === "p1");
    const [slice] = slicesOf(all, "web");
    assert.ok(slice);
    const theirs = await plane.client.create(endpointSliceKind, {
      metadata: {
        name: "theirs",
        namespace: "default",
        labels: { "kubernetes.io/service-name": "web" },
      },
      addressType: "IPv4",
      endpoints: [{ addresses: ["192.0.2.1"], conditions: { ready: true } }],
      ports: [],
    });
    await plane.client.update(endpointSliceKind, { ...slice, endpoints: [] });
    await plane.until(endpointSliceKind, (now) => listed(now, "web") === ",p1");
    await plane.client.delete(endpointSliceKind, slice.metadata);
    const mended = await plane.until(
      endpointSliceKind,
      (now) =>
        listed(now, "web") === ",p1" &&
        !now.some(({ metadata }) => metadata.uid === slice.metadata.uid),
    );
    const kept = mended.find(({ metadata }) => metadata.name === "theirs");
    assert.equal(kept?.metadata.resourceVersion, theirs.metadata.resourceVersion);
  });

  it("EPS-037: a relabelled Pod leaves one Service and enters another", async () => {
    await using plane = await startControlPlane();
    await using _controller = startEndpointSliceController(plane.deps);
    await plane.node("a");
    await plane.service("web");
    await plane.service("api");
    const pod = await plane.report(await plane.pod("p1", { nodeName: "a" }), true);
    await plane.until(endpointSliceKind, (all) => listed(all, "web") === "p1");
    const patch = { kind: "merge", body: { metadata: { labels: { app: "api" } } } } as const;
    await plane.client.patch(podKind, pod.metadata, patch);
    await plane.until(
      endpointSliceKind,
      (all) => listed(all, "web") === "" && listed(all, "api") === "p1",
    );
  });

  it("EPS-028, EPS-054: a Pod comes in when its Node does", async () => {
    await using plane = await startControlPlane();
    await using _controller = startEndpointSliceController(plane.deps);
    await plane.service("web");
    await plane.report(await plane.pod("p1", { nodeName: "late" }), true);
    await plane.until(endpointSliceKind, (all) => slicesOf(all, "web").length === 1);
    await plane.node("late");
    await plane.until(endpointSliceKind, (all) => listed(all, "web") === "p1");
  });

  it("NODE-002, EPS-028: a Pod goes out with its Node", async () => {
    await using plane = await startControlPlane();
    await using _controller = startEndpointSliceController(plane.deps);
    for (const name of ["a", "b"]) await plane.node(name);
    await plane.service("web");
    await plane.report(await plane.pod("p1", { nodeName: "a" }), true);
    await plane.report(await plane.pod("p2", { nodeName: "b" }), true);
    await plane.until(endpointSliceKind, (all) => listed(all, "web") === "p1,p2");
    await plane.remove(nodeKind, "a");
    await plane.until(endpointSliceKind, (all) => listed(all, "web") === "p2");
  });

  it("EPS-055: 200 Services for one Pod, made 15 at a time, all get its address", async () => {
    await using plane = await startControlPlane();
    await using _controller = startEndpointSliceController(plane.deps);
    await plane.node("a");
    await plane.report(await plane.pod("p1", { nodeName: "a" }), true);
    const names = Array.from({ length: 200 }, (_, i) => `s${String(i)}`);
    const left = [...names];
    const make = async (): Promise<void> => {
      for (let name = left.pop(); name !== undefined; name = left.pop()) {
        await plane.service(name, { selector: { app: "web" } });
      }
    };
    await Promise.all(Array.from({ length: 15 }, make));
    // One slice each, and one endpoint in it.
    const all = await plane.until(
      endpointSliceKind,
      (now) => now.filter(({ endpoints }) => endpoints.length > 0).length >= names.length,
    );
    assert.equal(all.length, names.length);
  });

  it("EPS-007, UPD-018: a Service that loses its selector keeps its slices as they are", async () => {
    await using plane = await startControlPlane();
    await using _controller = startEndpointSliceController(plane.deps);
    await plane.node("a");
    const web = await plane.service("web");
    await plane.service("marker");
    const pod = await plane.report(await plane.pod("p1", { nodeName: "a" }), true);
    await plane.until(endpointSliceKind, (all) => listed(all, "web") === "p1");
    const patch = { kind: "merge", body: { spec: { selector: null } } } as const;
    await plane.client.patch(serviceKind, web.metadata, patch);
    await plane.report(pod, false);
    // A Service handled after it shows that the controller has seen the change.
    await plane.report(await plane.pod("p2", { nodeName: "a" }, { app: "marker" }), true);
    const all = await plane.until(endpointSliceKind, (now) => listed(now, "marker") === "p2");
    assert.equal(listed(all, "web"), "p1");
  });

  it("EPS-017, EPS-049: churn leaves neither duplicates nor gaps", async () => {
    await using plane = await startControlPlane();
    await using _controller = startEndpointSliceController(plane.deps, { maxEndpointsPerSlice: 3 });
    await plane.node("a");
    await plane.service("web");
    const names = Array.from({ length: 20 }, (_, i) => `p${String(i)}`);
    await Promise.all(
      names.map(async (name, i) => {
        const pod = await plane.report(await plane.pod(name, { nodeName: "a" }), i % 2 === 0);
        await plane.report(pod, true);
        if (i % 3 === 0) await plane.remove(podKind, name);
      }),
    );
    const left = names
      .filter((_, i) => i % 3 !== 0)
      .toSorted()
      .join();
    const all = await plane.until(endpointSliceKind, (now) => listed(now, "web") === left);
    for (const { endpoints } of slicesOf(all, "web")) assert.ok(endpoints.length <= 3);
    const { items } = await plane.client.list(endpointSliceKind, { namespace: "default" });
    assert.equal(listed(items, "web"), left);
  });
});

describe("the Endpoints controller", () => {
  it("EP-001, EP-002, EP-004: follows readiness, and goes with the Service", async () => {
    await using plane = await startControlPlane();
    await using _controller = startEndpointsController(plane.deps);
    await plane.service("web");
    await plane.until(endpointsKind, (all) => addresses(all, "web") === "");
    const pod = await plane.report(await plane.pod("p1", { nodeName: "a" }), false);
    await plane.until(endpointsKind, (all) => addresses(all, "web") === "p1!");
    await plane.report(pod, true);
    const all = await plane.until(endpointsKind, (now) => addresses(now, "web") === "p1");
    const web = all.find(({ metadata }) => metadata.name === "web");
    assert.equal(
      web?.metadata.labels?.["endpoints.kubernetes.io/managed-by"],
      "endpoint-controller",
    );
    assert.deepEqual(web?.subsets?.[0]?.ports, [{ port: 8080, protocol: "TCP" }]);
    await plane.remove(serviceKind, "web");
    await plane.until(endpointsKind, (now) => addresses(now, "web") === undefined);
  });

  it("EP-014, EP-015: removes what it made for a Service that is gone, and nothing of users", async () => {
    await using plane = await startControlPlane();
    const managed = { "endpoints.kubernetes.io/managed-by": "endpoint-controller" };
    const subsets = [
      { addresses: [{ ip: "192.0.2.1" }], ports: [{ port: 80, protocol: "TCP" as const }] },
    ];
    await plane.client.create(endpointsKind, {
      metadata: { name: "left", namespace: "default", labels: managed },
      subsets,
    });
    await plane.client.create(endpointsKind, {
      metadata: { name: "theirs", namespace: "default" },
      subsets,
    });
    await using _controller = startEndpointsController(plane.deps);
    const all = await plane.until(endpointsKind, (now) => addresses(now, "left") === undefined);
    assert.equal(addresses(all, "theirs"), "");
  });
});
