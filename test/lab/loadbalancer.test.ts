import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { makeHome } from "../e2e/portolan.ts";
import type { Home } from "../e2e/portolan.ts";
import { eventually, missing } from "../e2e/tools.ts";
import { startLab } from "./lab.ts";
import type { Lab } from "./lab.ts";

/** Tells over TCP (HTTP) and UDP who it is and who asked. */
const SERVER = `
const plain = (address) => address.replace("::ffff:", "");
const name = process.env.HOSTNAME;
require("node:http").createServer((request, response) => {
  response.setHeader("connection", "close");
  response.end(name + " " + plain(request.socket.remoteAddress) + "\\n");
}).listen(8080, "::");
const socket = require("node:dgram").createSocket("udp6");
socket.on("message", (bytes, peer) =>
  socket.send(name + " " + plain(peer.address), peer.port, peer.address));
socket.bind(8080);
`;

/** One datagram: what comes back, "refused" when the kernel says so, "silent" when nothing does. */
const UDP_CLIENT = `
const [address, port] = process.argv.slice(1);
const socket = require("node:dgram").createSocket("udp4");
const end = (text) => { process.stdout.write(text); process.exit(0); };
socket.on("message", (bytes) => end(String(bytes)));
socket.on("error", (error) => end(error.code === "ECONNREFUSED" ? "refused" : error.code));
socket.connect(Number(port), address, () => socket.send("x"));
setTimeout(() => end("silent"), 1000);
`;

function deployment(name: string, replicas: number, node?: string): object {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: {
          terminationGracePeriodSeconds: 0,
          ...(node === undefined ? {} : { nodeSelector: { "kubernetes.io/hostname": node } }),
          containers: [
            {
              name: "server",
              command: [process.execPath, "-e", SERVER],
              readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
            },
          ],
        },
      },
    },
  };
}

function service(name: string, app: string, protocol: "TCP" | "UDP", spec: object = {}): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name },
    spec: {
      type: "LoadBalancer",
      selector: { app },
      ports: [{ name: "main", port: 80, targetPort: 8080, protocol }],
      ...spec,
    },
  };
}

const OBJECTS = [
  deployment("web", 3),
  deployment("solo", 1, "node-1"),
  deployment("pair", 2, "node-1"),
  deployment("udp", 1, "node-1"),
  service("web", "web", "TCP"),
  service("solo", "solo", "TCP", { externalTrafficPolicy: "Local" }),
  service("pair", "pair", "TCP"),
  service("udp", "udp", "UDP"),
];

const NODES = ["10.200.0.11", "10.200.0.12"];
/** The client's own address. */
const WORLD = "10.200.0.3";

describe("Load balancers of a lab", { timeout: 110_000, skip: missing("curl") }, () => {
  let home: Home;
  let lab: Lab;

  before(async () => {
    home = await makeHome();
    lab = await startLab(home, "--nodes 2");
    await lab.kubectl("apply -f -", OBJECTS.map((each) => JSON.stringify(each)).join("\n"));
    for (const name of ["web", "solo", "pair", "udp"])
      await lab.kubectl(`rollout status deployment/${name} --timeout=40s`);
  });

  after(async () => {
    await lab[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  const field = async (name: string, path: string): Promise<string> =>
    (await lab.kubectl(["get", "service", name, "-o", `jsonpath={${path}}`])).trim();
  const addressOf = (name: string): Promise<string> =>
    eventually("an address", () => field(name, ".status.loadBalancer.ingress[0].ip"));
  const patch = async (name: string, spec: object): Promise<void> => {
    await lab.kubectl(["patch", "service", name, "-p", JSON.stringify({ spec })]);
  };
  const change = async (name: string, operations: readonly object[]): Promise<void> => {
    const text = JSON.stringify(operations);
    await lab.kubectl(["patch", "service", name, "--type=json", "-p", text]);
  };
  /** Who answers HTTP, and whom they saw asking; empty when nobody does. */
  const http = async (
    ip: string,
    port: number | string = 80,
    times = 1,
  ): Promise<readonly string[]> => {
    const urls = Array.from({ length: times }, () => `http://${ip}:${String(port)}/`);
    const { stdout } = await lab.tryExec("world", "curl", "-s", "--max-time", "1", ...urls);
    return stdout.split("\n").filter((line) => line !== "");
  };
  const udp = async (ip: string, port: number | string = 80): Promise<string> =>
    (await lab.exec("world", process.execPath, "-e", UDP_CLIENT, ip, String(port))).trim();
  /** The world's router spreads over all nodes; one that follows health checks sends where they pass. */
  const routeBy = async (ip: string, node: "node-1" | "node-2"): Promise<void> => {
    const via = (node === "node-1" ? NODES[0] : NODES[1]) ?? "";
    await lab.exec("world", "ip", "route", "replace", `${ip}/32`, "via", via);
  };
  const distinct = (lines: readonly string[], word: 0 | 1): readonly string[] => [
    ...new Set(lines.map((line) => line.split(" ")[word] ?? "")),
  ];
  const health = async (node: string, port: string): Promise<string> => {
    const args = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "2"];
    return (await lab.tryExec("world", "curl", ...args, `http://${node}:${port}/`)).stdout.trim();
  };

  it("LB-020: its address answers over TCP, on another port after that is changed, and not when the type is ClusterIP", async () => {
    const ip = await addressOf("web");
    await eventually("all answer", async () => distinct(await http(ip, 80, 40), 0).length === 3);
    const nodePort = await field("web", ".spec.ports[0].nodePort");
    await change("web", [{ op: "replace", path: "/spec/ports/0/port", value: 81 }]);
    await eventually("the new port answers", async () => (await http(ip, 81)).length === 1);
    assert.deepEqual(await http(ip, 80), []);
    // One that nobody has: the range is long.
    const other = nodePort === "31999" ? "31998" : "31999";
    const value = Number(other);
    await change("web", [{ op: "replace", path: "/spec/ports/0/nodePort", value }]);
    await eventually("the new node port answers", async () => {
      return (await http(NODES[1] ?? "", other)).length === 1;
    });
    await change("web", TO_CLUSTER_IP);
    await eventually("it has no address", async () => {
      return (await field("web", ".status.loadBalancer.ingress")) === "";
    });
    await eventually("nobody answers", async () => (await http(ip, 81)).length === 0);
    await eventually(
      "no node answers",
      async () => (await http(NODES[1] ?? "", other)).length === 0,
    );
    await patch("web", { type: "LoadBalancer" });
    const again = await addressOf("web");
    await eventually("it is back", async () => (await http(again, 81)).length === 1);
  });

  it("LB-021: its address answers over UDP; without Pods it refuses, and with one it answers again", async () => {
    const ip = await addressOf("udp");
    await eventually("the Pod answers", async () => /^udp-\S+ /.test(await udp(ip)));
    await lab.kubectl("scale deployment/udp --replicas=0");
    await eventually("it refuses", async () => (await udp(ip)) === "refused");
    await lab.kubectl("scale deployment/udp --replicas=1");
    await eventually("the new Pod answers", async () => /^udp-\S+ /.test(await udp(ip)));
  });

  it("LB-022: with externalTrafficPolicy Local only nodes with a Pod pass the health check", async () => {
    const port = await field("solo", ".spec.healthCheckNodePort");
    assert.equal(await health(NODES[0] ?? "", port), "200");
    assert.equal(await health(NODES[1] ?? "", port), "503");
  });

  it("LB-023: with externalTrafficPolicy Local the client's address comes through, with Cluster it does not, and back", async () => {
    const ip = await addressOf("solo");
    const sees = async (): Promise<string> => distinct(await http(ip, 80, 3), 1).join();
    await routeBy(ip, "node-1");
    await eventually("the client is seen", async () => (await sees()) === WORLD);
    assert.equal(await sees(), WORLD);
    const port = await field("solo", ".spec.healthCheckNodePort");
    await patch("solo", { externalTrafficPolicy: "Cluster" });
    await eventually("no health check is left", async () => {
      return (await health(NODES[0] ?? "", port)) === "000";
    });
    assert.equal(await field("solo", ".spec.healthCheckNodePort"), "");
    // The other node has to send on, and puts its own address there.
    await routeBy(ip, "node-2");
    await eventually("another address is seen", async () => /^[^,]+$/.test(await sees()));
    assert.notEqual(await sees(), WORLD);
    await patch("solo", { externalTrafficPolicy: "Local" });
    const next = await eventually("a health check", () =>
      field("solo", ".spec.healthCheckNodePort"),
    );
    await eventually("it passes", async () => (await health(NODES[0] ?? "", next)) === "200");
    await routeBy(ip, "node-1");
    await eventually("the client is seen again", async () => (await sees()) === WORLD);
  });

  it("LB-024: session affinity holds through it, with both policies, and when it is switched on and off", async () => {
    const ip = await addressOf("pair");
    await routeBy(ip, "node-1");
    const who = async (): Promise<number> => distinct(await http(ip, 80, 30), 0).length;
    await eventually("both answer", async () => (await who()) === 2);
    for (const externalTrafficPolicy of ["Cluster", "Local"]) {
      await patch("pair", { externalTrafficPolicy, sessionAffinity: "ClientIP" });
      await eventually("one answers", async () => (await who()) === 1);
      assert.equal(await who(), 1);
      await patch("pair", { sessionAffinity: "None" });
      await eventually("both answer again", async () => (await who()) === 2);
    }
  });

  it("LB-025: UDP goes on when its Pod is replaced, on the same node and on another", async () => {
    const ip = await addressOf("udp");
    for (const node of ["node-1", "node-2"]) {
      const before = await eventually(
        "the Pod answers",
        async () => /^udp-\S+/.exec(await udp(ip))?.[0],
      );
      const spec = { nodeSelector: { "kubernetes.io/hostname": node } };
      const annotations = { replaced: node };
      const template = { metadata: { annotations }, spec };
      const body = JSON.stringify({ spec: { template } });
      await lab.kubectl(["patch", "deployment", "udp", "-p", body]);
      await lab.kubectl("rollout status deployment/udp --timeout=40s");
      await eventually("the new Pod answers", async () => {
        const now = /^udp-\S+/.exec(await udp(ip))?.[0];
        return now !== undefined && now !== before;
      });
    }
  });

  it("LB-026: the status lists addresses and host names, with what is wrong with single ports", async () => {
    const ingress = [
      { ip: "192.0.2.7", ports: [{ port: 80, protocol: "TCP", error: "example.com/PortTaken" }] },
      { hostname: "lb.example.com" },
    ];
    // Of a class that nobody here implements.
    const own = service("elsewhere", "nobody", "TCP", { loadBalancerClass: "example.com/lb" });
    await lab.kubectl("create -f -", JSON.stringify(own));
    const status = JSON.stringify({ status: { loadBalancer: { ingress } } });
    const merge = ["--subresource=status", "--type=merge", "-p", status];
    await lab.kubectl(["patch", "service", "elsewhere", ...merge]);
    const text = await field("elsewhere", ".status.loadBalancer.ingress");
    const [first, second] = JSON.parse(text) as readonly Record<string, unknown>[];
    assert.deepEqual(first?.["ports"], ingress[0]?.ports);
    assert.equal(second?.["hostname"], "lb.example.com");
  });

  it("LB-029: one with TCP and UDP on the same port is allowed, and both answer", async () => {
    const ports = ["TCP", "UDP"].map((protocol) => ({
      name: protocol.toLowerCase(),
      port: 80,
      targetPort: 8080,
      protocol,
    }));
    const mixed = service("mixed", "solo", "TCP", { ports });
    await lab.kubectl("create -f -", JSON.stringify(mixed));
    const ip = await addressOf("mixed");
    await eventually("TCP answers", async () => (await http(ip)).length === 1);
    await eventually("UDP answers", async () => (await udp(ip)).startsWith("solo-"));
  });
});

const TO_CLUSTER_IP = [
  { op: "replace", path: "/spec/type", value: "ClusterIP" },
  { op: "remove", path: "/spec/externalTrafficPolicy" },
  { op: "remove", path: "/spec/ports/0/nodePort" },
];
