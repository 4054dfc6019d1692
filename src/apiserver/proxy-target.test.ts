import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Endpoints } from "../api/v1/endpoints.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { Service } from "../api/v1/service.ts";
import { parseCidr } from "../net/cidr.ts";
import type { Cidr } from "../net/cidr.ts";
import { parseProxyPath } from "./proxy-path.ts";
import { isProxyable, parseProxyName, podTarget, serviceTarget } from "./proxy-target.ts";
import type { ProxyName } from "./proxy-target.ts";

const LOOPBACK = ["127.112.0.0/16"]
  .map((text) => parseCidr(text))
  .filter((one) => one !== undefined);
const NONE: readonly Cidr[] = [];

function named(text: string): ProxyName {
  const name = parseProxyName(text);
  assert.ok(name);
  return name;
}

const pod = (ip: string, ports: readonly number[] = []): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p" },
  spec: {
    containers: [
      { name: "a" },
      { name: "b", ports: ports.map((containerPort) => ({ containerPort, protocol: "TCP" })) },
    ],
  },
  status: { podIP: ip, podIPs: [{ ip }] },
});

describe("parseProxyPath()", () => {
  it("splits what is before the proxied path from it, in the caller's spelling", () => {
    const at = "/api/v1/namespaces/n/services/https:s:p/proxy";
    assert.deepEqual(parseProxyPath(`${at}/a%2Fb/../c?d=/proxy/`), {
      prefix: at,
      path: "/a%2Fb/../c",
      search: "?d=/proxy/",
    });
    assert.deepEqual(parseProxyPath("/api/v1/nodes/n/proxy"), {
      prefix: "/api/v1/nodes/n/proxy",
      path: "",
      search: "",
    });
    for (const other of [
      "/api/v1/pods/p/proxy",
      "/api/v1/nodes/n/proxyx",
      "/apis/v1/nodes/n/proxy",
    ])
      assert.equal(parseProxyPath(other), undefined);
  });
});

describe("parseProxyName()", () => {
  it("APIS-005: reads [SCHEME:]NAME[:PORT]", () => {
    const parts = (text: string) => {
      const { scheme, name, port } = named(text);
      return [scheme, name, port];
    };
    assert.deepEqual(parts("s"), ["http", "s", ""]);
    assert.deepEqual(parts("s:80"), ["http", "s", "80"]);
    assert.deepEqual(parts("https:s:web"), ["https", "s", "web"]);
    assert.deepEqual(parts("https:s:"), ["https", "s", ""]);
    for (const bad of ["", ":80", "ftp:s:80", "a:b:c:d"])
      assert.equal(parseProxyName(bad), undefined);
  });
});

describe("isProxyable()", () => {
  it("lets no address through that is not a Pod's", () => {
    for (const ip of [
      "127.0.0.1",
      "0.0.0.0",
      "169.254.169.254",
      "224.0.0.1",
      "::1",
      "fe80::1",
      "::",
      "::ffff:127.0.0.1",
      "localhost",
      "",
      "010.0.0.1",
      "10.0.0.1 ",
    ])
      assert.equal(isProxyable(ip, NONE), false, ip);
    for (const ip of ["10.0.0.1", "fd00::1"]) assert.equal(isProxyable(ip, NONE), true, ip);
  });

  it("lets only addresses of the Pod ranges through in loopback mode", () => {
    assert.equal(isProxyable("127.112.3.4", LOOPBACK), true);
    for (const ip of ["127.0.0.1", "127.113.0.1", "10.0.0.1"])
      assert.equal(isProxyable(ip, LOOPBACK), false, ip);
  });
});

describe("podTarget()", () => {
  it("APIS-005: takes the port by number, else the first declared, else 80", () => {
    const origin = (name: string, ports: readonly number[]) =>
      podTarget(pod("10.0.0.1", ports), named(name), NONE).origin;
    assert.equal(origin("p:90", [8080]), "http://10.0.0.1:90");
    assert.equal(origin("p", [8080, 9090]), "http://10.0.0.1:8080");
    assert.equal(origin("p", []), "http://10.0.0.1:80");
    assert.equal(origin("https:p:", [8443]), "https://10.0.0.1:8443");
    assert.throws(() => origin("p:web", [8080]), /invalid port "web"/);
  });

  it("does not go where a forged status leads", () => {
    assert.throws(() => podTarget(pod("169.254.169.254"), named("p"), NONE), /address not allowed/);
    assert.throws(() => podTarget(pod(""), named("p"), NONE), /address not allowed/);
  });
});

describe("serviceTarget()", () => {
  const service: Service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "s" },
    spec: {
      type: "ClusterIP",
      sessionAffinity: "None",
      ports: [{ name: "web", port: 80, protocol: "TCP" }],
    },
  };
  const address = (ip: string, name: string) => ({ ip, targetRef: { kind: "Pod", name } });
  const target = (name: string, subsets: Endpoints["subsets"], random = 0) => {
    const endpoints: Endpoints = {
      apiVersion: "v1",
      kind: "Endpoints",
      metadata: { name: "s" },
      subsets,
    };
    const pods = new Map([
      ["a", pod("10.0.0.1")],
      ["b", pod("10.0.0.2")],
    ]);
    return serviceTarget(named(name), {
      service,
      endpoints,
      pod: (podName) => pods.get(podName),
      loopbackPodCidrs: NONE,
      random: () => random,
    }).origin;
  };
  const ports = [{ name: "web", port: 8080, protocol: "TCP" }] as const;
  const both = [{ addresses: [address("10.0.0.1", "a"), address("10.0.0.2", "b")], ports }];

  it("APIS-007: takes any of the ready addresses, by the port's number or name", () => {
    assert.equal(target("s:80", both, 0), "http://10.0.0.1:8080");
    assert.equal(target("s:web", both, 0.99), "http://10.0.0.2:8080");
    assert.equal(target("https:s:web", both), "https://10.0.0.1:8080");
  });

  it("APIS-007: answers 503 where there is nothing to go to", () => {
    assert.throws(() => target("s:81", both), {
      code: 503,
      message: 'no service port 81 found for service "s"',
    });
    const none = { code: 503, message: 'no endpoints available for service "s:web"' };
    assert.throws(() => target("s:web", []), {
      code: 503,
      message: 'no endpoints available for service "s"',
    });
    assert.throws(() => target("s:web", [{ notReadyAddresses: both[0]?.addresses, ports }]), none);
  });

  it("APIS-007: takes only addresses that their Pod has", () => {
    const none = { code: 503 };
    const only = (one: ReturnType<typeof address>) => [{ addresses: [one], ports }];
    assert.throws(() => target("s:web", only(address("10.0.0.9", "a"))), none);
    assert.throws(() => target("s:web", only(address("10.0.0.1", "gone"))), none);
    assert.throws(
      () => target("s:web", only({ ip: "10.0.0.1", targetRef: { kind: "Node", name: "a" } })),
      none,
    );
    assert.throws(() => target("s:web", [{ addresses: [{ ip: "10.0.0.1" }], ports }]), none);
  });
});
