import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { endpointSliceKind } from "../api/discovery/endpointslice.kind.ts";
import { objectKey } from "../api/machinery/object-key.ts";
import { nodeKind } from "../api/v1/node.kind.ts";
import type { Node } from "../api/v1/node.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import type { Service } from "../api/v1/service.ts";
import type { ApiClient, Patch } from "../client/client.ts";
import { ip, port, service, slice } from "../core/proxy/fixtures.test.ts";
import type { TableChange } from "../core/proxy/diff.ts";
import type { Backend } from "../core/proxy/frontend.ts";
import { createLogger } from "../telemetry/logger.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { SERVED } from "./conditions.ts";
import type { DataPlane } from "./data-plane.ts";
import { TestInformer, testInformers } from "./fixtures.test.ts";
import { startProxy } from "./loop.ts";
import type { Proxy } from "./loop.ts";
import { ask, Scope, tryConnect, until } from "./userspace/fixtures.test.ts";

const WEB = objectKey({ namespace: "default", name: "web" });
const NODE: Node = {
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "here", labels: { "topology.kubernetes.io/zone": "a" } },
  spec: {},
};

interface Rig {
  readonly services: TestInformer<Service>;
  readonly slices: TestInformer<ReturnType<typeof slice>>;
  readonly nodes: TestInformer<Node>;
  readonly proxy: Proxy;
  readonly events: readonly string[];
  readonly patches: readonly Patch[];
  /** Versions of slices that the proxy confirmed to have carried out. */
  readonly confirmed: readonly string[];
  /** Why the data plane takes no changes; undefined where it does again. */
  readonly stuck: readonly (string | undefined)[];
  sync(): void;
  ready(): Promise<void>;
}

/** A proxy over informers that the test writes to; what it patches comes back as the API server's would. */
function rig(scope: Scope, dataPlane: DataPlane = scope.plane()): Rig {
  const services = new TestInformer(serviceKind);
  const slices = new TestInformer(endpointSliceKind);
  const nodes = new TestInformer(nodeKind);
  const events: string[] = [];
  const patches: Patch[] = [];
  const confirmed: string[] = [];
  const stuck: (string | undefined)[] = [];
  // As ApiClient.patch for the one call that the proxy makes: conditions of a Service, merged by type.
  const patch = (_kind: unknown, ref: { name: string }, given: Patch): Promise<Service> => {
    patches.push(given);
    const old = services.get(objectKey({ namespace: "default", ...ref }));
    if (old === undefined || given.kind !== "strategic") throw new Error("unexpected patch");
    const { status } = given.body as Pick<Service, "status">;
    const types = new Set(status?.conditions?.map((condition) => condition.type));
    const kept = (old.status?.conditions ?? []).filter((condition) => !types.has(condition.type));
    const conditions = [...kept, ...(status?.conditions ?? [])];
    const service = { ...old, status: { ...old.status, conditions } };
    services.put(service);
    return Promise.resolve(service);
  };
  const proxy = startProxy(
    {
      informers: testInformers(services as never, slices as never, nodes as never),
      client: { patch: patch as unknown as ApiClient["patch"] },
      events: { record: (_object, type, reason) => events.push(`${type} ${reason}`) },
      dataPlane,
      applied: { confirm: (version) => confirmed.push(version) },
      onStuck: (why) => stuck.push(why),
      log: createLogger({
        write: () => undefined,
        level: "error",
        format: "text",
        now: () => new Date(0),
      }),
      metrics: new Metrics(),
    },
    { nodeName: "here", nodePortAddresses: [ip("127.80.90.1")], internalRanges: [], retryMs: 20 },
  );
  scope.defer(() => proxy[Symbol.asyncDispose]());
  return {
    services,
    slices,
    nodes,
    proxy,
    events,
    patches,
    confirmed,
    stuck,
    sync: () => {
      for (const informer of [services, slices, nodes]) informer.sync();
    },
    ready: () => proxy.ready(AbortSignal.timeout(20_000)),
  };
}

const webAt = (clusterIP: string, spec: Partial<Service["spec"]> = {}): Service =>
  service({
    clusterIP,
    clusterIPs: [clusterIP],
    ports: [{ name: "http", protocol: "TCP", port: 8000 }],
    ...spec,
  });
const sliceOf = (backends: readonly Backend[]) =>
  slice(
    backends.map((backend) => `${backend.address} ready @here`),
    { ports: [{ name: "http", protocol: "TCP", port: backends[0]?.port ?? 1 }] },
  );
const servedOf = ({ services }: Rig) =>
  services.get(WEB)?.status?.conditions?.find((condition) => condition.type === SERVED);

describe("the proxy's loop", { timeout: 30_000 }, () => {
  it("PROXY-011: serves nothing before Services, slices and nodes are known", async () => {
    await using scope = new Scope();
    const given = rig(scope);
    const backend = await scope.named("127.80.91.1");
    const address = { address: ip("127.80.91.100"), port: port(8000) };
    given.services.put(webAt("127.80.91.100"));
    given.slices.put(sliceOf([backend]));
    given.services.sync();
    given.nodes.sync();
    for (let turns = 0; turns < 50; turns++) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await tryConnect(address), "ECONNREFUSED");
    given.slices.sync();
    await given.ready();
    assert.match(await ask(address), /^127\.80\.91\.1:/);
  });

  it("confirms an endpoint's termination when the data plane has carried it out, and only then", async () => {
    await using scope = new Scope();
    let carryOut: (() => void) | undefined;
    const given = rig(scope, {
      apply: () =>
        new Promise((resolve) => {
          carryOut = () => {
            resolve([]);
          };
        }),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
    const at = (version: string, ...endpoints: readonly string[]) => {
      const made = slice(endpoints);
      return { ...made, metadata: { ...made.metadata, resourceVersion: version } };
    };
    const done = async (): Promise<void> => {
      await until(() => carryOut !== undefined);
      carryOut?.();
      carryOut = undefined;
      await until(() => given.proxy.state.queuedSinceMs === undefined);
    };
    given.services.put(webAt("127.80.93.100"));
    given.slices.put(at("98", "127.80.93.1 ready", "127.80.93.2 ready"));
    given.sync();
    await done();
    assert.deepEqual(given.confirmed, [], "nobody waits for a data plane while nothing ends");
    given.slices.put(at("102", "127.80.93.1 ready", "127.80.93.2 ending"));
    await until(() => carryOut !== undefined);
    assert.deepEqual(given.confirmed, []);
    await done();
    assert.deepEqual(given.confirmed, ["102"]);
  });

  it("follows endpoints and Services as they come and go", async () => {
    await using scope = new Scope();
    const given = rig(scope);
    const backend = await scope.named("127.80.92.1");
    const address = { address: ip("127.80.92.100"), port: port(8000) };
    given.sync();
    await given.ready();
    given.services.put(webAt("127.80.92.100"));
    given.slices.put(sliceOf([backend]));
    const frontends = () => given.proxy.table().frontends;
    await until(() => frontends()[0]?.target.hasEndpoints === true);
    await until(() => given.proxy.state.queuedSinceMs === undefined);
    assert.match(await ask(address), /^127\.80\.92\.1:/);
    given.slices.put(sliceOf([]));
    await until(() => frontends()[0]?.target.hasEndpoints === false);
    assert.equal(await tryConnect(address), "ECONNREFUSED");
    given.slices.put(sliceOf([backend]));
    await until(() => frontends()[0]?.target.hasEndpoints === true);
    given.services.delete(WEB);
    await until(() => frontends().length === 0);
    assert.equal(await tryConnect(address), "ECONNREFUSED");
  });

  it("PROXY-002, PROXY-003: a label takes a Service away, and removing it brings it back", async () => {
    await using scope = new Scope();
    const given = rig(scope);
    const web = webAt("127.80.93.100");
    given.services.put(web);
    given.sync();
    await given.ready();
    assert.equal(given.proxy.table().frontends.length, 1);
    const labels = { "service.kubernetes.io/headless": "" };
    given.services.put({ ...web, metadata: { ...web.metadata, labels } });
    await until(() => given.proxy.table().frontends.length === 0);
    given.services.put(web);
    await until(() => given.proxy.table().frontends.length === 1);
  });

  it("TOPO-024: a new zone of the node chooses anew for every Service", async () => {
    await using scope = new Scope();
    const given = rig(scope);
    given.nodes.put(NODE);
    given.services.put(webAt("127.80.94.100"));
    given.slices.put(slice(["127.80.94.1 ready zone:a", "127.80.94.2 ready zone:b"]));
    given.sync();
    await given.ready();
    const backends = () =>
      given.proxy.table().frontends[0]?.target.cluster.map((each) => String(each.address)) ?? [];
    assert.deepEqual(backends(), ["127.80.94.1"]);
    const labels = { "topology.kubernetes.io/zone": "b" };
    given.nodes.put({ ...NODE, metadata: { name: "here", labels } });
    await until(() => backends()[0] === "127.80.94.2");
  });

  it("tells the Service what is not served, once, and takes it back when it is", async () => {
    await using scope = new Scope();
    const given = rig(scope);
    const backend = await scope.named("127.80.95.1");
    const squatter = createServer().listen(8000, "127.80.95.100");
    await once(squatter, "listening");
    scope.defer(() => squatter.close());
    given.services.put(webAt("127.80.95.100", { externalIPs: ["203.0.113.1"] }));
    given.slices.put(sliceOf([backend]));
    given.sync();
    await until(() => servedOf(given)?.status === "False");
    assert.equal(servedOf(given)?.reason, "AddressInUse");
    assert.match(
      String(servedOf(given)?.message),
      /127\.80\.95\.100:8000 is in use.*203\.0\.113\.1:8000/,
    );
    assert.deepEqual(given.events.toSorted(), ["Warning AddressInUse", "Warning AddressNotLocal"]);
    squatter.close();
    // The retry comes by itself.
    await until(() => servedOf(given)?.reason === "AddressNotLocal");
    assert.match(await ask({ address: ip("127.80.95.100"), port: port(8000) }), /^127\.80\.95\.1:/);
    given.services.put({
      ...(given.services.get(WEB) ?? webAt("")),
      spec: webAt("127.80.95.100").spec,
    });
    await until(() => servedOf(given)?.status === "True");
    assert.equal(given.patches.length, 3);
  });

  it("says once in an Event that portolan.dev/balance has a value that it does not know", async () => {
    await using scope = new Scope();
    const given = rig(scope);
    const asking = (balance: string): Service => ({
      ...webAt("127.80.98.100"),
      metadata: { ...webAt("").metadata, annotations: { "portolan.dev/balance": balance } },
    });
    given.services.put(asking("by-name"));
    given.sync();
    await given.ready();
    assert.deepEqual(given.events, ["Warning UnknownBalance"]);
    given.slices.put(slice(["127.80.98.1 ready @here"]));
    const target = () => given.proxy.table().frontends[0]?.target;
    await until(() => target()?.hasEndpoints === true);
    assert.equal(target()?.balance, "random");
    given.services.put(asking("source-hash"));
    await until(() => target()?.balance === "source-hash");
    given.services.put(asking("by-colour"));
    await until(() => given.events.length === 2);
  });

  it("HC-001: opens the health-check port of a Service with externalTrafficPolicy Local", async () => {
    await using scope = new Scope();
    const given = rig(scope);
    given.services.put(
      webAt("127.80.96.100", {
        type: "LoadBalancer",
        externalTrafficPolicy: "Local",
        healthCheckNodePort: 31_100,
      }),
    );
    given.slices.put(slice(["127.80.96.1 ready @here"]));
    given.sync();
    await given.ready();
    assert.equal((await fetch("http://127.80.90.1:31100/healthz")).status, 200);
  });

  it("PROXY-012: what changes while the data plane works is applied at once afterwards, not one by one", async () => {
    await using scope = new Scope();
    const seen: TableChange[] = [];
    let carryOut: () => void = () => undefined;
    const given = rig(scope, {
      apply: (change) => {
        seen.push(change);
        return new Promise((resolve) => {
          carryOut = () => {
            resolve([]);
          };
        });
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
    given.services.put(webAt("127.80.98.100"));
    given.sync();
    await until(() => seen.length === 1);
    const many = Array.from({ length: 200 }, (_, i) => `127.80.98.${String(i + 1)}`);
    for (const [i] of many.entries()) given.slices.put(slice(many.slice(0, i + 1)));
    carryOut();
    await until(() => seen.length === 2);
    assert.equal(seen[1]?.changed[0]?.after.target.cluster.length, many.length);
    carryOut();
    await given.ready();
    assert.equal(seen.length, 2);
  });

  it("hands a data plane that fails the same change again, and tells of it once", async () => {
    await using scope = new Scope();
    const seen: TableChange[] = [];
    let carryOut: () => void = () => undefined;
    const failing: DataPlane = {
      apply: (change) => {
        seen.push(change);
        if (seen.length < 3) return Promise.reject(new Error("no nft"));
        return new Promise((resolve) => {
          carryOut = () => {
            resolve([]);
          };
        });
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    const given = rig(scope, failing);
    given.services.put(webAt("127.80.97.100"));
    given.sync();
    await until(() => seen.length === 3);
    assert.notEqual(given.proxy.state.queuedSinceMs, undefined);
    assert.deepEqual(given.stuck, ["no nft"]);
    carryOut();
    await given.ready();
    assert.deepEqual(given.stuck, ["no nft", undefined]);
    assert.deepEqual(seen[2], seen[0]);
    assert.equal(seen[2]?.added[0]?.address, "127.80.97.100");
  });
});
