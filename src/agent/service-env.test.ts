import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Service } from "../api/v1/service.ts";
import { serviceEnvironment } from "./service-env.ts";

function service(name: string, spec: Partial<Service["spec"]>, namespace = "shop"): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace },
    spec: { type: "ClusterIP", sessionAffinity: "None", clusterIP: "127.96.0.9", ...spec },
  };
}

const kubernetes = service(
  "kubernetes",
  { clusterIP: "127.96.0.1", ports: [{ name: "https", port: 443, protocol: "TCP" }] },
  "default",
);

describe("serviceEnvironment()", () => {
  it("ENV-001 ENV-002 ENV-003: gives the variables of every port, with upper-case names", () => {
    const ports = [
      { name: "http-web", port: 80, protocol: "TCP" as const },
      { name: "dns", port: 53, protocol: "UDP" as const },
    ];
    assert.deepEqual(serviceEnvironment([service("my-web", { ports })], "shop", true), {
      MY_WEB_SERVICE_HOST: "127.96.0.9",
      MY_WEB_SERVICE_PORT: "80",
      MY_WEB_SERVICE_PORT_HTTP_WEB: "80",
      MY_WEB_SERVICE_PORT_DNS: "53",
      MY_WEB_PORT: "tcp://127.96.0.9:80",
      MY_WEB_PORT_80_TCP: "tcp://127.96.0.9:80",
      MY_WEB_PORT_80_TCP_PROTO: "tcp",
      MY_WEB_PORT_80_TCP_PORT: "80",
      MY_WEB_PORT_80_TCP_ADDR: "127.96.0.9",
      MY_WEB_PORT_53_UDP: "udp://127.96.0.9:53",
      MY_WEB_PORT_53_UDP_PROTO: "udp",
      MY_WEB_PORT_53_UDP_PORT: "53",
      MY_WEB_PORT_53_UDP_ADDR: "127.96.0.9",
    });
  });

  it("ENV-004: keeps a leading digit", () => {
    const ports = [{ port: 80, protocol: "TCP" as const }];
    const variables = serviceEnvironment([service("3scale", { ports })], "shop", true);
    assert.equal(variables["3SCALE_SERVICE_HOST"], "127.96.0.9");
  });

  it("ENV-005: gives nothing for headless and ExternalName Services", () => {
    const ports = [{ port: 80, protocol: "TCP" as const }];
    const services = [
      service("db", { clusterIP: "None", ports }),
      service("out", { type: "ExternalName", clusterIP: "", ports }),
    ];
    assert.deepEqual(serviceEnvironment(services, "shop", true), {});
  });

  it("ENV-006: gives Services of the own namespace, if links are on, and always kubernetes", () => {
    const ports = [{ port: 80, protocol: "TCP" as const }];
    const services = [
      kubernetes,
      service("web", { ports }),
      service("other", { ports }, "elsewhere"),
    ];
    const hosts = (isOn: boolean): string[] =>
      Object.keys(serviceEnvironment(services, "shop", isOn)).filter((n) => n.endsWith("_HOST"));
    assert.deepEqual(hosts(true), ["KUBERNETES_SERVICE_HOST", "WEB_SERVICE_HOST"]);
    assert.deepEqual(hosts(false), ["KUBERNETES_SERVICE_HOST"]);
  });

  it("ENV-006: prefers the own namespace's kubernetes, in any order", () => {
    const own = service("kubernetes", { ports: [{ port: 80, protocol: "TCP" }] });
    for (const services of [
      [kubernetes, own],
      [own, kubernetes],
    ]) {
      const variables = serviceEnvironment(services, "shop", true);
      assert.equal(variables["KUBERNETES_SERVICE_HOST"], "127.96.0.9");
    }
  });

  it("ENV-008: puts IPv6 addresses in brackets in URLs only", () => {
    const v6 = service("web", {
      clusterIP: "fd00::5",
      ports: [{ port: 80, protocol: "TCP" }],
    });
    const variables = serviceEnvironment([v6], "shop", true);
    assert.equal(variables["WEB_PORT"], "tcp://[fd00::5]:80");
    assert.equal(variables["WEB_SERVICE_HOST"], "fd00::5");
    assert.equal(variables["WEB_PORT_80_TCP_ADDR"], "fd00::5");
  });
});
