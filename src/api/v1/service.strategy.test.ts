import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defaultService } from "./service.defaults.ts";
import { serviceKind } from "./service.kind.ts";
import { prepareServiceForCreate, prepareServiceForUpdate } from "./service.strategy.ts";
import type { Service } from "./service.ts";
import { validateServiceUpdate } from "./service-update.validation.ts";

function service(spec: object): Service {
  const object = { apiVersion: "v1", kind: "Service", metadata: { name: "web" }, spec };
  // Defaults make it what the type says.
  return defaultService(object as Service);
}

const addresses = {
  clusterIP: "10.96.0.9",
  clusterIPs: ["10.96.0.9"],
  ipFamilies: ["IPv4"],
  ipFamilyPolicy: "SingleStack",
};
const port = { port: 80, protocol: "TCP", targetPort: 80, nodePort: 30_080 };
const loadBalancer: Service = {
  ...service({
    ...addresses,
    type: "LoadBalancer",
    ports: [port],
    selector: { app: "web" },
    externalTrafficPolicy: "Local",
    healthCheckNodePort: 30_900,
    loadBalancerClass: "a.example/lb",
    loadBalancerIP: "192.0.2.1",
    externalIPs: ["192.0.2.9"],
  }),
  status: { loadBalancer: { ingress: [{ ip: "192.0.2.1", ipMode: "VIP" }] } },
};
const nodePort = service({ ...addresses, type: "NodePort", ports: [port] });

/** What a patch of some fields of the spec makes of a Service. */
function patched(old: Service, changes: object): Service {
  const next = defaultService({ ...old, spec: { ...old.spec, ...changes } });
  return prepareServiceForUpdate(next, old);
}

describe("prepareServiceForCreate()", () => {
  it("SVC-012: discards the status", () => {
    assert.deepEqual(prepareServiceForCreate(loadBalancer).status, { loadBalancer: {} });
  });
});

describe("prepareServiceForUpdate()", () => {
  it("SVC-013: keeps the status", () => {
    const next = prepareServiceForUpdate({ ...loadBalancer, status: {} }, loadBalancer);
    assert.deepEqual(next.status, loadBalancer.status);
    const bare = prepareServiceForUpdate({ ...nodePort, status: {} }, nodePort);
    assert.ok(!("status" in bare));
  });

  it("UPD-006, UPD-007, UPD-012: wipes addresses and node ports on the way to ExternalName", () => {
    const { spec } = patched(nodePort, { type: "ExternalName", externalName: "a.example" });
    assert.deepEqual(spec, {
      type: "ExternalName",
      externalName: "a.example",
      sessionAffinity: "None",
      ports: [{ port: 80, protocol: "TCP", targetPort: 80 }],
    });
    assert.deepEqual(validateServiceUpdate({ ...nodePort, spec }, nodePort), []);
  });

  it("UPD-010: keeps what the request changed, for validation to refuse", () => {
    const next = patched(nodePort, {
      type: "ExternalName",
      externalName: "a.example",
      clusterIP: "10.96.0.10",
      clusterIPs: ["10.96.0.10"],
    });
    assert.deepEqual(
      validateServiceUpdate(next, nodePort).map((error) => error.field),
      ["spec.clusterIPs"],
    );
  });

  it("UPD-011: drops node ports of ClusterIP unless the request brings a new one", () => {
    assert.equal(patched(nodePort, { type: "ClusterIP" }).spec.ports?.[0]?.nodePort, undefined);
    const next = patched(nodePort, { type: "ClusterIP", ports: [{ ...port, nodePort: 30_081 }] });
    assert.equal(next.spec.ports?.[0]?.nodePort, 30_081);
    assert.deepEqual(
      validateServiceUpdate(next, nodePort).map((error) => error.field),
      ["spec.ports[0].nodePort"],
    );
  });

  it("UPD-012 to UPD-014: wipes what only a LoadBalancer has", () => {
    const next = patched(loadBalancer, { type: "ClusterIP", externalIPs: undefined });
    for (const key of [
      "externalTrafficPolicy",
      "healthCheckNodePort",
      "allocateLoadBalancerNodePorts",
      "loadBalancerClass",
    ]) {
      assert.ok(!(key in next.spec), key);
    }
    assert.deepEqual(next.status, { loadBalancer: {} });
    assert.deepEqual(validateServiceUpdate(next, loadBalancer), []);
  });

  it("UPD-012: keeps externalTrafficPolicy while external addresses remain", () => {
    const next = patched(loadBalancer, { type: "ClusterIP" });
    assert.equal(next.spec.externalTrafficPolicy, "Local");
  });

  it("UPD-013: wipes healthCheckNodePort when the policy becomes Cluster", () => {
    const next = patched(loadBalancer, { externalTrafficPolicy: "Cluster" });
    assert.ok(!("healthCheckNodePort" in next.spec));
    assert.deepEqual(validateServiceUpdate(next, loadBalancer), []);
  });

  it("UPD-015: keeps the rest", () => {
    const { spec } = patched(loadBalancer, { type: "ClusterIP" });
    assert.deepEqual(spec.selector, { app: "web" });
    assert.equal(spec.loadBalancerIP, "192.0.2.1");
    assert.deepEqual(spec.externalIPs, ["192.0.2.9"]);
    assert.equal(spec.clusterIP, "10.96.0.9");
  });

  it("UPD-016: keeps node ports between NodePort and LoadBalancer", () => {
    assert.equal(patched(nodePort, { type: "LoadBalancer" }).spec.ports?.[0]?.nodePort, 30_080);
    assert.equal(patched(loadBalancer, { type: "NodePort" }).spec.ports?.[0]?.nodePort, 30_080);
  });

  it("does not change its arguments", () => {
    const before = JSON.stringify([loadBalancer, nodePort]);
    patched(loadBalancer, { type: "ClusterIP" });
    patched(nodePort, { type: "ExternalName", externalName: "a.example" });
    assert.equal(JSON.stringify([loadBalancer, nodePort]), before);
  });
});

describe("serviceKind", () => {
  it("SVC-013: updates of /status reach the status, labels and annotations alone", () => {
    const object = {
      ...nodePort,
      metadata: { name: "web", annotations: { a: "1" } },
      spec: loadBalancer.spec,
      status: { conditions: [] },
    };
    const next = serviceKind.strategy.prepareForStatusUpdate?.(object, nodePort);
    assert.deepEqual(next, { ...object, spec: nodePort.spec });
  });

  it("SVC-031: warns of what has no effect", () => {
    const warnings = (spec: object): readonly string[] =>
      serviceKind.strategy.warnings?.(service(spec)) ?? [];
    assert.deepEqual(warnings({ ports: [port] }), []);
    assert.deepEqual(
      warnings({
        clusterIP: "None",
        clusterIPs: ["None"],
        loadBalancerIP: "192.0.2.1",
        externalIPs: ["192.0.2.9"],
        sessionAffinity: "ClientIP",
      }),
      [
        "spec.loadBalancerIP is ignored for headless services",
        "spec.externalIPs is ignored for headless services",
        "spec.SessionAffinity is ignored for headless services",
      ],
    );
    assert.deepEqual(warnings({ type: "ExternalName", externalIPs: ["192.0.2.9"] }), [
      'spec.externalIPs is ignored when spec.type is "ExternalName"',
    ]);
    assert.deepEqual(warnings({ externalName: "a.example" }), [
      'spec.externalName is ignored when spec.type is not "ExternalName"',
    ]);
    assert.deepEqual(warnings({ externalIPs: ["FD00:0::1"] }), [
      'spec.externalIPs[0]: IPv6 address "FD00:0::1" should be in RFC 5952 canonical format ("fd00::1")',
    ]);
  });

  it("SVC-023: selects by type and cluster IP", () => {
    const values = serviceKind.selectableFields.map((field) => [field.path, field.value(nodePort)]);
    assert.deepEqual(values, [
      ["spec.clusterIP", "10.96.0.9"],
      ["spec.type", "NodePort"],
    ]);
  });
});
