import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { endpointSliceKind } from "../../src/api/discovery/endpointslice.kind.ts";
import type { EndpointSlice } from "../../src/api/discovery/endpointslice.ts";
import { failure } from "../../src/api/machinery/status.ts";
import { endpointsKind } from "../../src/api/v1/endpoints.kind.ts";
import { eventKind } from "../../src/api/v1/event.kind.ts";
import { namespaceKind } from "../../src/api/v1/namespace.kind.ts";
import { podKind } from "../../src/api/v1/pod.kind.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import type { ApiClient } from "../../src/client/client.ts";
import { startEndpointsController } from "../../src/controllers/endpoints.ts";
import { startEndpointSliceController } from "../../src/controllers/endpointslice.ts";
import { startControlPlane } from "./control-plane.ts";

/** The client, whose first so many creates and updates the server seems to fail; counts them by namespace. */
function failing(
  client: ApiClient,
  failures: { create?: number; update?: number },
): Pick<ApiClient, "get" | "create" | "update" | "delete"> & { readonly asked: string[] } {
  const left = { create: failures.create ?? 0, update: failures.update ?? 0 };
  const asked: string[] = [];
  const refuse = (verb: "create" | "update", namespace: string | undefined): void => {
    asked.push(`${verb} ${namespace ?? ""}`);
    if (left[verb] === 0) return;
    left[verb]--;
    throw failure(500, "InternalError", "the disk is full");
  };
  return {
    asked,
    get: (kind, ref, options) => client.get(kind, ref, options),
    delete: (kind, ref, options) => client.delete(kind, ref, options),
    create: async (kind, object, options) => {
      refuse("create", object.metadata.namespace);
      return client.create(kind, object, options);
    },
    update: async (kind, object, options) => {
      refuse("update", object.metadata.namespace);
      return client.update(kind, object, options);
    },
  };
}

function slicesOf(slices: readonly EndpointSlice[], service: string): readonly EndpointSlice[] {
  return slices.filter(
    ({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === service,
  );
}

function podsIn(slices: readonly EndpointSlice[], service: string): string {
  return slicesOf(slices, service)
    .flatMap(({ endpoints }) => endpoints.map(({ targetRef }) => targetRef?.name ?? ""))
    .join();
}

describe("the endpoint loops and what fails", () => {
  it("EPS-051, EPS-053: tries again until it works, and tells the user", async () => {
    await using plane = await startControlPlane();
    const client = failing(plane.client, { create: 3 });
    await using _controller = startEndpointSliceController({ ...plane.deps, client });
    await plane.service("web");
    await plane.until(endpointSliceKind, (all) => slicesOf(all, "web").length === 1);
    assert.equal(client.asked.length, 4);
    const events = await plane.until(eventKind, (all) =>
      all.some(({ reason }) => reason === "FailedToUpdateEndpointSlices"),
    );
    const event = events.find(({ reason }) => reason === "FailedToUpdateEndpointSlices");
    assert.equal(event?.type, "Warning");
    assert.deepEqual([event.involvedObject.kind, event.involvedObject.name], ["Service", "web"]);
    assert.match(event.message ?? "", /default\/web: .*the disk is full/);
  });

  it("EP-016: says on the Endpoints that they could not be made or changed", async () => {
    await using plane = await startControlPlane();
    const client = failing(plane.client, { create: 1, update: 1 });
    await using _controller = startEndpointsController({ ...plane.deps, client });
    await plane.service("web");
    await plane.until(endpointsKind, (all) => all.some(({ metadata }) => metadata.name === "web"));
    await plane.report(await plane.pod("p1", { nodeName: "a" }), true);
    await plane.until(endpointsKind, (all) => all.some(({ subsets = [] }) => subsets.length > 0));
    for (const reason of ["FailedToCreateEndpoint", "FailedToUpdateEndpoint"]) {
      const events = await plane.until(eventKind, (all) =>
        all.some((event) => event.reason === reason),
      );
      const event = events.find((one) => one.reason === reason);
      assert.deepEqual(
        [event?.type, event?.involvedObject.kind, event?.involvedObject.name],
        ["Warning", "Endpoints", "web"],
      );
    }
  });

  it("EPS-016, EP-016: gives up at once, and silently, in a namespace that is being deleted", async () => {
    await using plane = await startControlPlane();
    await plane.client.create(namespaceKind, { metadata: { name: "going" } });
    const spec = { selector: { app: "web" }, ports: [{ port: 80, protocol: "TCP" as const }] };
    await plane.client.create(serviceKind, { metadata: { name: "web", namespace: "going" }, spec });
    await plane.client.delete(namespaceKind, { name: "going" });
    const client = failing(plane.client, {});
    await using _slices = startEndpointSliceController({ ...plane.deps, client });
    await using _endpoints = startEndpointsController({ ...plane.deps, client });
    // Others that are made after it show that it is not tried again in between.
    for (const name of ["first", "second", "third"]) {
      await plane.service(name);
      await plane.until(endpointSliceKind, (all) => slicesOf(all, name).length === 1);
      await plane.until(endpointsKind, (all) => all.some(({ metadata }) => metadata.name === name));
    }
    assert.equal(client.asked.filter((one) => one === "create going").length, 2);
    const { items } = await plane.client.list(eventKind, { namespace: "going" });
    assert.deepEqual(items, []);
  });
});

describe("the EndpointSlice controller's settings", () => {
  it("EPS-052: gathers Pod changes for the time it is told, and Service changes never", async () => {
    await using plane = await startControlPlane();
    await plane.node("a");
    await using _controller = startEndpointSliceController(plane.deps, { podBatchMs: 600_000 });
    const web = await plane.service("web");
    await plane.until(endpointSliceKind, (all) => slicesOf(all, "web").length === 1);
    await plane.report(await plane.pod("p1", { nodeName: "a" }), true);
    await plane.service("marker");
    const all = await plane.until(endpointSliceKind, (now) => slicesOf(now, "marker").length === 1);
    assert.equal(podsIn(all, "web"), "");
    const body = { metadata: { labels: { tier: "front" } } };
    await plane.client.patch(serviceKind, web.metadata, { kind: "merge", body });
    await plane.until(endpointSliceKind, (now) => podsIn(now, "web") === "p1");
  });

  it("EPS-040: a slice holds from 1 to 1000 endpoints", async () => {
    await using plane = await startControlPlane();
    for (const maxEndpointsPerSlice of [0, 1001, 1.5]) {
      assert.throws(
        () => startEndpointSliceController(plane.deps, { maxEndpointsPerSlice }),
        /maxEndpointsPerSlice is .*, not a whole number from 1 to 1000/,
      );
    }
    await plane.node("a");
    await plane.service("web");
    for (const name of ["p1", "p2"]) {
      await plane.report(await plane.pod(name, { nodeName: "a" }), true);
    }
    await using _controller = startEndpointSliceController(plane.deps, { maxEndpointsPerSlice: 1 });
    await plane.until(endpointSliceKind, (all) => slicesOf(all, "web").length === 2);
  });

  it("EPS-050, EP-013: the trigger time is that of the Pod, also after a restart", async () => {
    await using plane = await startControlPlane();
    await plane.node("a");
    await plane.service("web");
    const key = "endpoints.kubernetes.io/last-change-trigger-time";
    const old = await plane.report(await plane.pod("p1", { nodeName: "a" }), true);
    const first = startEndpointSliceController(plane.deps);
    const firstEndpoints = startEndpointsController(plane.deps);
    await plane.until(endpointSliceKind, (all) => podsIn(all, "web") === "p1");
    const made = await plane.until(endpointsKind, (all) =>
      all.some(({ subsets = [] }) => subsets.length > 0),
    );
    // As old as the Pod says.
    assert.equal(made[0]?.metadata.annotations?.[key], "2025-01-01T00:00:00Z");
    await first[Symbol.asyncDispose]();
    await firstEndpoints[Symbol.asyncDispose]();

    const lastTransitionTime = "2025-06-01T00:00:00Z";
    const conditions = [{ type: "Ready", status: "False", lastTransitionTime }];
    const patch = { kind: "strategic", body: { status: { conditions } } } as const;
    await plane.client.patch(podKind, old.metadata, patch, { subresource: "status" });
    const informers = plane.freshInformers();
    await using _again = startEndpointSliceController({ ...plane.deps, informers });
    await using _endpoints = startEndpointsController({ ...plane.deps, informers });
    const slices = await plane.until(endpointSliceKind, (all) =>
      all.some(({ endpoints }) => endpoints.some(({ conditions: now }) => now.ready === false)),
    );
    assert.equal(slicesOf(slices, "web")[0]?.metadata.annotations?.[key], lastTransitionTime);
    const now = await plane.until(endpointsKind, (all) =>
      all.some(({ subsets = [] }) => subsets.some((subset) => subset.notReadyAddresses)),
    );
    assert.equal(now[0]?.metadata.annotations?.[key], lastTransitionTime);
  });
});

describe("the Endpoints API", () => {
  it("EP-003: creates, lists, watches, changes and deletes them", async () => {
    await using plane = await startControlPlane();
    const { client } = plane;
    const labels = { test: "endpoints" };
    const ref = { namespace: "default", name: "own" };
    const { resourceVersion } = await client.list(endpointsKind, { namespace: "default" });
    const seen: string[] = [];
    const ended = new AbortController();
    const watching = (async () => {
      const options = { namespace: "default", labelSelector: "test=endpoints", resourceVersion };
      for await (const { type } of client.watch(endpointsKind, {
        ...options,
        signal: ended.signal,
      })) {
        seen.push(type);
        if (type === "DELETED") return;
      }
    })();
    const subsets = [
      { addresses: [{ ip: "192.0.2.1" }], ports: [{ port: 80, protocol: "TCP" as const }] },
    ];
    const created = await client.create(endpointsKind, { metadata: { ...ref, labels }, subsets });
    const listed = await client.list(endpointsKind, { labelSelector: "test=endpoints" });
    assert.deepEqual(
      listed.items.map(({ metadata }) => metadata.name),
      ["own"],
    );
    await client.update(endpointsKind, { ...created, subsets: [] });
    const body = { subsets: [{ addresses: [{ ip: "192.0.2.9" }], ports: [{ port: 8080 }] }] };
    await client.patch(endpointsKind, ref, { kind: "strategic", body });
    const now = await client.get(endpointsKind, ref);
    assert.deepEqual(now.subsets, [
      { addresses: [{ ip: "192.0.2.9" }], ports: [{ port: 8080, protocol: "TCP" }] },
    ]);
    await client.deleteCollection(endpointsKind, {
      namespace: "default",
      labelSelector: "test=endpoints",
    });
    await watching;
    assert.deepEqual(seen, ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]);
    const left = await client.list(endpointsKind, { labelSelector: "test=endpoints" });
    assert.deepEqual(left.items, []);
  });
});
