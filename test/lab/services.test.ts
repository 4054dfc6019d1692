import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { makeHome } from "../e2e/portolan.ts";
import type { Home } from "../e2e/portolan.ts";
import { eventually, missing } from "../e2e/tools.ts";
import type { Output } from "../e2e/tools.ts";
import { podOn, startLab } from "./lab.ts";
import type { Lab } from "./lab.ts";

/** Tells its Pod and whom it was asked by; on SIGTERM it waits, still answering, until its grace is over. */
const PROGRAM = `
const http = require("node:http");
const server = http.createServer((request, response) => {
  response.setHeader("connection", "close");
  response.end(process.env.HOSTNAME + " " + request.socket.remoteAddress.replace("::ffff:", "") + "\\n");
});
server.listen(8080, "::");
process.on("SIGTERM", () => undefined);
`;

function pod(name: string, node: string, spec: object = {}): object {
  const command = [process.execPath, "-e", PROGRAM];
  return podOn(node, name, command, 8080, { terminationGracePeriodSeconds: 30, ...spec });
}

function service(name: string, app: string, spec: object = {}): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name },
    spec: { selector: { app }, ports: [{ port: 80, targetPort: 8080 }], ...spec },
  };
}

/** All its Pods on one node, as a load balancer that follows health checks would send everything there. */
const ROLLING = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "rolling" },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: "rolling" } },
    strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    template: {
      metadata: { labels: { app: "rolling" } },
      spec: {
        nodeSelector: { "kubernetes.io/hostname": "node-1" },
        terminationGracePeriodSeconds: 1,
        containers: [
          {
            name: "web",
            command: [process.execPath, "-e", PROGRAM],
            readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
          },
        ],
      },
    },
  },
};

const OBJECTS = [
  ROLLING,
  pod("web-1", "node-1"),
  pod("web-2", "node-2"),
  pod("solo-1", "node-1"),
  pod("ending-1", "node-1"),
  pod("late-1", "node-1"),
  service("web", "web", { ipFamilyPolicy: "RequireDualStack" }),
  service("web-lb", "web", { type: "LoadBalancer" }),
  service("web-external", "web", { externalIPs: ["10.201.7.7"] }),
  service("web-zonal", "web", { trafficDistribution: "PreferClose" }),
  service("sticky", "web", { sessionAffinity: "ClientIP" }),
  service("solo-local", "solo", { internalTrafficPolicy: "Local" }),
  service("solo-port", "solo", { type: "NodePort", externalTrafficPolicy: "Local" }),
  service("nobody", "nobody"),
  service("ending", "ending", { type: "NodePort" }),
  service("rolling", "rolling", { type: "LoadBalancer", externalTrafficPolicy: "Local" }),
  service("late", "late", { type: "LoadBalancer", externalTrafficPolicy: "Local" }),
];

const manifests = (items: readonly object[]): string =>
  items.map((item) => JSON.stringify(item)).join("\n");

describe("Services of a lab, by the kernel", { timeout: 110_000, skip: missing("curl") }, () => {
  let home: Home;
  let lab: Lab;

  before(async () => {
    home = await makeHome();
    lab = await startLab(home, "--nodes 2 --zones 2");
    await lab.kubectl("apply -f -", manifests(OBJECTS));
    await lab.kubectl("wait pod --all --for=condition=Ready --timeout=40s");
  });

  after(async () => {
    await lab[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  const field = async (name: string, path: string): Promise<string> =>
    (await lab.kubectl(["get", "service", name, "-o", `jsonpath={${path}}`])).trim();
  const clusterIp = (name: string): Promise<string> => field(name, ".spec.clusterIP");
  const nodePort = (name: string): Promise<string> => field(name, ".spec.ports[0].nodePort");
  const curl = (from: string, url: string): Promise<Output> =>
    lab.tryExec(from, "curl", "-sS", "--max-time", "2", url);
  const ask = (from: string, url: string): Promise<string> =>
    eventually(`${url} answers ${from}`, async () => {
      const { code, stdout } = await curl(from, url);
      return code === 0 && stdout.trim();
    });
  /** Who answers a number of requests, one after another in one process. */
  const who = async (from: string, url: string, times = 12): Promise<readonly string[]> => {
    await ask(from, url);
    const urls = Array.from({ length: times }, () => url);
    const text = await lab.exec(from, "curl", "-sS", "--max-time", "10", ...urls);
    return [
      ...new Set(
        text
          .trim()
          .split("\n")
          .map((line) => line.split(" ")[0] ?? ""),
      ),
    ].sort();
  };

  it("spread connections over all Pods, from Pods, nodes and both families", async () => {
    const [four = "", six = ""] = (await field("web", ".spec.clusterIPs[*]")).split(" ");
    for (const from of ["pod/solo-1", "node-1", "node-2"]) {
      assert.deepEqual(await who(from, `http://${four}/`), ["web-1", "web-2"]);
      assert.deepEqual(await who(from, `http://[${six}]/`), ["web-1", "web-2"]);
    }
    assert.deepEqual(await who("pod/solo-1", "http://web/"), ["web-1", "web-2"]);
  });

  it("keep a Pod's address on the way to a cluster IP, and let a Pod reach itself", async () => {
    const ip = (await lab.kubectl("get pod solo-1 -o jsonpath={.status.podIP}")).trim();
    assert.match(
      await ask("pod/solo-1", `http://${await clusterIp("web")}/`),
      new RegExp(` ${ip}$`),
    );
    assert.deepEqual(await who("pod/web-1", `http://${await clusterIp("web")}/`), [
      "web-1",
      "web-2",
    ]);
  });

  it("NP-001, NP-011: answer a node port on every node, to the world and to Pods, and on its IPv6 address", async () => {
    const port = await nodePort("web-lb");
    for (const node of ["10.200.0.11", "10.200.0.12"])
      for (const from of ["world", "pod/solo-1"])
        assert.deepEqual(await who(from, `http://${node}:${port}/`), ["web-1", "web-2"]);
  });

  it("answer a load balancer's address, and externalIPs, to whom they are routed", async () => {
    const ip = await eventually("an address", () =>
      field("web-lb", ".status.loadBalancer.ingress[0].ip"),
    );
    assert.deepEqual(await who("world", `http://${ip}/`), ["web-1", "web-2"]);
    assert.deepEqual(await who("pod/solo-1", `http://${ip}/`), ["web-1", "web-2"]);
    assert.deepEqual(await who("world", "http://10.201.7.7/"), ["web-1", "web-2"]);
  });

  it("NODE-004: answer node ports at the addresses that a node has now", async () => {
    const port = await nodePort("web-lb");
    const url = `http://10.200.0.111:${port}/`;
    await lab.exec("node-1", "ip", "addr", "add", "10.200.0.111/24", "dev", "eth0");
    await eventually("the new address answers", async () => {
      return (await lab.tryExec("world", "curl", "-sf", "--max-time", "2", url)).code === 0;
    });
    await lab.exec("node-1", "ip", "addr", "del", "10.200.0.111/24", "dev", "eth0");
    await eventually("no rule has it any more", async () => {
      return !(await lab.exec("node-1", "nft", "list", "ruleset")).includes("10.200.0.111");
    });
    assert.deepEqual(await who("world", `http://10.200.0.11:${port}/`), ["web-1", "web-2"]);
  });

  it("ITP-002: with internalTrafficPolicy Local answer where a Pod is, and drop elsewhere", async () => {
    const url = `http://${await clusterIp("solo-local")}/`;
    assert.deepEqual(await who("node-1", url, 2), ["solo-1"]);
    const elsewhere = await curl("node-2", url);
    assert.equal(elsewhere.code, 28, elsewhere.stderr);
  });

  it("NP-005, NP-006: with externalTrafficPolicy Local keep the client's address, and drop where no Pod is", async () => {
    const port = await nodePort("solo-port");
    assert.equal(await ask("world", `http://10.200.0.11:${port}/`), "solo-1 10.200.0.3");
    const elsewhere = await curl("world", `http://10.200.0.12:${port}/`);
    assert.equal(elsewhere.code, 28, elsewhere.stderr);
  });

  it("refuse connections where nobody is ready", async () => {
    const refused = await curl("node-1", `http://${await clusterIp("nobody")}/`);
    assert.equal(refused.code, 7, refused.stderr);
  });

  it("AFF-001: stay with one Pod where the Service asks for it", async () => {
    const url = `http://${await clusterIp("sticky")}/`;
    assert.equal((await who("pod/solo-1", url, 20)).length, 1);
  });

  it("TOPO-021: prefer Pods of the client's zone", async () => {
    const url = `http://${await clusterIp("web-zonal")}/`;
    await eventually("hints are there", async () => {
      const hints = await lab.kubectl([
        "get",
        "endpointslices",
        "-l",
        "kubernetes.io/service-name=web-zonal",
        "-o",
        "jsonpath={.items[*].endpoints[*].hints.forZones[*].name}",
      ]);
      return hints.trim().split(" ").sort().join() === "zone-a,zone-b";
    });
    await eventually("node-1 stays in its zone", async () => {
      return (await who("node-1", url)).join() === "web-1";
    });
    await eventually("node-2 stays in its zone", async () => {
      return (await who("node-2", url)).join() === "web-2";
    });
  });

  it("TERM-001, TERM-003: reach the last Pod while it terminates, from every node", async () => {
    const url = `http://${await clusterIp("ending")}/`;
    const port = await nodePort("ending");
    assert.deepEqual(await who("node-2", url, 2), ["ending-1"]);
    await lab.kubectl("delete pod ending-1 --wait=false");
    await eventually("the slice says so", async () => {
      const conditions = await lab.kubectl([
        "get",
        "endpointslices",
        "-l",
        "kubernetes.io/service-name=ending",
        "-o",
        "jsonpath={.items[*].endpoints[*].conditions.terminating}",
      ]);
      return conditions.trim() === "true";
    });
    for (const from of ["node-1", "node-2", "pod/solo-1"])
      assert.deepEqual(await who(from, url, 2), ["ending-1"]);
    for (const node of ["10.200.0.11", "10.200.0.12"])
      assert.deepEqual(await who("world", `http://${node}:${port}/`, 2), ["ending-1"]);
    await lab.kubectl("delete pod ending-1 --grace-period=0 --force");
    await eventually("nobody answers", async () => (await curl("node-2", url)).code === 7);
  });

  it("TERM-005: send a load balancer away while the last local Pod terminates, and still serve who comes", async () => {
    const port = await nodePort("late");
    const checks = `http://10.200.0.11:${await field("late", ".spec.healthCheckNodePort")}/`;
    const status = async (): Promise<string> =>
      (
        await lab.exec("world", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", checks)
      ).trim();
    assert.deepEqual(await who("world", `http://10.200.0.11:${port}/`, 2), ["late-1"]);
    assert.equal(await status(), "200");
    await lab.kubectl("delete pod late-1 --wait=false");
    await eventually("the health check fails", async () => (await status()) === "503");
    assert.deepEqual(await who("world", `http://10.200.0.11:${port}/`, 2), ["late-1"]);
    await lab.kubectl("delete pod late-1 --grace-period=0 --force");
  });

  it("TERM-010: lose next to nothing in a rolling update behind externalTrafficPolicy Local", async () => {
    const url = `http://10.200.0.11:${await nodePort("rolling")}/`;
    const before = await who("world", url);
    let isRolledOut = false;
    let [asked, lost] = [0, 0];
    const client = async (): Promise<void> => {
      const urls = Array.from({ length: 50 }, () => url);
      while (!isRolledOut) {
        const answers = await lab.tryExec("world", "curl", "-s", "--max-time", "10", ...urls);
        asked += urls.length;
        lost += urls.length - answers.stdout.trim().split("\n").length;
      }
    };
    const running = client();
    await lab.kubectl("rollout restart deployment/rolling");
    await lab.kubectl("rollout status deployment/rolling --timeout=60s");
    isRolledOut = true;
    await running;
    assert.ok(asked > 0 && lost < asked * 0.05, `${String(lost)} of ${String(asked)} lost`);
    assert.equal((await who("world", url)).filter((name) => before.includes(name)).length, 0);
  });

  it("DNS-061: the cluster's DNS is a Service whose address every Pod and node reaches", async () => {
    for (const from of ["pod/web-2", "node-1"]) {
      const answer = await lab.exec(
        from,
        "dig",
        "+short",
        "@10.96.0.10",
        "web.default.svc.cluster.local",
      );
      assert.equal(answer.trim(), await clusterIp("web"));
    }
  });

  it("have a DNS server that answers over TLS, with a certificate by the cluster's authority", async () => {
    const ca = join(home.path, "ca.crt");
    const get = "get configmap kube-root-ca.crt -o jsonpath={.data.ca\\.crt}";
    await writeFile(ca, `${await lab.kubectl(get)}\n`);
    const dig = ["dig", "+short", "@10.96.0.10", "+tls", `+tls-ca=${ca}`];
    const name = "web.default.svc.cluster.local";
    for (const more of [[], ["+tls-hostname=kube-dns.kube-system.svc.cluster.local"]]) {
      const answer = await lab.exec("pod/web-2", ...dig, ...more, name);
      assert.equal(answer.trim(), await clusterIp("web"));
    }
  });

  it("say that all data planes have confirmed when a Pod was asked to end", async () => {
    const events = await lab.kubectl("get events --field-selector reason=DrainTimedOut -o name");
    assert.equal(events, "");
  });
});
