import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Pod, PodSpec } from "../../api/v1/pod.ts";
import { parseIpAddress } from "../../net/address.ts";
import { podHostname, podSurroundings } from "./pod-surroundings.ts";

const HOST =
  "# made by hand\nnameserver 192.0.2.53\nsearch corp.example\noptions timeout:1 rotate\n";
const clusterDns = parseIpAddress("10.96.0.10");
assert.ok(clusterDns);
const RESOLVER = { clusterDns, clusterDomain: "cluster.local", hostResolvConf: HOST };

function pod(spec: Partial<PodSpec> = {}, name = "web-0"): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "shop" },
    spec: { containers: [], ...spec },
  };
}

const resolvConf = (spec: Partial<PodSpec>): string =>
  podSurroundings(pod(spec), ["10.244.1.2"], RESOLVER).resolvConf;

const CLUSTER_FIRST = `nameserver 10.96.0.10
search shop.svc.cluster.local svc.cluster.local cluster.local corp.example
options ndots:5
`;
const HOST_ONLY = `nameserver 192.0.2.53
search corp.example
options timeout:1 rotate
`;

describe("/etc/resolv.conf of a Pod", () => {
  it("DNS-050: ClusterFirst, also by default, asks the cluster's server and searches from the namespace up", () => {
    assert.equal(resolvConf({}), CLUSTER_FIRST);
    assert.equal(resolvConf({ dnsPolicy: "ClusterFirst" }), CLUSTER_FIRST);
  });

  it("DNS-058: of several search lines of the host the last one counts", () => {
    const hostResolvConf =
      "search old.example\nnameserver 192.0.2.53\nsearch a.example\tb.example \n";
    const resolver = { ...RESOLVER, hostResolvConf };
    const files = podSurroundings(pod({ dnsPolicy: "Default" }), [], resolver);
    assert.equal(files.resolvConf, "nameserver 192.0.2.53\nsearch a.example b.example\n");
  });

  it("DNS-053: None has what dnsConfig says and nothing else", () => {
    const dnsConfig = {
      nameservers: ["192.0.2.1"],
      searches: ["ns1.svc.example", "my.example"],
      options: [{ name: "ndots", value: "2" }, { name: "edns0" }],
    };
    assert.equal(
      resolvConf({ dnsPolicy: "None", dnsConfig }),
      "nameserver 192.0.2.1\nsearch ns1.svc.example my.example\noptions ndots:2 edns0\n",
    );
  });

  it("DNS-055: dnsConfig is appended once each, and its options override", () => {
    const dnsConfig = {
      nameservers: ["10.96.0.10", "192.0.2.2"],
      searches: ["svc.cluster.local", "more.example"],
      options: [{ name: "ndots", value: "1" }],
    };
    assert.equal(
      resolvConf({ dnsConfig }),
      `nameserver 10.96.0.10
nameserver 192.0.2.2
search shop.svc.cluster.local svc.cluster.local cluster.local corp.example more.example
options ndots:1
`,
    );
  });

  it("DNS-057: with hostNetwork ClusterFirst is Default, and ClusterFirstWithHostNet is not", () => {
    assert.equal(resolvConf({ hostNetwork: true }), HOST_ONLY);
    assert.equal(
      resolvConf({ hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" }),
      CLUSTER_FIRST,
    );
  });

  it("DNS-058: Default is the node's", () => {
    assert.equal(resolvConf({ dnsPolicy: "Default" }), HOST_ONLY);
  });
});

describe("the name of a Pod", () => {
  it("DNS-059: is spec.hostname or the Pod's name, cut at 63", () => {
    assert.equal(podHostname(pod()), "web-0");
    assert.equal(podHostname(pod({ hostname: "db" })), "db");
    assert.equal(podHostname(pod({}, `${"x".repeat(62)}.${"y".repeat(20)}`)), "x".repeat(62));
  });

  it("DNS-060: is the whole name where the Pod asks for it and 64 characters hold it", () => {
    const asked = { subdomain: "web", setHostnameAsFQDN: true };
    const hostname = (spec: Partial<PodSpec>): string =>
      podSurroundings(pod(spec), [], RESOLVER).hostname;
    assert.equal(hostname(asked), "web-0.web.shop.svc.cluster.local");
    assert.equal(hostname({ subdomain: "web" }), "web-0");
    assert.equal(hostname({ ...asked, hostname: "h".repeat(40) }), "h".repeat(40));
  });

  it("DNS-052: is in /etc/hosts beside its addresses, with hostAliases", () => {
    const { hosts } = podSurroundings(
      pod({ subdomain: "web", hostAliases: [{ ip: "192.0.2.7", hostnames: ["a", "b"] }] }),
      ["10.244.1.2", "fd00::2"],
      RESOLVER,
    );
    const own = hosts.split("\n").filter((line) => /^(10\.|fd00|192)/.test(line));
    assert.deepEqual(own, [
      "10.244.1.2\tweb-0.web.shop.svc.cluster.local\tweb-0",
      "fd00::2\tweb-0.web.shop.svc.cluster.local\tweb-0",
      "192.0.2.7\ta\tb",
    ]);
  });
});
