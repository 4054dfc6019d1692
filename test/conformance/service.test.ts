import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cidr, textAt } from "../apiserver/test-server.ts";
import { refused, startServiceApi, warningsOf } from "./service-api.ts";

const ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses";
const CONDITION = {
  type: "Ready",
  status: "True",
  reason: "Tested",
  message: "",
  lastTransitionTime: "2026-01-01T00:00:00Z",
};

describe("Services through the API", () => {
  it("SVC-010: an object stored by an old version reads with addresses and families", async () => {
    await using it = await startServiceApi();
    const stored = (name: string, spec: object) => ({
      kind: "put" as const,
      key: `/registry/core/services/default/${name}`,
      value: JSON.stringify({
        kind: "Service",
        apiVersion: "v1",
        metadata: { name, namespace: "default", uid: name },
        spec,
      }),
    });
    const selector = { app: "x" };
    await it.api.store.commit(
      [],
      [
        stored("four", { type: "ClusterIP", clusterIP: "10.96.0.44", selector }),
        stored("six", { clusterIP: "fd00::44", selector }),
        stored("headless", { clusterIP: "None", selector }),
        stored("free", { clusterIP: "None" }),
        stored("name", { type: "ExternalName", externalName: "a.example" }),
      ],
    );
    await it.api.restart();
    const fields = async (name: string) => {
      const { clusterIPs, ipFamilies, ipFamilyPolicy } = (await it.get(name))["spec"] ?? {};
      return { clusterIPs, ipFamilies, ipFamilyPolicy };
    };
    assert.deepEqual(await fields("four"), {
      clusterIPs: ["10.96.0.44"],
      ipFamilies: ["IPv4"],
      ipFamilyPolicy: "SingleStack",
    });
    assert.deepEqual(await fields("six"), {
      clusterIPs: ["fd00::44"],
      ipFamilies: ["IPv6"],
      ipFamilyPolicy: "SingleStack",
    });
    assert.deepEqual(await fields("headless"), {
      clusterIPs: ["None"],
      ipFamilies: ["IPv4"],
      ipFamilyPolicy: "SingleStack",
    });
    assert.deepEqual(await fields("free"), {
      clusterIPs: ["None"],
      ipFamilies: ["IPv4", "IPv6"],
      ipFamilyPolicy: "RequireDualStack",
    });
    assert.deepEqual(await fields("name"), {
      clusterIPs: undefined,
      ipFamilies: undefined,
      ipFamilyPolicy: undefined,
    });
    // What it holds is held, though it has no IPAddress yet.
    refused(await it.post("thief", { clusterIP: "10.96.0.44" }), 422, /already allocated/);
  });

  it("SVC-014: /status is read, replaced and patched, with conditions beside the load balancer", async () => {
    await using it = await startServiceApi();
    const made = await it.create("web", { type: "LoadBalancer" });
    const url = "/api/v1/namespaces/default/services/web/status";
    assert.deepEqual((await it.api.call("GET", url)).json["status"], { loadBalancer: {} });
    const status = {
      loadBalancer: { ingress: [{ ip: "192.0.2.1" }] },
      conditions: [CONDITION],
    };
    const put = await it.api.call("PUT", url, { ...made, status });
    assert.equal(put.status, 200, put.text);
    const patch = { status: { conditions: [{ ...CONDITION, type: "Other" }] } };
    const headers = { "content-type": "application/strategic-merge-patch+json" };
    const patched = await it.api.call("PATCH", url, patch, { headers });
    assert.equal(patched.status, 200, patched.text);
    assert.deepEqual((await it.get("web"))["status"], {
      loadBalancer: { ingress: [{ ip: "192.0.2.1", ipMode: "VIP" }] },
      // Strategic merge puts what is new first.
      conditions: [{ ...CONDITION, type: "Other" }, CONDITION],
    });
    assert.equal((await it.api.call("DELETE", url)).status, 405);
  });

  it("SVC-016: a list of all namespaces finds a Service by its label", async () => {
    await using it = await startServiceApi();
    await it.api.call("POST", "/api/v1/namespaces", { metadata: { name: "team" } });
    for (const [namespace, name] of [
      ["team", "a"],
      ["default", "b"],
    ] as const) {
      const body = { metadata: { name, labels: { is: name } }, spec: { ports: [{ port: 80 }] } };
      await it.api.call("POST", `/api/v1/namespaces/${namespace}/services`, body);
    }
    const { json } = await it.api.call("GET", "/api/v1/services?labelSelector=is%3Da");
    assert.equal(textAt(json, "items.0.metadata.namespace"), "team");
    assert.equal(json["items"]?.["length"], 1);
  });

  it("SVC-020, ALLOC-032: a write that is refused takes and frees nothing", async () => {
    await using it = await startServiceApi();
    const before = await it.create("web", { type: "NodePort", clusterIP: "10.96.0.9" });
    const listed = (await it.api.call("GET", ADDRESSES)).text;
    // Allocated, and then found invalid.
    refused(await it.post("bad", { clusterIP: "10.96.0.10", ports: [{ port: 0 }] }), 422, /0/);
    // Released, and then found invalid.
    refused(
      await it.patch("web", { type: "ExternalName", externalName: "_" }),
      422,
      /externalName/,
    );
    refused(await it.patch("web", { type: "ClusterIP", sessionAffinity: "Odd" }), 422, /Odd/);
    // Released, and then found stale.
    const stale = { ...before, metadata: { ...before["metadata"], resourceVersion: "1" } };
    const spec = { type: "ExternalName", externalName: "a.example" };
    const url = "/api/v1/namespaces/default/services/web";
    refused(await it.api.call("PUT", url, { ...stale, spec }), 409, /has been modified/);
    assert.deepEqual(await it.get("web"), before);
    const items = (text: string) => text.slice(text.indexOf('"items"'));
    assert.equal(items((await it.api.call("GET", ADDRESSES)).text), items(listed));
    await it.create("next", { clusterIP: "10.96.0.10" });
    refused(await it.post("thief", { clusterIP: "10.96.0.9" }), 422, /already allocated/);
  });

  it("SVC-021: a dry run shows what it would give and gives nothing", async () => {
    await using it = await startServiceApi({
      serviceCidrs: [cidr("10.96.0.0/29")],
      nodePortRange: { first: 30_000, last: 30_001 },
    });
    // More often than there are addresses and ports.
    for (let i = 0; i < 20; i++) {
      const { status, json } = await it.post("dry", { type: "NodePort" }, "?dryRun=All");
      assert.equal(status, 201);
      assert.match(textAt(json, "spec.clusterIP"), /^10\.96\.0\./);
      assert.ok(Number(json["spec"]?.["ports"]?.["0"]?.["nodePort"]) >= 30_000);
    }
    assert.equal((await it.api.call("GET", ADDRESSES)).json["items"]?.["length"], 0);
    await it.create("real");
    const url = "/api/v1/namespaces/default/services/real?dryRun=All";
    const headers = { "content-type": "application/merge-patch+json" };
    const dry = await it.api.call("PATCH", url, { spec: { type: "NodePort" } }, { headers });
    assert.ok(Number(dry.json["spec"]?.["ports"]?.["0"]?.["nodePort"]) >= 30_000);
    const leaving = { spec: { type: "ExternalName", externalName: "a.example" } };
    assert.equal((await it.api.call("PATCH", url, leaving, { headers })).status, 200);
    assert.equal((await it.api.call("DELETE", url)).status, 200);
    const { clusterIP } = (await it.get("real"))["spec"] ?? {};
    refused(await it.post("thief", { clusterIP }), 422, /already allocated/);
  });

  it("SVC-023: selects by type and cluster IP, and refuses other fields", async () => {
    await using it = await startServiceApi();
    await it.create("a", { clusterIP: "10.96.0.9" });
    await it.create("b", { type: "NodePort" });
    const names = async (selector: string) => {
      const { json } = await it.api.call(
        "GET",
        `/api/v1/services?fieldSelector=${encodeURIComponent(selector)}`,
      );
      return [textAt(json, "items.0.metadata.name"), json["items"]?.["length"]];
    };
    assert.deepEqual(await names("spec.type=NodePort"), ["b", 1]);
    assert.deepEqual(await names("spec.clusterIP=10.96.0.9"), ["a", 1]);
    refused(
      await it.api.call("GET", "/api/v1/services?fieldSelector=spec.externalName%3Dx"),
      400,
      /spec.externalName/,
    );
  });

  it("SVC-024: strategic merge knows ports by their number, and selectors are merged as a map", async () => {
    await using it = await startServiceApi();
    await it.create("web", {
      ports: [
        { name: "http", port: 80, targetPort: 8080 },
        { name: "admin", port: 81 },
      ],
    });
    const ports = [{ port: 80, targetPort: 9090 }];
    const patched = await it.strategic("web", { spec: { ports } });
    assert.equal(patched.status, 200, patched.text);
    assert.deepEqual(patched.json["spec"]?.["ports"], [
      { name: "http", port: 80, protocol: "TCP", targetPort: 9090 },
      { name: "admin", port: 81, protocol: "TCP", targetPort: 81 },
    ]);
    const gone = await it.strategic("web", { spec: { ports: [{ port: 81, $patch: "delete" }] } });
    assert.equal(gone.json["spec"]?.["ports"]?.["length"], 1);
  });

  it("SVC-025, SVC-026: serves one number over two protocols, and several ports each with its own target", async () => {
    await using it = await startServiceApi();
    const ports = [
      { name: "dns", port: 53, protocol: "UDP", targetPort: "dns" },
      { name: "dns-tcp", port: 53, protocol: "TCP", targetPort: "dns-tcp" },
      { name: "metrics", port: 9153, protocol: "TCP", targetPort: 9153 },
    ];
    const { spec } = await it.create("dns", { ports });
    assert.deepEqual(spec?.["ports"], ports);
  });

  it("SVC-027, SVC-028: keeps what users say of load balancers and external addresses as it is", async () => {
    await using it = await startServiceApi();
    const mine = { loadBalancerIP: "not checked", externalIPs: ["192.0.2.9"] };
    const one = await it.create("one", { type: "LoadBalancer", ...mine });
    // Not allocated, so not exclusive either.
    await it.create("two", { externalIPs: ["192.0.2.9", "10.96.0.9"] });
    await it.create("three", { clusterIP: "10.96.0.9" });
    assert.equal(textAt(one, "spec.loadBalancerIP"), "not checked");
    const { json } = await it.patch("one", { type: "ClusterIP", loadBalancerIP: null });
    assert.deepEqual(json["spec"]?.["externalIPs"], ["192.0.2.9"]);
  });

  it("SVC-029, SVC-030: publishes only ready endpoints and prefers none, unless told", async () => {
    await using it = await startServiceApi();
    const { spec } = await it.create("web");
    assert.equal(spec?.["publishNotReadyAddresses"], undefined);
    assert.equal(spec?.["trafficDistribution"], undefined);
    for (const trafficDistribution of ["PreferClose", "PreferSameZone", "PreferSameNode"]) {
      const { json, text } = await it.patch("web", { trafficDistribution });
      assert.equal(textAt(json, "spec.trafficDistribution"), trafficDistribution, text);
    }
    refused(await it.patch("web", { trafficDistribution: "Far" }), 422, /Unsupported value: "Far"/);
  });

  it("SVC-031: warns in headers, on create and on update", async () => {
    await using it = await startServiceApi();
    const made = await it.post("web", {
      clusterIP: "010.096.000.009",
      externalIPs: ["FD00::1"],
      type: "LoadBalancer",
      loadBalancerSourceRanges: ["10.1.2.3/8", "010.0.0.0/8", "FD00::/8", "192.0.2.0/24"],
    });
    assert.equal(made.status, 201, made.text);
    assert.deepEqual(warningsOf(made), [
      'spec.clusterIPs[0]: non-standard IP address "010.096.000.009" will be considered invalid in a future Kubernetes release: use "10.96.0.9"',
      'spec.externalIPs[0]: IPv6 address "FD00::1" should be in RFC 5952 canonical format ("fd00::1")',
      'spec.loadBalancerSourceRanges[0]: CIDR value "10.1.2.3/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.1.2.3/32"?)',
      'spec.loadBalancerSourceRanges[1]: non-standard CIDR value "010.0.0.0/8" will be considered invalid in a future Kubernetes release: use "10.0.0.0/8"',
      'spec.loadBalancerSourceRanges[2]: IPv6 CIDR value "FD00::/8" should be in RFC 5952 canonical format ("fd00::/8")',
    ]);
    await it.create("db");
    assert.deepEqual(warningsOf(await it.patch("db", { externalName: "a.example" })), [
      'spec.externalName is ignored when spec.type is not "ExternalName"',
    ]);
    assert.deepEqual(warningsOf(await it.patch("db", { externalName: null })), []);
  });

  it("SVC-032: DenyServiceExternalIPs refuses new external IPs and lets old ones stay and go", async () => {
    await using it = await startServiceApi();
    await it.create("web", { externalIPs: ["192.0.2.9", "192.0.2.10"] });
    await it.api.restart({ denyServiceExternalIps: true });
    const message =
      'services "web" is forbidden: Use of external IPs is denied by admission control.';
    refused(await it.patch("web", { externalIPs: ["192.0.2.9", "192.0.2.11"] }), 403, message);
    assert.equal((await it.patch("web", { externalIPs: ["192.0.2.10"] })).status, 200);
    assert.equal((await it.patch("web", { sessionAffinity: "ClientIP" })).status, 200);
    refused(await it.post("new", { externalIPs: ["192.0.2.9"] }), 403, /denied by admission/);
    await it.create("plain");
    assert.equal((await it.patch("web", { externalIPs: null })).status, 200);
  });

  it("VAL-029, VAL-030: as in 1.34, addresses with leading zeros are taken, and read as decimal", async () => {
    await using it = await startServiceApi();
    await it.create("web", { clusterIP: "010.096.000.010" });
    await it.api.call("GET", `${ADDRESSES}/10.96.0.10`);
    refused(await it.post("same", { clusterIP: "10.96.0.10" }), 422, /already allocated/);
    assert.equal((await it.patch("web", { sessionAffinity: "ClientIP" })).status, 200);
    assert.equal(textAt(await it.get("web"), "spec.clusterIP"), "010.096.000.010");
    const own = await it.api.call("GET", `${ADDRESSES}/10.96.0.10`);
    assert.equal(textAt(own.json, "spec.parentRef.name"), "web");
    await it.remove("web");
    await it.create("same", { clusterIP: "10.96.0.10" });
  });

  it("UPD-017, UPD-019: ports and affinity change without a new address", async () => {
    await using it = await startServiceApi();
    const { spec: before } = await it.create("web");
    const { json } = await it.replace("web", {
      ports: [{ port: 8080 }],
      sessionAffinity: "ClientIP",
    });
    assert.deepEqual(json["spec"], {
      ...before,
      ports: [{ port: 8080, protocol: "TCP", targetPort: 8080 }],
      sessionAffinity: "ClientIP",
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } },
    });
    const back = await it.replace("web", { ports: [{ port: 80 }], sessionAffinity: "None" });
    assert.deepEqual(back.json["spec"], before);
  });

  it("UPD-006, UPD-007, UPD-008, UPD-009: goes to ExternalName and back through a patch of the type alone", async () => {
    await using it = await startServiceApi();
    const { spec } = await it.create("web", { type: "NodePort", clusterIP: "10.96.0.9" });
    const nodePort = spec?.["ports"]?.["0"]?.["nodePort"];
    const away = await it.patch("web", { type: "ExternalName", externalName: "a.example" });
    assert.deepEqual(away.json["spec"], {
      type: "ExternalName",
      externalName: "a.example",
      ports: [{ port: 80, protocol: "TCP", targetPort: 80 }],
      selector: { app: "web" },
      sessionAffinity: "None",
    });
    // What it held is free.
    await it.create("other", {
      type: "NodePort",
      clusterIP: "10.96.0.9",
      ports: [{ port: 80, nodePort }],
    });
    for (const type of ["ClusterIP", "NodePort"]) {
      const { json, status, text } = await it.patch("web", { type, externalName: null });
      assert.equal(status, 200, text);
      assert.match(textAt(json, "spec.clusterIP"), /^10\.96\./);
      assert.deepEqual(json["spec"]?.["ipFamilies"], ["IPv4"]);
      assert.equal(json["spec"]?.["ports"]?.["0"]?.["nodePort"] !== undefined, type === "NodePort");
    }
  });
});
