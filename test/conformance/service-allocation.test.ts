import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cidr, textAt } from "../apiserver/test-server.ts";
import type { Json } from "../apiserver/test-server.ts";
import { refused, startServiceApi } from "./service-api.ts";
import type { ServiceApi } from "./service-api.ts";

const NETWORKING = "/apis/networking.k8s.io/v1";
const ADDRESSES = `${NETWORKING}/ipaddresses`;
const RANGES = `${NETWORKING}/servicecidrs`;
const MERGE = { headers: { "content-type": "application/merge-patch+json" } };

const nodePorts = ({ spec }: Json) =>
  Object.values(spec?.["ports"] ?? {}).map((port) => port["nodePort"]);

async function addresses({ api }: ServiceApi): Promise<readonly string[]> {
  const { json } = await api.call("GET", ADDRESSES);
  return Object.values(json["items"] ?? {}).map((item) => textAt(item, "metadata.name"));
}

function range(name: string, ...cidrs: readonly string[]): object {
  return { metadata: { name }, spec: { cidrs } };
}

const parent = (name: string) => ({
  parentRef: { resource: "services", namespace: "default", name },
});

describe("cluster IPs", () => {
  it("ALLOC-001, ALLOC-010, ALLOC-011: each has an IPAddress that says whose it is", async () => {
    await using it = await startServiceApi({
      serviceCidrs: [cidr("10.96.0.0/24"), cidr("fd00:96::/112")],
    });
    const { spec } = await it.create("web", { ipFamilyPolicy: "RequireDualStack" });
    const [four = "", six = ""] = Object.values(spec?.["clusterIPs"] ?? {}).map(String);
    assert.deepEqual(await addresses(it), [four, six]);
    for (const [ip, family] of [
      [four, "IPv4"],
      [six, "IPv6"],
    ]) {
      const { json } = await it.api.call("GET", `${ADDRESSES}/${String(ip)}`);
      assert.deepEqual(json["spec"], parent("web"));
      assert.deepEqual(json["metadata"]?.["labels"], {
        "ipaddress.kubernetes.io/ip-family": family,
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
      });
      assert.match(textAt(json, "metadata.uid"), /^[0-9a-f-]{36}$/);
    }
    await it.remove("web");
    assert.deepEqual(await addresses(it), []);
  });

  it("ALLOC-002, ALLOC-003, ALLOC-004, ALLOC-005: taken, outside, exhausted and none at all", async () => {
    await using it = await startServiceApi({ serviceCidrs: [cidr("10.96.0.0/30")] });
    await it.create("headless", { clusterIP: "None" });
    await it.create("name", { type: "ExternalName", externalName: "a.example" });
    assert.deepEqual(await addresses(it), []);
    await it.create("a", { clusterIP: "10.96.0.1" });
    refused(
      await it.post("b", { clusterIP: "10.96.0.1" }),
      422,
      'Service "b" is invalid: spec.clusterIPs: Invalid value: []string{"10.96.0.1"}: failed to allocate IP 10.96.0.1: provided IP is already allocated',
    );
    for (const outside of ["10.96.0.0", "10.96.0.3", "10.97.0.1"]) {
      refused(await it.post("b", { clusterIP: outside }), 422, /is not in the valid range/);
    }
    const { spec } = await it.create("b");
    assert.equal(spec?.["clusterIP"], "10.96.0.2");
    const full = await it.post("c");
    refused(full, 500, "Internal error occurred: failed to allocate a serviceIP: range is full");
  });

  it("ALLOC-007, ALLOC-008, ALLOC-009: dynamic addresses come from above the band, in no order", async () => {
    await using it = await startServiceApi({ serviceCidrs: [cidr("10.96.0.0/24")] });
    const last = async (i: number) => {
      const ip = textAt(await it.create(`s-${String(i)}`), "spec.clusterIP");
      return Number(ip.split(".")[3]);
    };
    const given = await Promise.all(Array.from({ length: 40 }, (_, i) => last(i)));
    assert.ok(given.every((n) => n >= 16 && n < 255));
    assert.notDeepEqual(
      given,
      given.toSorted((a, b) => a - b),
    );
    // A request may go into the band.
    await it.create("static", { clusterIP: "10.96.0.10" });
  });

  it("ALLOC-012: an IPAddress that anybody made blocks the address", async () => {
    await using it = await startServiceApi({ serviceCidrs: [cidr("10.96.0.0/30")] });
    const mine = {
      metadata: { name: "10.96.0.1" },
      spec: { parentRef: { group: "example.com", resource: "gateways", name: "edge" } },
    };
    assert.equal((await it.api.call("POST", ADDRESSES, mine)).status, 201);
    refused(await it.post("a", { clusterIP: "10.96.0.1" }), 422, /already allocated/);
    const { spec } = await it.create("a");
    assert.equal(spec?.["clusterIP"], "10.96.0.2");
    refused(await it.post("b"), 500, /range is full/);
    // And an address that a Service has cannot be made again by others.
    refused(
      await it.api.call("POST", ADDRESSES, { ...mine, metadata: { name: "10.96.0.2" } }),
      409,
      'ipaddresses.networking.k8s.io "10.96.0.2" already exists',
    );
    // Nor does it go with a Service that does not hold it.
    await it.remove("a");
    assert.deepEqual(await addresses(it), ["10.96.0.1"]);
  });

  it("ALLOC-013: IPAddresses are created, read, patched, replaced and deleted like any object", async () => {
    await using it = await startServiceApi();
    const { api } = it;
    const url = `${ADDRESSES}/192.0.2.9`;
    const object = { metadata: { name: "192.0.2.9", labels: { a: "b" } }, spec: parent("x") };
    const made = await api.call("POST", ADDRESSES, object);
    assert.equal(made.status, 201, made.text);
    assert.equal((await api.call("GET", url)).text, made.text);
    const patched = await api.call("PATCH", url, { metadata: { labels: { c: "d" } } }, MERGE);
    assert.deepEqual(patched.json["metadata"]?.["labels"], { a: "b", c: "d" });
    refused(
      await api.call("PUT", url, { ...patched.json, spec: parent("y") }),
      422,
      /^IPAddress.networking.k8s.io "192.0.2.9" is invalid: spec.parentRef: Invalid value: .*: field is immutable$/,
    );
    refused(
      await api.call("POST", ADDRESSES, { metadata: { name: "192.0.2.010" }, spec: parent("x") }),
      422,
      /must be a canonical format IP address/,
    );
    refused(
      await api.call("POST", ADDRESSES, { metadata: { name: "192.0.2.10" }, spec: {} }),
      422,
      'IPAddress.networking.k8s.io "192.0.2.10" is invalid: spec.parentRef: Required value',
    );
    const stop = new AbortController();
    const { body } = await api.open(
      `${ADDRESSES}?watch=1&resourceVersion=${textAt(made.json, "metadata.resourceVersion")}`,
      { signal: stop.signal },
    );
    assert.equal((await api.call("DELETE", url)).status, 200);
    let seen = "";
    for await (const chunk of body) {
      seen += Buffer.from(chunk).toString();
      if (seen.includes('"DELETED"')) stop.abort();
    }
    assert.match(seen, /"MODIFIED"[^]*"DELETED"/);
    await api.call("POST", ADDRESSES, object);
    const cleared = await api.call("DELETE", `${ADDRESSES}?labelSelector=a%3Db`);
    assert.equal(cleared.status, 200, cleared.text);
    assert.deepEqual(await addresses(it), []);
  });

  it("ALLOC-014, ALLOC-015: ServiceCIDRs likewise, and the cluster's own is kept", async () => {
    await using it = await startServiceApi({
      serviceCidrs: [cidr("10.96.0.0/16"), cidr("fd00:96::/112")],
    });
    const { api } = it;
    const own = await api.call("GET", `${RANGES}/kubernetes`);
    assert.deepEqual(own.json["spec"], { cidrs: ["10.96.0.0/16", "fd00:96::/112"] });
    const made = await api.call("POST", RANGES, range("more", "10.200.0.0/24"));
    assert.equal(made.status, 201, made.text);
    refused(
      await api.call("PUT", `${RANGES}/more`, { ...made.json, spec: { cidrs: ["10.201.0.0/24"] } }),
      422,
      /spec.cidrs\[0\]: Invalid value: "10.201.0.0\/24": field is immutable/,
    );
    const both = { spec: { cidrs: ["10.200.0.0/24", "fd00:200::/112"] } };
    assert.equal((await api.call("PATCH", `${RANGES}/more`, both, MERGE)).status, 200);
    const condition = {
      type: "Ready",
      status: "False",
      reason: "Tested",
      message: "",
      lastTransitionTime: "2026-01-01T00:00:00Z",
    };
    const status = { status: { conditions: [condition] } };
    const patched = await api.call("PATCH", `${RANGES}/more/status`, status, MERGE);
    assert.deepEqual(patched.json["status"], status.status);
    assert.equal((await api.call("DELETE", `${RANGES}/more`)).status, 200);
    // No controller has put a finalizer on it yet, so it goes at once, and the server makes it again.
    const { body } = await api.open(
      `${RANGES}?watch=1&resourceVersion=${textAt(patched.json, "metadata.resourceVersion")}`,
    );
    await api.call("DELETE", `${RANGES}/kubernetes`);
    let seen = "";
    for await (const chunk of body) {
      seen += Buffer.from(chunk).toString();
      if (/"ADDED"[^\n]*"name":"kubernetes"/.test(seen)) break;
    }
    const again = await api.call("GET", `${RANGES}/kubernetes`);
    assert.deepEqual(again.json["spec"], own.json["spec"]);
  });

  it("ALLOC-015: a second family of the flags is added to the ServiceCIDR that is there", async () => {
    await using it = await startServiceApi({ serviceCidrs: [cidr("10.96.0.0/16")] });
    await it.api.restart({ serviceCidrs: [cidr("10.96.0.0/16"), cidr("fd00:96::/112")] });
    const { json } = await it.api.call("GET", `${RANGES}/kubernetes`);
    assert.deepEqual(json["spec"], { cidrs: ["10.96.0.0/16", "fd00:96::/112"] });
    const { spec } = await it.create("web", { ipFamilyPolicy: "RequireDualStack" });
    assert.equal(spec?.["clusterIPs"]?.["length"], 2);
  });

  it("ALLOC-016, ALLOC-017: a new range is used for requests and when the others are full, unless it is not ready", async () => {
    await using it = await startServiceApi({ serviceCidrs: [cidr("10.96.0.0/30")] });
    const { api } = it;
    await it.create("a");
    await it.create("b");
    refused(await it.post("c"), 500, /range is full/);
    refused(await it.post("c", { clusterIP: "10.200.0.9" }), 422, /is not in the valid range/);
    await api.call("POST", RANGES, range("more", "10.200.0.0/28"));
    await it.create("c", { clusterIP: "10.200.0.9" });
    const given = textAt(await it.create("d"), "spec.clusterIP");
    assert.match(given, /^10\.200\.0\./);
    // One that d was not given by chance.
    const free = given === "10.200.0.8" ? "10.200.0.7" : "10.200.0.8";
    const ready = (status: string) =>
      api.call(
        "PATCH",
        `${RANGES}/more/status`,
        {
          status: {
            conditions: [
              {
                type: "Ready",
                status,
                reason: "X",
                message: "",
                lastTransitionTime: "2026-01-01T00:00:00Z",
              },
            ],
          },
        },
        MERGE,
      );
    await ready("False");
    refused(await it.post("e"), 500, /range is full/);
    refused(await it.post("e", { clusterIP: free }), 422, /is not in the valid range/);
    await ready("True");
    await it.create("e", { clusterIP: free });
    const finalizers = { metadata: { finalizers: ["example.com/wait"] } };
    await api.call("PATCH", `${RANGES}/more`, finalizers, MERGE);
    await api.call("DELETE", `${RANGES}/more`);
    refused(await it.post("f"), 500, /range is full/);
    // ALLOC-035: what is there keeps working, and may be changed.
    assert.equal((await it.patch("c", { sessionAffinity: "ClientIP" })).status, 200);
  });

  it("ALLOC-035: an address outside every range stays with its Service until that goes", async () => {
    await using it = await startServiceApi({ serviceCidrs: [cidr("10.96.0.0/16")] });
    const { spec } = await it.create("web", { clusterIP: "10.96.0.9" });
    await it.api.call("DELETE", `${RANGES}/kubernetes`);
    await it.api.restart({ serviceCidrs: [cidr("10.97.0.0/16")] });
    const { json } = await it.patch("web", { sessionAffinity: "ClientIP" });
    assert.equal(json["spec"]?.["clusterIP"], spec?.["clusterIP"]);
    await it.remove("web");
    assert.deepEqual(await addresses(it), []);
  });

  it("SVC-018, SVC-019: an address goes when the Service is really gone, and not before", async () => {
    await using it = await startServiceApi();
    const url = "/api/v1/namespaces/default/services/web";
    await it.create("web", { clusterIP: "10.96.0.9" });
    const finalizers = (list: readonly string[]) =>
      it.api.call("PATCH", url, { metadata: { finalizers: list } }, MERGE);
    await finalizers(["example.com/wait"]);
    await it.remove("web");
    assert.deepEqual(await addresses(it), ["10.96.0.9"]);
    assert.equal((await finalizers([])).status, 200);
    assert.deepEqual(await addresses(it), []);
    await it.create("next", { clusterIP: "10.96.0.9" });
  });

  it("an IPAddress with a finalizer outlives its Service and keeps the address", async () => {
    await using it = await startServiceApi();
    await it.create("web", { clusterIP: "10.96.0.9" });
    const url = `${ADDRESSES}/10.96.0.9`;
    const finalizers = (list: readonly string[]) =>
      it.api.call("PATCH", url, { metadata: { finalizers: list } }, MERGE);
    await finalizers(["example.com/wait"]);
    await it.remove("web");
    refused(await it.post("next", { clusterIP: "10.96.0.9" }), 422, /already allocated/);
    await finalizers([]);
    await it.create("next", { clusterIP: "10.96.0.9" });
  });
});

describe("node ports", () => {
  it("ALLOC-024, ALLOC-025: come from the range that is configured", async () => {
    await using standard = await startServiceApi();
    const [port] = nodePorts(await standard.create("web", { type: "NodePort" }));
    // ALLOC-026: above the band of the default range.
    assert.ok(Number(port) >= 30_086 && Number(port) <= 32_767);
    await using it = await startServiceApi({ nodePortRange: { first: 31_000, last: 31_001 } });
    const given = [
      ...nodePorts(await it.create("a", { type: "NodePort" })),
      ...nodePorts(await it.create("b", { type: "NodePort" })),
    ];
    assert.deepEqual(
      given.map(Number).toSorted((a, b) => a - b),
      [31_000, 31_001],
    );
    refused(
      await it.post("c", { type: "NodePort" }),
      500,
      /failed to allocate a nodePort: range is full/,
    );
    const ask = (nodePort: number) =>
      it.post("c", { type: "NodePort", ports: [{ port: 80, nodePort }] });
    refused(
      await ask(30_999),
      422,
      /spec.ports\[0\].nodePort: Invalid value: 30999: provided port is not in the valid range. The range of valid ports is 31000-31001/,
    );
    refused(
      await ask(31_000),
      422,
      /spec.ports\[0\].nodePort: Invalid value: 31000: provided port is already allocated/,
    );
  });

  it("ALLOC-027, ALLOC-028, ALLOC-034: two protocols may share one, and no two Services", async () => {
    await using it = await startServiceApi();
    const tcp = { name: "tcp", port: 53, protocol: "TCP" };
    const udp = { name: "udp", port: 53, protocol: "UDP" };
    const made = await it.create("dns", { type: "NodePort", ports: [tcp, udp] });
    const [first, second] = nodePorts(made);
    assert.equal(first, second);
    const nodePort = Number(first);
    const ask = (name: string, protocol: string) =>
      it.post(name, { type: "NodePort", ports: [{ port: 53, protocol, nodePort }] });
    refused(await ask("other", "SCTP"), 422, /provided port is already allocated/);
    // The last protocol that uses it frees it.
    assert.equal((await it.replace("dns", { ports: [{ ...tcp, nodePort }] })).status, 200);
    refused(await ask("other", "UDP"), 422, /provided port is already allocated/);
    const shared = {
      ports: [
        { ...tcp, nodePort },
        { ...udp, nodePort },
      ],
    };
    assert.deepEqual(nodePorts((await it.replace("dns", shared)).json), [nodePort, nodePort]);
    assert.equal((await it.patch("dns", { type: "ClusterIP" })).status, 200);
    assert.equal((await ask("other", "UDP")).status, 201);
  });

  it("ALLOC-029, ALLOC-030: a load balancer may opt out and in again", async () => {
    await using it = await startServiceApi();
    const ports = [
      { name: "a", port: 80 },
      { name: "b", port: 81, nodePort: 30_081 },
    ];
    const out = { type: "LoadBalancer", allocateLoadBalancerNodePorts: false };
    assert.deepEqual(nodePorts(await it.create("web", { ...out, ports })), [undefined, 30_081]);
    const opted = await it.patch("web", { allocateLoadBalancerNodePorts: true });
    const [given, kept] = nodePorts(opted.json);
    assert.ok(Number(given) >= 30_000);
    assert.equal(kept, 30_081);
    const again = await it.patch("web", { allocateLoadBalancerNodePorts: false });
    assert.deepEqual(nodePorts(again.json), [given, kept]);
    assert.deepEqual(nodePorts((await it.replace("web", { ports })).json), [undefined, 30_081]);
  });

  it("ALLOC-031, UPD-003, UPD-013: health-check node ports come from the same pool and go with the policy", async () => {
    await using it = await startServiceApi();
    const local = { type: "LoadBalancer", externalTrafficPolicy: "Local" };
    const made = await it.create("web", { ...local, healthCheckNodePort: 30_900 });
    assert.equal(made["spec"]?.["healthCheckNodePort"], 30_900);
    const clash = { type: "NodePort", ports: [{ port: 80, nodePort: 30_900 }] };
    refused(await it.post("clash", clash), 422, /already allocated/);
    refused(
      await it.post("second", { ...local, healthCheckNodePort: 30_900 }),
      500,
      /failed to allocate requested HealthCheck NodePort 30900: provided port is already allocated/,
    );
    assert.ok(Number((await it.create("auto", local))["spec"]?.["healthCheckNodePort"]) >= 30_000);
    const kept = await it.replace("web", { healthCheckNodePort: undefined });
    assert.equal(kept.json["spec"]?.["healthCheckNodePort"], 30_900);
    const gone = await it.patch("web", { externalTrafficPolicy: "Cluster" });
    assert.equal(gone.json["spec"]?.["healthCheckNodePort"], undefined);
    await it.create("clash", clash);
  });

  it("ALLOC-033: a deleted Service's node port is free for another", async () => {
    await using it = await startServiceApi();
    const spec = { type: "NodePort", ports: [{ port: 80, nodePort: 30_080 }] };
    await it.create("web", spec);
    refused(await it.post("next", spec), 422, /already allocated/);
    await it.remove("web");
    await it.create("next", spec);
  });
});
