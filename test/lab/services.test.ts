import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { eventually, missing } from "../e2e/tools.ts";
import { ServiceLab, pod, service } from "./service-lab.ts";

const OBJECTS = [
  pod("web-1", "node-1"),
  pod("web-2", "node-2"),
  pod("solo-1", "node-1"),
  service("web", "web", { ipFamilyPolicy: "RequireDualStack" }),
  service("web-lb", "web", { type: "LoadBalancer" }),
  service("web-external", "web", { externalIPs: ["10.201.7.7"] }),
  service("web-zonal", "web", { trafficDistribution: "PreferClose" }),
  service("sticky", "web", { sessionAffinity: "ClientIP" }),
  service("solo-local", "solo", { internalTrafficPolicy: "Local" }),
  service("solo-port", "solo", { type: "NodePort", externalTrafficPolicy: "Local" }),
  service("nobody", "nobody"),
];

describe("Services of a lab, by the kernel", { timeout: 110_000, skip: missing("curl") }, () => {
  let services: ServiceLab;

  before(async () => {
    services = await ServiceLab.start(OBJECTS);
  });

  after(() => services[Symbol.asyncDispose]());

  it("spread connections over all Pods, from Pods, nodes and both families", async () => {
    const [four = "", six = ""] = (await services.field("web", ".spec.clusterIPs[*]")).split(" ");
    for (const from of ["pod/solo-1", "node-1", "node-2"]) {
      assert.deepEqual(await services.who(from, `http://${four}/`), ["web-1", "web-2"]);
      assert.deepEqual(await services.who(from, `http://[${six}]/`), ["web-1", "web-2"]);
    }
    assert.deepEqual(await services.who("pod/solo-1", "http://web/"), ["web-1", "web-2"]);
  });

  it("keep a Pod's address on the way to a cluster IP, and let a Pod reach itself", async () => {
    const ip = (await services.lab.kubectl("get pod solo-1 -o jsonpath={.status.podIP}")).trim();
    assert.match(
      await services.ask("pod/solo-1", `http://${await services.clusterIp("web")}/`),
      new RegExp(` ${ip}$`),
    );
    assert.deepEqual(
      await services.who("pod/web-1", `http://${await services.clusterIp("web")}/`),
      ["web-1", "web-2"],
    );
  });

  it("NP-001, NP-011: answer a node port on every node, to the world and to Pods, and on its IPv6 address", async () => {
    const port = await services.nodePort("web-lb");
    for (const node of ["10.200.0.11", "10.200.0.12"])
      for (const from of ["world", "pod/solo-1"])
        assert.deepEqual(await services.who(from, `http://${node}:${port}/`), ["web-1", "web-2"]);
  });

  it("answer a load balancer's address, and externalIPs, to whom they are routed", async () => {
    const ip = await eventually("an address", () =>
      services.field("web-lb", ".status.loadBalancer.ingress[0].ip"),
    );
    assert.deepEqual(await services.who("world", `http://${ip}/`), ["web-1", "web-2"]);
    assert.deepEqual(await services.who("pod/solo-1", `http://${ip}/`), ["web-1", "web-2"]);
    assert.deepEqual(await services.who("world", "http://10.201.7.7/"), ["web-1", "web-2"]);
  });

  it("NODE-004: answer node ports at the addresses that a node has now", async () => {
    const port = await services.nodePort("web-lb");
    const url = `http://10.200.0.111:${port}/`;
    await services.lab.exec("node-1", "ip", "addr", "add", "10.200.0.111/24", "dev", "eth0");
    await eventually("the new address answers", async () => {
      return (
        (await services.lab.tryExec("world", "curl", "-sf", "--max-time", "2", url)).code === 0
      );
    });
    await services.lab.exec("node-1", "ip", "addr", "del", "10.200.0.111/24", "dev", "eth0");
    await eventually("no rule has it any more", async () => {
      return !(await services.lab.exec("node-1", "nft", "list", "ruleset")).includes(
        "10.200.0.111",
      );
    });
    assert.deepEqual(await services.who("world", `http://10.200.0.11:${port}/`), [
      "web-1",
      "web-2",
    ]);
  });

  it("ITP-002: with internalTrafficPolicy Local answer where a Pod is, and drop elsewhere", async () => {
    const url = `http://${await services.clusterIp("solo-local")}/`;
    assert.deepEqual(await services.who("node-1", url, 2), ["solo-1"]);
    const elsewhere = await services.curl("node-2", url);
    assert.equal(elsewhere.code, 28, elsewhere.stderr);
  });

  it("NP-005, NP-006: with externalTrafficPolicy Local keep the client's address, and drop where no Pod is", async () => {
    const port = await services.nodePort("solo-port");
    assert.equal(await services.ask("world", `http://10.200.0.11:${port}/`), "solo-1 10.200.0.3");
    const elsewhere = await services.curl("world", `http://10.200.0.12:${port}/`);
    assert.equal(elsewhere.code, 28, elsewhere.stderr);
  });

  it("refuse connections where nobody is ready", async () => {
    const refused = await services.curl("node-1", `http://${await services.clusterIp("nobody")}/`);
    assert.equal(refused.code, 7, refused.stderr);
  });

  it("AFF-001: stay with one Pod where the Service asks for it", async () => {
    const url = `http://${await services.clusterIp("sticky")}/`;
    assert.equal((await services.who("pod/solo-1", url, 20)).length, 1);
  });

  it("TOPO-021: prefer Pods of the client's zone", async () => {
    const url = `http://${await services.clusterIp("web-zonal")}/`;
    await eventually("hints are there", async () => {
      const hints = await services.slices("web-zonal", ".endpoints[*].hints.forZones[*].name");
      return hints.split(" ").sort().join() === "zone-a,zone-b";
    });
    await eventually("node-1 stays in its zone", async () => {
      return (await services.who("node-1", url)).join() === "web-1";
    });
    await eventually("node-2 stays in its zone", async () => {
      return (await services.who("node-2", url)).join() === "web-2";
    });
  });

  it("DNS-061: the cluster's DNS is a Service whose address every Pod and node reaches", async () => {
    for (const from of ["pod/web-2", "node-1"]) {
      const answer = await services.lab.exec(
        from,
        "dig",
        "+short",
        "@10.96.0.10",
        "web.default.svc.cluster.local",
      );
      assert.equal(answer.trim(), await services.clusterIp("web"));
    }
  });

  it("have a DNS server that answers over TLS, with a certificate by the cluster's authority", async () => {
    const ca = join(services.home.path, "ca.crt");
    const get = "get configmap kube-root-ca.crt -o jsonpath={.data.ca\\.crt}";
    await writeFile(ca, `${await services.lab.kubectl(get)}\n`);
    const dig = ["dig", "+short", "@10.96.0.10", "+tls", `+tls-ca=${ca}`];
    const name = "web.default.svc.cluster.local";
    for (const more of [[], ["+tls-hostname=kube-dns.kube-system.svc.cluster.local"]]) {
      const answer = await services.lab.exec("pod/web-2", ...dig, ...more, name);
      assert.equal(answer.trim(), await services.clusterIp("web"));
    }
  });
});
