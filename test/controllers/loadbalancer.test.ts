import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventKind } from "../../src/api/v1/event.kind.ts";
import { nodeKind } from "../../src/api/v1/node.kind.ts";
import type { Node } from "../../src/api/v1/node.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import type { LoadBalancerStatus, Service } from "../../src/api/v1/service.ts";
import type { KindDefinition } from "../../src/api/machinery/kind.ts";
import type { KubernetesObject } from "../../src/api/machinery/metadata.ts";
import { keyOf } from "../../src/api/machinery/object-key.ts";
import type { Change, Informer, Informers } from "../../src/client/informer.ts";
import { sourceRangesOf } from "../../src/core/loadbalancer/source-ranges.ts";
import { startLoadBalancerController } from "../../src/loadbalancer/loop.ts";
import { createPoolProvider } from "../../src/loadbalancer/pool/provider.ts";
import { ImplementedElsewhereError, RetryLaterError } from "../../src/loadbalancer/provider.ts";
import type { LoadBalancerProvider } from "../../src/loadbalancer/provider.ts";
import { cidr } from "../apiserver/test-server.ts";
import { startControlPlane } from "./control-plane.ts";
import type { ControlPlane } from "./control-plane.ts";

const FINALIZER = "service.kubernetes.io/load-balancer-cleanup";

function start(
  plane: ControlPlane,
  pool = "192.0.2.0/29",
  informers = plane.deps.informers,
): AsyncDisposable {
  const services = informers.of(serviceKind);
  const provider = createPoolProvider({ services, random: () => 0 }, { pools: [cidr(pool)] });
  return startLoadBalancerController({ ...plane.deps, informers, provider });
}

function addressOf(services: readonly Service[], name: string): string | undefined {
  const service = services.find(({ metadata }) => metadata.name === name);
  return service?.status?.loadBalancer?.ingress?.map(({ ip }) => ip).join();
}

const has =
  (name: string, address: string | undefined) =>
  (all: readonly Service[]): boolean =>
    addressOf(all, name) === address;

const loadBalancer = { type: "LoadBalancer" } as const;

describe("the load-balancer controller with the pool", () => {
  it("LB-001, LB-003, LB-006, LB-007: gives an address, with finalizer and events", async () => {
    await using plane = await startControlPlane();
    await using _controller = start(plane);
    await plane.service("web", loadBalancer);
    await plane.service("classy", { ...loadBalancer, loadBalancerClass: "example.com/theirs" });
    const all = await plane.until(serviceKind, has("web", "192.0.2.1"));
    const web = all.find(({ metadata }) => metadata.name === "web");
    assert.deepEqual(web?.status?.loadBalancer?.ingress, [{ ip: "192.0.2.1", ipMode: "VIP" }]);
    assert.deepEqual(web?.metadata.finalizers, [FINALIZER]);
    await plane.until(eventKind, (events) =>
      ["EnsuringLoadBalancer", "EnsuredLoadBalancer"].every((reason) =>
        events.some((event) => event.reason === reason && event.involvedObject.name === "web"),
      ),
    );
    const classy = await plane.client.get(serviceKind, { namespace: "default", name: "classy" });
    assert.equal(classy.metadata.finalizers, undefined);
    assert.equal(addressOf([classy], "classy"), undefined);
  });

  it("LB-016: the provider says what there is, and making and deleting may be done again", async () => {
    await using plane = await startControlPlane();
    const services = plane.deps.informers.of(serviceKind);
    const provider = createPoolProvider(
      { services, random: () => 0 },
      { pools: [cidr("192.0.2.0/29")] },
    );
    const [one, two] = [
      await plane.service("one", loadBalancer),
      await plane.service("two", loadBalancer),
    ];
    const { signal } = new AbortController();
    await services.synced(signal);
    assert.equal(await provider.get(one, signal), undefined);
    await provider.delete(one, signal);
    const first = await provider.ensure(one, [], signal, []);
    assert.deepEqual(await provider.ensure(one, [], signal, []), first);
    assert.deepEqual(await provider.get(one, signal), first);
    await provider.updateNodes(one, [], signal);
    const second = await provider.ensure(two, [], signal, []);
    assert.notEqual(second.ingress?.[0]?.ip, first.ingress?.[0]?.ip);
    for (let i = 0; i < 2; i++) await provider.delete(one, signal);
    assert.equal(await provider.get(one, signal), undefined);
    assert.deepEqual(await provider.get(two, signal), second);
  });

  it("LB-005: releases the address of a deleted Service, and gives it to who waits for one", async () => {
    await using plane = await startControlPlane();
    // Two usable addresses.
    await using _controller = start(plane, "192.0.2.0/30");
    for (const name of ["a", "b"]) await plane.service(name, loadBalancer);
    await plane.until(serviceKind, (all) =>
      ["a", "b"].every((name) => addressOf(all, name) !== undefined),
    );
    await plane.service("c", loadBalancer);
    await plane.until(eventKind, (events) =>
      events.some(
        ({ reason, involvedObject, message = "" }) =>
          reason === "SyncLoadBalancerFailed" &&
          involvedObject.name === "c" &&
          message.includes("no address is free in 192.0.2.0/30"),
      ),
    );
    await plane.remove(serviceKind, "a");
    await plane.until(
      serviceKind,
      (all) =>
        !all.some(({ metadata }) => metadata.name === "a") && addressOf(all, "c") !== undefined,
    );
  });

  it("LB-004, UPD-014: a change of type takes address and finalizer away", async () => {
    await using plane = await startControlPlane();
    await using _controller = start(plane);
    const web = await plane.service("web", loadBalancer);
    await plane.until(serviceKind, has("web", "192.0.2.1"));
    const patch = { kind: "merge", body: { spec: { type: "ClusterIP" } } } as const;
    await plane.client.patch(serviceKind, web.metadata, patch);
    const all = await plane.until(
      serviceKind,
      (now) =>
        has("web", undefined)(now) &&
        now.every(({ metadata }) => metadata.finalizers === undefined),
    );
    assert.ok(all.some(({ metadata }) => metadata.name === "web"));
  });

  it("honours spec.loadBalancerIP when it is free and inside, and says so when not", async () => {
    await using plane = await startControlPlane();
    await using _controller = start(plane);
    await plane.service("web", { ...loadBalancer, loadBalancerIP: "192.0.2.5" });
    await plane.until(serviceKind, has("web", "192.0.2.5"));
    await plane.service("same", { ...loadBalancer, loadBalancerIP: "192.0.2.5" });
    await plane.service("far", { ...loadBalancer, loadBalancerIP: "198.51.100.5" });
    const failures: readonly (readonly [string, string])[] = [
      ["same", "another Service has"],
      ["far", "not in 192.0.2.0/29"],
    ];
    await plane.until(eventKind, (events) =>
      failures.every(([name, part]) =>
        events.some(
          ({ reason, involvedObject, message = "" }) =>
            reason === "SyncLoadBalancerFailed" &&
            involvedObject.name === name &&
            message.includes(part),
        ),
      ),
    );
  });

  it("keeps addresses over a restart, and puts back a status that was cleared", async () => {
    await using plane = await startControlPlane();
    const first = start(plane);
    const web = await plane.service("web", { ...loadBalancer, loadBalancerIP: "192.0.2.6" });
    await plane.until(serviceKind, has("web", "192.0.2.6"));
    await first[Symbol.asyncDispose]();
    const free = { kind: "merge", body: { spec: { loadBalancerIP: null } } } as const;
    await plane.client.patch(serviceKind, web.metadata, free);
    await plane.service("next", loadBalancer);
    await using _second = start(plane, "192.0.2.0/29", plane.freshInformers());
    await plane.until(serviceKind, has("next", "192.0.2.1"));
    const cleared = { kind: "merge", body: { status: { loadBalancer: null } } } as const;
    const written = await plane.client.patch(serviceKind, web.metadata, cleared, {
      subresource: "status",
    });
    assert.equal(addressOf([written], "web"), undefined);
    await plane.until(serviceKind, has("web", "192.0.2.6"));
  });
});

function namesOf(nodes: readonly Node[]): string {
  return nodes
    .map(({ metadata }) => metadata.name)
    .toSorted()
    .join();
}

/** A provider that remembers what it was asked, over nodes. */
function nodeProvider(): LoadBalancerProvider & { readonly calls: string[] } {
  const made = new Map<string, LoadBalancerStatus>();
  const calls: string[] = [];
  return {
    calls,
    name: "fake",
    usesNodes: true,
    get: ({ metadata }) => Promise.resolve(made.get(metadata.name)),
    ensure: ({ metadata }, nodes) => {
      const status = { ingress: [{ hostname: `${metadata.name}.example.com` }] };
      made.set(metadata.name, status);
      calls.push(`ensure ${metadata.name}: ${namesOf(nodes)}`);
      return Promise.resolve(status);
    },
    updateNodes: ({ metadata }, nodes) => {
      calls.push(`nodes ${metadata.name}: ${namesOf(nodes)}`);
      return Promise.resolve();
    },
    delete: ({ metadata }) => {
      made.delete(metadata.name);
      calls.push(`delete ${metadata.name}`);
      return Promise.resolve();
    },
  };
}

describe("the load-balancer controller with nodes", () => {
  it("LB-010, LB-012, LB-014, NODE-005: ensures on what matters, and tells of nodes", async () => {
    await using plane = await startControlPlane();
    const provider = nodeProvider();
    await plane.node("a");
    await plane.node("out", {
      labels: { "node.kubernetes.io/exclude-from-external-load-balancers": "" },
    });
    await using _controller = startLoadBalancerController({ ...plane.deps, provider });
    const web = await plane.service("web", loadBalancer);
    const ensured = (
      events: readonly { reason?: string | undefined; count?: number | undefined }[],
    ): number =>
      events
        .filter(({ reason }) => reason === "EnsuredLoadBalancer")
        .reduce((sum, { count = 1 }) => sum + count, 0);
    await plane.until(eventKind, (events) => ensured(events) === 1);
    const label = { kind: "merge", body: { metadata: { labels: { x: "y" } } } } as const;
    await plane.client.patch(serviceKind, web.metadata, label);
    await plane.node("b");
    await plane.until(eventKind, (events) =>
      events.some(({ reason }) => reason === "UpdatedLoadBalancer"),
    );
    await plane.remove(nodeKind, "b");
    await plane.until(eventKind, (events) =>
      events.some(({ reason, count = 1 }) => reason === "UpdatedLoadBalancer" && count === 2),
    );
    assert.equal(provider.calls.at(-1), "nodes web: a");
    const affinity = { kind: "merge", body: { spec: { sessionAffinity: "ClientIP" } } } as const;
    await plane.client.patch(serviceKind, web.metadata, affinity);
    await plane.remove(serviceKind, "web");
    await plane.until(serviceKind, (all) => !all.some(({ metadata }) => metadata.name === "web"));
    const [first, second] = provider.calls;
    assert.deepEqual(
      [first, second, provider.calls.at(-1)],
      ["ensure web: a", "nodes web: a,b", "delete web"],
    );
  });

  it("LB-009: tries again when the provider says, not by its own back-off", async () => {
    await using plane = await startControlPlane();
    let tries = 0;
    const provider = nodeProvider();
    const busy: LoadBalancerProvider = {
      ...provider,
      ensure: (...asked) => {
        tries += 1;
        if (tries < 3) return Promise.reject(new RetryLaterError("quota used up", 20));
        return provider.ensure(...asked);
      },
    };
    await plane.node("a");
    await using _controller = startLoadBalancerController({ ...plane.deps, provider: busy });
    await plane.service("web", loadBalancer);
    // The loop's own first delay is 2.5 s at least, and there would be two of them.
    const all = await plane.until(serviceKind, (services) =>
      services.some(({ status }) => status?.loadBalancer?.ingress !== undefined),
    );
    assert.equal(all.find(({ metadata }) => metadata.name === "web") === undefined, false);
    assert.equal(tries, 3);
    await plane.until(eventKind, (events) =>
      events.some(
        ({ reason, message }) =>
          reason === "SyncLoadBalancerFailed" &&
          message === "Error syncing load balancer: failed to ensure load balancer: quota used up",
      ),
    );
  });

  it("LB-011: deletes the balancer of a Service that was deleted and made again unseen, first", async () => {
    await using plane = await startControlPlane();
    const provider = nodeProvider();
    await plane.node("a");
    // A watch that tells of the old Service's end and the new one's beginning as one change.
    const services = plane.deps.informers.of(serviceKind);
    let current: Service | undefined;
    const listeners: ((change: Change<Service>) => void)[] = [];
    const informer: Informer<Service> = {
      kind: serviceKind,
      hasSynced: true,
      lastError: undefined,
      synced: (signal) => services.synced(signal),
      get: () => current,
      list: () => (current === undefined ? [] : [current]),
      byIndex: () => [],
      addIndex: () => undefined,
      onChange: (listener) => {
        listeners.push(listener);
        return { [Symbol.dispose]: () => undefined };
      },
    };
    const show = (after: Service): void => {
      const before = current;
      current = after;
      for (const listener of listeners) listener({ key: keyOf(after), before, after });
    };
    const informers: Informers = {
      ...plane.deps.informers,
      of: <T extends KubernetesObject>(kind: KindDefinition<T>) =>
        // The kind says which of the two is asked for.
        kind.kind === "Service"
          ? (informer as unknown as Informer<T>)
          : plane.deps.informers.of(kind),
    };
    await using _controller = startLoadBalancerController({ ...plane.deps, informers, provider });
    const finished = (count: number): Promise<unknown> =>
      plane.until(
        eventKind,
        (events) =>
          events.filter(({ reason }) => reason === "EnsuredLoadBalancer").length === count,
      );
    const old = await plane.service("web", loadBalancer);
    show(old);
    await finished(1);
    const held = { kind: "merge", body: { metadata: { finalizers: null } } } as const;
    await plane.client.patch(serviceKind, old.metadata, held);
    await plane.remove(serviceKind, "web");
    show(await plane.service("web", loadBalancer));
    await finished(2);
    assert.deepEqual(provider.calls, ["ensure web: a", "delete web", "ensure web: a"]);
  });

  it("LB-017: is quiet when somebody else makes the balancer", async () => {
    await using plane = await startControlPlane();
    const asked: string[] = [];
    const provider: LoadBalancerProvider = {
      ...nodeProvider(),
      ensure: ({ metadata }) => {
        asked.push(metadata.name);
        return metadata.name === "theirs"
          ? Promise.reject(new ImplementedElsewhereError())
          : Promise.resolve({ ingress: [{ ip: "192.0.2.9" }] });
      },
    };
    await plane.node("a");
    await using _controller = startLoadBalancerController({ ...plane.deps, provider });
    await plane.service("theirs", loadBalancer);
    await plane.service("ours", loadBalancer);
    await plane.until(serviceKind, has("ours", "192.0.2.9"));
    await plane.until(eventKind, (events) =>
      events.some(({ reason }) => reason === "EnsuredLoadBalancer"),
    );
    assert.ok(asked.includes("theirs"));
    const { items } = await plane.client.list(eventKind);
    assert.ok(items.every(({ reason }) => reason !== "SyncLoadBalancerFailed"));
  });

  it("LB-018: hands the allowed ranges to the provider, and refuses an annotation that is none", async () => {
    await using plane = await startControlPlane();
    const handed: string[] = [];
    const provider: LoadBalancerProvider = {
      ...nodeProvider(),
      ensure: ({ metadata }, _nodes, _signal, ranges) => {
        handed.push(`${metadata.name}: ${ranges.join()}`);
        return Promise.resolve({ ingress: [{ ip: "192.0.2.9" }] });
      },
    };
    await plane.node("a");
    const annotation = "service.beta.kubernetes.io/load-balancer-source-ranges";
    await plane.service("any", loadBalancer);
    await plane.service("field", {
      ...loadBalancer,
      loadBalancerSourceRanges: ["10.0.0.0/8"],
    });
    const bad = await plane.service("plain", { type: "ClusterIP" });
    await using _controller = startLoadBalancerController({ ...plane.deps, provider });
    await plane.until(serviceKind, (all) =>
      ["any", "field"].every((name) => addressOf(all, name) === "192.0.2.9"),
    );
    assert.deepEqual(handed.toSorted(), ["any: 0.0.0.0/0", "field: 10.0.0.0/8"]);
    for (const [text, expected] of [
      [" 10.1.0.0/16, 10.2.0.0/16", "ranges 10.1.0.0/16,10.2.0.0/16"],
      ["10.0.0.0/33", "malformed"],
      ["", "ranges 0.0.0.0/0"],
    ]) {
      const metadata = { ...bad.metadata, annotations: { [annotation]: text ?? "" } };
      const result = sourceRangesOf({ ...bad, metadata });
      const said = result.kind === "ranges" ? `ranges ${result.ranges.join()}` : result.kind;
      assert.equal(said, expected);
    }
  });

  it("LB-027: cleans up at its start after Services that are being deleted", async () => {
    await using plane = await startControlPlane();
    const provider = nodeProvider();
    const first = startLoadBalancerController({ ...plane.deps, provider });
    const web = await plane.service("web", loadBalancer);
    await plane.until(serviceKind, (all) => addressOf(all, "web") !== undefined);
    await first[Symbol.asyncDispose]();
    await plane.client.delete(serviceKind, web.metadata);
    const held = await plane.client.get(serviceKind, web.metadata);
    assert.deepEqual(held.metadata.finalizers, [FINALIZER]);
    const informers = plane.freshInformers();
    await using _second = startLoadBalancerController({ ...plane.deps, informers, provider });
    await plane.until(serviceKind, (all) => !all.some(({ metadata }) => metadata.name === "web"));
    assert.equal(provider.calls.at(-1), "delete web");
  });

  it("LB-028: works on several Services at once, and never twice on one", async () => {
    await using plane = await startControlPlane();
    const running = new Set<string>();
    let most = 0;
    let isDoubled = false;
    const provider: LoadBalancerProvider = {
      ...nodeProvider(),
      ensure: async ({ metadata }) => {
        isDoubled ||= running.has(metadata.name);
        running.add(metadata.name);
        most = Math.max(most, running.size);
        // Until another one is at work, too, which the loop must allow.
        while (most < 2) await new Promise((resolve) => setImmediate(resolve));
        running.delete(metadata.name);
        return { ingress: [{ ip: "192.0.2.9" }] };
      },
    };
    await plane.node("a");
    await using _controller = startLoadBalancerController({ ...plane.deps, provider });
    for (const name of ["x", "y", "z"]) {
      const { metadata } = await plane.service(name, loadBalancer);
      const patch = { kind: "merge", body: { spec: { sessionAffinity: "ClientIP" } } } as const;
      await plane.client.patch(serviceKind, metadata, patch);
    }
    await plane.until(serviceKind, (all) =>
      ["x", "y", "z"].every((name) => addressOf(all, name) === "192.0.2.9"),
    );
    assert.equal(isDoubled, false);
  });
});
