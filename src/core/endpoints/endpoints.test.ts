import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Endpoints } from "../../api/v1/endpoints.ts";
import type { Pod, PodSpec } from "../../api/v1/pod.ts";
import type { Service, ServiceSpec } from "../../api/v1/service.ts";
import { planEndpoints } from "./endpoints.ts";
import type { EndpointsObserved, EndpointsPlan } from "./endpoints.ts";

function service(spec: Partial<ServiceSpec> = {}): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", namespace: "ns", labels: { tier: "front" } },
    spec: {
      type: "ClusterIP",
      clusterIP: "10.0.0.7",
      ipFamilies: ["IPv4"],
      sessionAffinity: "None",
      selector: { app: "web" },
      ports: [{ name: "http", port: 80, protocol: "TCP", targetPort: 8080 }],
      ...spec,
    },
  };
}

interface PodGiven {
  readonly ready?: boolean;
  readonly terminating?: boolean;
  readonly phase?: "Running" | "Failed";
  readonly ips?: readonly string[];
  readonly spec?: Partial<PodSpec>;
}

function pod(name: string, given: PodGiven = {}): Pod {
  const { ready = true, terminating = false, phase = "Running", ips = ["10.1.0.1"], spec } = given;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: "ns",
      uid: `uid-${name}`,
      ...(terminating ? { deletionTimestamp: "2025-01-01T00:00:00Z" } : {}),
    },
    spec: { containers: [{ name: "c" }], nodeName: "a", ...spec },
    status: {
      phase,
      podIPs: ips.map((ip) => ({ ip })),
      conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
    },
  };
}

function plan(observed: Partial<EndpointsObserved>): EndpointsPlan {
  return planEndpoints({ service: service(), pods: [], ...observed });
}

/** As the API server would hold it after the plan. */
function settled(observed: Partial<EndpointsObserved>): Endpoints {
  const todo = plan(observed);
  assert.notEqual(todo.kind, "none");
  const { subsets = [], metadata } = todo.kind === "none" ? { metadata: {} } : todo.object;
  const { labels = {}, annotations = {} } = metadata;
  return {
    apiVersion: "v1",
    kind: "Endpoints",
    metadata: { name: "web", namespace: "ns", labels, annotations },
    // Drafts may leave out what the plan never does.
    subsets: subsets as NonNullable<Endpoints["subsets"]>,
  };
}

function names(endpoints: Endpoints): unknown {
  return (endpoints.subsets ?? []).map(({ addresses = [], notReadyAddresses = [], ports = [] }) => [
    addresses.map(({ targetRef }) => targetRef?.name).join(),
    notReadyAddresses.map(({ targetRef }) => targetRef?.name).join(),
    ports.map(({ port }) => port).join(),
  ]);
}

describe("planEndpoints()", () => {
  it("EP-004, EP-005, EP-006: sorts Pods into ready, not ready and out", () => {
    const pods = [
      pod("ready", { ips: ["10.1.0.1"] }),
      pod("unready", { ready: false, ips: ["10.1.0.2"] }),
      pod("ending", { terminating: true, ips: ["10.1.0.3"] }),
      pod("failed", { phase: "Failed", ips: ["10.1.0.4"] }),
      pod("bare", { ips: [] }),
    ];
    assert.deepEqual(names(settled({ pods })), [["ready", "unready", "8080"]]);
    const all = service({ publishNotReadyAddresses: true });
    assert.deepEqual(names(settled({ service: all, pods })), [
      ["ready,unready,ending", "", "8080"],
    ]);
  });

  it("EP-007, DUAL-017: lists the primary family only", () => {
    const dual = pod("p", { ips: ["10.1.0.1", "fd00::1"] });
    const six = settled({ service: service({ ipFamilies: ["IPv6", "IPv4"] }), pods: [dual] });
    assert.equal(six.subsets?.[0]?.addresses?.[0]?.ip, "fd00::1");
    assert.deepEqual(
      names(settled({ service: service({ ipFamilies: ["IPv6"] }), pods: [pod("p")] })),
      [],
    );
  });

  it("EP-008, EP-009: carries labels, node, target and host name", () => {
    const named = pod("p", { spec: { hostname: "one", subdomain: "web" } });
    const endpoints = settled({ service: service({ clusterIP: "None" }), pods: [named] });
    assert.deepEqual(endpoints.metadata.labels, {
      tier: "front",
      "service.kubernetes.io/headless": "",
      "endpoints.kubernetes.io/managed-by": "endpoint-controller",
    });
    assert.deepEqual(endpoints.subsets?.[0]?.addresses, [
      {
        ip: "10.1.0.1",
        hostname: "one",
        nodeName: "a",
        targetRef: { kind: "Pod", namespace: "ns", name: "p", uid: "uid-p" },
      },
    ]);
  });

  it("EP-010, EP-017: groups by ports whatever the order, and does not write the same again", () => {
    const named = service({
      ports: [{ name: "http", port: 80, protocol: "TCP", targetPort: "web" }],
    });
    const on = (name: string, port: number, ip: string): Pod => {
      const ports = [{ name: "web", containerPort: port, protocol: "TCP" as const }];
      return pod(name, { ips: [ip], spec: { containers: [{ name: "c", ports }] } });
    };
    const pods = [on("a", 8080, "10.1.0.1"), on("b", 8081, "10.1.0.2"), on("c", 8080, "10.1.0.3")];
    const existing = settled({ service: named, pods });
    assert.deepEqual(names(existing), [
      ["a,c", "", "8080"],
      ["b", "", "8081"],
    ]);
    assert.equal(plan({ service: named, pods: pods.toReversed(), existing }).kind, "none");
    assert.equal(plan({ service: named, pods: pods.slice(1), existing }).kind, "update");
  });

  it("EP-002, EP-011: no Pods are no subsets; no ports are addresses without", () => {
    assert.deepEqual(settled({}).subsets, []);
    const portless = service({ clusterIP: "None", ports: [] });
    assert.deepEqual(names(settled({ service: portless, pods: [pod("p")] })), [["p", "", ""]]);
  });

  it("EP-012: cuts to 1000 addresses, ready ones first, and says so", () => {
    const many = (count: number, ready: boolean, second: number): readonly Pod[] =>
      Array.from({ length: count }, (_, i) =>
        pod(`${String(second)}-${String(i)}`, {
          ready,
          ips: [`10.${String(second)}.${String(i >> 8)}.${String(i & 255)}`],
        }),
      );
    const key = "endpoints.kubernetes.io/over-capacity";
    const over = settled({ pods: [...many(600, true, 1), ...many(600, false, 2)] });
    const [subset] = over.subsets ?? [];
    assert.deepEqual([subset?.addresses?.length, subset?.notReadyAddresses?.length], [600, 400]);
    assert.equal(over.metadata.annotations?.[key], "truncated");
    const full = settled({ pods: [...many(1200, true, 1), ...many(10, false, 2)] }).subsets?.[0];
    assert.deepEqual([full?.addresses?.length, full?.notReadyAddresses], [1000, undefined]);
    const fewer = plan({ pods: many(600, true, 1), existing: over });
    assert.equal(fewer.kind === "update" && fewer.object.metadata.annotations?.[key], undefined);
  });
});
