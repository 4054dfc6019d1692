import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Pod } from "../api/v1/pod.ts";
import type { Service } from "../api/v1/service.ts";
import { podEndpointOf } from "../core/endpoints/pod-endpoint.ts";
import { KnownEndpoints } from "./known-endpoints.ts";

const web: Service = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web", namespace: "ns" },
  spec: {
    type: "ClusterIP",
    sessionAffinity: "None",
    ports: [{ port: 80, protocol: "TCP", targetPort: 8080 }],
  },
};
const moved: Service = {
  ...web,
  spec: { ...web.spec, ports: [{ port: 80, protocol: "TCP", targetPort: 9090 }] },
};
const pod: Pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p1", namespace: "ns", uid: "u1" },
  spec: { containers: [{ name: "c" }] },
  status: { podIPs: [{ ip: "10.0.0.1" }, { ip: "fd00::1" }] },
};
const ready: Pod = {
  ...pod,
  status: { ...pod.status, conditions: [{ type: "Ready", status: "True" }] },
};

describe("KnownEndpoints", () => {
  it("says what podEndpointOf() says, whichever of its arguments changes", () => {
    const known = new KnownEndpoints();
    const courses = [
      [web, pod, "IPv4", undefined],
      [web, pod, "IPv4", undefined],
      [web, pod, "IPv6", undefined],
      [web, pod, "IPv6", "zone-a"],
      [moved, pod, "IPv6", "zone-a"],
      [moved, ready, "IPv6", "zone-a"],
      [web, pod, "IPv4", undefined],
    ] as const;
    for (const [service, given, family, zone] of courses) {
      const fresh = podEndpointOf(service, given, family, zone);
      assert.deepEqual(known.of(service, given, family, zone), fresh);
    }
  });

  it("works out once what has not changed", () => {
    const known = new KnownEndpoints();
    assert.equal(known.of(web, pod, "IPv4", "a"), known.of(web, pod, "IPv4", "a"));
  });
});
