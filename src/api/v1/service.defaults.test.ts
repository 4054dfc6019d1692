import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { defaultService } from "./service.defaults.ts";
import type { Service } from "./service.ts";

/** A Service as a client may send it: decoded, but with nothing filled in. */
function sent(spec: object, status?: object): Service {
  const object = { apiVersion: "v1", kind: "Service", metadata: { name: "web" }, spec, status };
  // Bodies are not yet what their type says; that is what defaults are for.
  return object as Service;
}

const specOf = (spec: object) => defaultService(sent(spec)).spec;

describe("defaultService()", () => {
  it("SVC-001, SVC-002, SVC-004, SVC-005, SVC-007: completes a plain Service", () => {
    assert.deepEqual(specOf({ ports: [{ port: 80 }], selector: { app: "web" } }), {
      type: "ClusterIP",
      sessionAffinity: "None",
      internalTrafficPolicy: "Cluster",
      ports: [{ port: 80, protocol: "TCP", targetPort: 80 }],
      selector: { app: "web" },
    });
  });

  it("completes a Service without a spec", () => {
    const object = { apiVersion: "v1", kind: "Service", metadata: { name: "web" } };
    // As `sent`.
    const service = defaultService(object as Service);
    assert.equal(service.spec.type, "ClusterIP");
    assert.equal(service.spec.ports, undefined);
  });

  it("SVC-002: drops the configuration of an affinity that is off", () => {
    const spec = specOf({ sessionAffinityConfig: { clientIP: { timeoutSeconds: 5 } } });
    assert.ok(!("sessionAffinityConfig" in spec));
  });

  it("SVC-003: gives ClientIP affinity three hours, and keeps another timeout", () => {
    const config = (given?: object) =>
      specOf({ sessionAffinity: "ClientIP", sessionAffinityConfig: given }).sessionAffinityConfig;
    assert.deepEqual(config(), { clientIP: { timeoutSeconds: 10_800 } });
    assert.deepEqual(config({ clientIP: {} }), { clientIP: { timeoutSeconds: 10_800 } });
    assert.deepEqual(config({ clientIP: { timeoutSeconds: 0 } }), {
      clientIP: { timeoutSeconds: 0 },
    });
  });

  it("SVC-005: points an empty targetPort at the port, and keeps names and numbers", () => {
    const target = (targetPort: string | number) =>
      specOf({ clusterIP: "None", ports: [{ port: 80, targetPort }] }).ports?.[0]?.targetPort;
    assert.equal(target(0), 80);
    assert.equal(target(""), 80);
    assert.equal(target("http"), "http");
    assert.equal(target(8080), 8080);
  });

  it("SVC-006: sets externalTrafficPolicy only where the outside can reach the Service", () => {
    const cases: readonly [object, string | undefined][] = [
      [{ type: "ClusterIP" }, undefined],
      [{ type: "ClusterIP", externalIPs: ["192.0.2.1"] }, "Cluster"],
      [{ type: "NodePort" }, "Cluster"],
      [{ type: "LoadBalancer" }, "Cluster"],
      [{ type: "LoadBalancer", externalTrafficPolicy: "Local" }, "Local"],
      [{ type: "ExternalName", externalIPs: ["192.0.2.1"] }, undefined],
    ];
    for (const [spec, expected] of cases) {
      assert.equal(specOf(spec).externalTrafficPolicy, expected, JSON.stringify(spec));
    }
  });

  it("SVC-007, SVC-011: leaves ExternalName without internalTrafficPolicy", () => {
    assert.ok(!("internalTrafficPolicy" in specOf({ type: "ExternalName" })));
    const stored = specOf({ type: "ExternalName", internalTrafficPolicy: "Cluster" });
    assert.ok(!("internalTrafficPolicy" in stored));
    assert.equal(specOf({ clusterIP: "None" }).internalTrafficPolicy, "Cluster");
  });

  it("SVC-008: sets allocateLoadBalancerNodePorts for LoadBalancer only", () => {
    const allocate = (spec: object) => specOf(spec).allocateLoadBalancerNodePorts;
    assert.equal(allocate({ type: "LoadBalancer" }), true);
    assert.equal(allocate({ type: "LoadBalancer", allocateLoadBalancerNodePorts: false }), false);
    assert.equal(allocate({ type: "NodePort" }), undefined);
  });

  it("SVC-009: sets ipMode where a load balancer has an address", () => {
    const ingress = [
      { ip: "192.0.2.1" },
      { hostname: "lb.example" },
      { ip: "::1", ipMode: "Proxy" },
    ];
    const status = { loadBalancer: { ingress } };
    const modes = (type: string) =>
      defaultService(sent({ type }, status)).status?.loadBalancer?.ingress?.map((i) => i.ipMode);
    assert.deepEqual(modes("LoadBalancer"), ["VIP", undefined, "Proxy"]);
    assert.deepEqual(modes("ClusterIP"), [undefined, undefined, "Proxy"]);
  });

  it("changes nothing more when applied again", () => {
    const spec = fc.record(
      {
        type: fc.constantFrom("ClusterIP", "NodePort", "LoadBalancer", "ExternalName", ""),
        sessionAffinity: fc.constantFrom("None", "ClientIP", "", "Other"),
        externalIPs: fc.array(fc.ipV4(), { maxLength: 1 }),
        ports: fc.array(fc.record({ port: fc.nat(65_535), targetPort: fc.nat(3) }), {
          maxLength: 2,
        }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(spec, (given) => {
        const once = defaultService(sent(given));
        assert.deepEqual(defaultService(once), once);
      }),
    );
  });
});
