import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { serviceColumns } from "./service.columns.ts";
import { defaultService } from "./service.defaults.ts";
import type { Service } from "./service.ts";
import type { Cell } from "../machinery/kind.ts";

const NOW_MS = Date.parse("2026-01-02T03:04:05Z");

function row(spec: object, ingress?: readonly object[]): readonly Cell[] {
  const object = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", creationTimestamp: "2026-01-02T03:00:45Z" },
    spec,
    ...(ingress && { status: { loadBalancer: { ingress } } }),
  };
  // Defaults make it what the type says.
  const service = defaultService(object as Service);
  return serviceColumns.map((column) => column.cell(service, NOW_MS));
}

const ports = [{ port: 80 }, { port: 53, protocol: "UDP", nodePort: 30_053 }];

describe("serviceColumns", () => {
  it("SVC-022: are those of kubectl, with the selector only on demand", () => {
    assert.deepEqual(
      serviceColumns.map(({ name, priority }) => `${name} ${String(priority)}`),
      ["Name 0", "Type 0", "Cluster-IP 0", "External-IP 0", "Port(s) 0", "Age 0", "Selector 1"],
    );
    assert.equal(serviceColumns[0]?.format, "name");
  });

  it("show each type as kubectl does", () => {
    const selector = { tier: "b", app: "web" };
    const internal = { clusterIP: "10.96.0.9", clusterIPs: ["10.96.0.9"], ports, selector };
    const tail = ["80/TCP,53:30053/UDP", "3m20s", "app=web,tier=b"];
    assert.deepEqual(row({ ...internal }), ["web", "ClusterIP", "10.96.0.9", "<none>", ...tail]);
    assert.deepEqual(row({ ...internal, type: "LoadBalancer" }), [
      "web",
      "LoadBalancer",
      "10.96.0.9",
      "<pending>",
      ...tail,
    ]);
    assert.deepEqual(row({ type: "ExternalName", externalName: "a.example" }), [
      "web",
      "ExternalName",
      "<none>",
      "a.example",
      "<none>",
      "3m20s",
      "<none>",
    ]);
  });

  it("list every external address", () => {
    const externalIPs = ["192.0.2.9"];
    assert.equal(row({ externalIPs })[3], "192.0.2.9");
    assert.equal(row({ type: "NodePort", externalIPs })[3], "192.0.2.9");
    const ingress = [{ hostname: "lb.example" }, { ip: "192.0.2.1" }];
    assert.equal(
      row({ type: "LoadBalancer", externalIPs }, ingress)[3],
      "192.0.2.1,lb.example,192.0.2.9",
    );
    assert.equal(row({ clusterIP: "None", clusterIPs: ["None"] })[2], "None");
  });
});
