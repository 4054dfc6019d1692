import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { makeHome } from "../e2e/portolan.ts";
import type { Home } from "../e2e/portolan.ts";
import { eventually, missing } from "../e2e/tools.ts";
import { podOn, startLab } from "./lab.ts";
import type { Lab } from "./lab.ts";

/** Tells over TCP (HTTP) and UDP who it is, who asked and with how many bytes, and gives the bytes back. */
const SERVER = `
const plain = (address) => address.replace("::ffff:", "");
const name = process.env.HOSTNAME;
for (const port of process.argv.slice(1).map(Number)) {
  require("node:http").createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part)).on("end", () => {
      const body = Buffer.concat(parts);
      response.setHeader("connection", "close");
      response.end(name + " " + plain(request.socket.remoteAddress) + " " + body.length + " " + body + "\\n");
    });
  }).listen(port, "::");
  const socket = require("node:dgram").createSocket("udp6");
  socket.on("message", (bytes, peer) =>
    socket.send(name + " " + plain(peer.address) + " " + bytes.length + " " + bytes, peer.port, peer.address));
  socket.bind(port);
}
`;

/** Sends datagrams one after another, each from a port of its own, and prints what comes back. */
const UDP_CLIENT = `
const [address, port, times, size] = process.argv.slice(1);
const { createSocket } = require("node:dgram");
const body = Buffer.alloc(Number(size), "x");
const ask = (left) => {
  if (left === 0) return;
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  const timer = setTimeout(() => { socket.close(); ask(left - 1); }, 1000);
  socket.on("error", () => undefined);
  socket.on("message", (bytes) => {
    clearTimeout(timer);
    process.stdout.write(bytes + "\\n");
    socket.close();
    ask(left - 1);
  });
  socket.send(body, Number(port), address);
};
ask(Number(times));
`;

function pod(name: string, node: string, ports: readonly string[], spec: object = {}): object {
  const command = [process.execPath, "-e", SERVER, ...ports];
  return podOn(node, name, command, Number(ports[0]), {
    terminationGracePeriodSeconds: 0,
    ...spec,
  });
}

const PORTS = [
  { name: "http", port: 80, targetPort: 8080 },
  { name: "more", port: 81, targetPort: 8081 },
  { name: "udp", port: 90, targetPort: 8080, protocol: "UDP" },
];

function service(name: string, spec: object): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name },
    spec: { selector: { app: "web" }, ports: PORTS, ...spec },
  };
}

const OBJECTS = [
  pod("web-1", "node-1", ["8080", "8081"]),
  pod("web-2", "node-2", ["8080", "8081"]),
  // A second one on the same node.
  pod("web-3", "node-2", ["8080", "8081"]),
  pod("client-1", "node-1", ["8080"], {
    dnsConfig: { searches: ["_sip._tcp.example.com", "."] },
  }),
  pod("host-1", "node-1", ["9080"], { hostNetwork: true }),
  pod("host-2", "node-2", ["9080"], { hostNetwork: true }),
  service("web", { type: "NodePort", ipFamilyPolicy: "RequireDualStack" }),
  service("peers", { clusterIP: "None", ipFamilyPolicy: "RequireDualStack" }),
];

const ALL = ["web-1", "web-2", "web-3"];
const NODES = { "node-1": "10.200.0.11", "node-2": "10.200.0.12" };

const skip = missing("curl", "dig");

describe("The network of a lab", { timeout: 110_000, skip }, () => {
  let home: Home;
  let lab: Lab;
  let addresses: ReadonlyMap<string, readonly string[]>;

  before(async () => {
    home = await makeHome();
    lab = await startLab(home, "--nodes 2");
    await lab.kubectl("apply -f -", OBJECTS.map((each) => JSON.stringify(each)).join("\n"));
    await lab.kubectl("wait pod --all --for=condition=Ready --timeout=40s");
    const path = "{range .items[*]}{.metadata.name} {.status.podIPs[*].ip}{'\\n'}{end}";
    const lines = (await lab.kubectl(["get", "pods", "-o", `jsonpath=${path}`])).trim().split("\n");
    addresses = new Map(
      lines.map((line) => {
        const [name = "", ...ips] = line.trim().split(" ");
        return [name, ips];
      }),
    );
  });

  after(async () => {
    await lab[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  const ipOf = (name: string, family = 0): string => addresses.get(name)?.[family] ?? "";
  const bracketed = (ip: string): string => (ip.includes(":") ? `[${ip}]` : ip);
  /** What HTTP servers at this place say, a line for each of so many questions. */
  const http = async (
    from: string,
    ip: string,
    port: number | string,
    times = 1,
    ...args: readonly string[]
  ): Promise<readonly string[]> => {
    const url = `http://${bracketed(ip)}:${String(port)}/`;
    const urls = Array.from({ length: times }, () => url);
    const { stdout } = await lab.tryExec(from, "curl", "-s", "--max-time", "10", ...args, ...urls);
    return stdout.trim().split("\n");
  };
  const udp = async (
    from: string,
    ip: string,
    port: number | string,
    times = 1,
    size = 1,
  ): Promise<readonly string[]> => {
    const args = ["-e", UDP_CLIENT, ip, String(port), String(times), String(size)];
    const { stdout } = await lab.tryExec(from, process.execPath, ...args);
    return stdout.trim().split("\n");
  };
  const names = (lines: readonly string[]): readonly string[] =>
    [...new Set(lines.map((line) => line.split(" ")[0] ?? ""))].sort();
  const clients = (lines: readonly string[]): readonly string[] =>
    [...new Set(lines.map((line) => line.split(" ")[1] ?? ""))].sort();
  const field = async (name: string, path: string): Promise<string> =>
    (await lab.kubectl(["get", "service", name, "-o", `jsonpath={${path}}`])).trim();
  /** So many that each of three is among them but once in some million runs. */
  const MANY = 40;

  it("NET-001: a Pod reaches Pods of its node and of others by address, over TCP and UDP", async () => {
    for (const to of ["web-1", "web-2"]) {
      for (const family of [0, 1]) {
        const ip = ipOf(to, family);
        assert.deepEqual(names(await http("pod/client-1", ip, 8080)), [to]);
        assert.deepEqual(names(await udp("pod/client-1", ip, 8080)), [to]);
      }
    }
  });

  it("NET-002: nodes, and Pods on the node's network, reach Pods by address", async () => {
    for (const from of ["node-1", "node-2", "pod/host-1"]) {
      for (const to of ["web-1", "web-2"]) {
        assert.deepEqual(names(await http(from, ipOf(to), 8080)), [to]);
        assert.deepEqual(names(await udp(from, ipOf(to), 8080)), [to]);
      }
    }
  });

  it("NET-003: Pods, nodes and endpoints reach a Service's cluster IP and node port, and every endpoint by it", async () => {
    const ip = await field("web", ".spec.clusterIP");
    const httpPort = await field("web", ".spec.ports[0].nodePort");
    const udpPort = await field("web", ".spec.ports[2].nodePort");
    for (const from of ["pod/client-1", "node-1", "pod/host-2", "pod/web-1"]) {
      assert.deepEqual(names(await http(from, ip, 80, MANY)), ALL, from);
      assert.deepEqual(names(await udp(from, ip, 90, MANY)), ALL, from);
      for (const node of Object.values(NODES)) {
        assert.deepEqual(names(await http(from, node, httpPort, MANY)), ALL, `${from} to ${node}`);
        assert.deepEqual(names(await udp(from, node, udpPort, MANY)), ALL, `${from} to ${node}`);
      }
    }
  });

  it("NET-005: 2000 bytes go through a Service and back, over TCP and UDP", async () => {
    const ip = await field("web", ".spec.clusterIP");
    const body = "x".repeat(2000);
    for (const from of ["pod/client-1", "node-1"]) {
      for (const line of await http(from, ip, 80, 6, "--data-binary", body))
        assert.match(line, new RegExp(`^web-\\d \\S+ 2000 ${body}$`));
      const answers = await udp(from, ip, 90, 6, 2000);
      assert.equal(answers.length, 6);
      for (const line of answers) assert.match(line, new RegExp(`^web-\\d \\S+ 2000 ${body}$`));
    }
  });

  it("NET-006: a Pod's address stays on the way to Pods and to nodes", async () => {
    for (const family of [0, 1]) {
      const own = [ipOf("client-1", family)];
      assert.deepEqual(clients(await http("pod/client-1", ipOf("web-2", family), 8080)), own);
      assert.deepEqual(clients(await udp("pod/client-1", ipOf("web-2", family), 8080)), own);
    }
    for (const node of Object.values(NODES)) {
      const own = [ipOf("client-1")];
      assert.deepEqual(clients(await http("pod/client-1", node, 9080)), own);
      assert.deepEqual(clients(await udp("pod/client-1", node, 9080)), own);
    }
  });

  it("NET-007: several endpoints of a Service on one node answer, on each of its ports", async () => {
    const ip = await field("web", ".spec.clusterIP");
    for (const port of [80, 81]) assert.deepEqual(names(await http("node-2", ip, port, MANY)), ALL);
    for (const port of [8080, 8081]) {
      for (const to of ["web-2", "web-3"])
        assert.deepEqual(names(await http("node-2", ipOf(to), port)), [to]);
    }
  });

  it("DNS-035: a Service of both families has A and AAAA, and so has each headless endpoint", async () => {
    const dig = async (name: string, type: string): Promise<readonly string[]> => {
      const full = `${name}.default.svc.cluster.local`;
      const text = await lab.exec("pod/client-1", "dig", "+short", full, type);
      return text.trim().split("\n").sort();
    };
    const [four = "", six = ""] = (await field("web", ".spec.clusterIPs[*]")).split(" ");
    assert.deepEqual(await dig("web", "A"), [four]);
    assert.deepEqual(await dig("web", "AAAA"), [six]);
    assert.deepEqual(await dig("peers", "A"), ALL.map((name) => ipOf(name)).sort());
    assert.deepEqual(await dig("peers", "AAAA"), ALL.map((name) => ipOf(name, 1)).sort());
    const dashed = ipOf("web-2", 1).replaceAll(":", "-");
    assert.deepEqual(await dig(`${dashed}.peers`, "AAAA"), [ipOf("web-2", 1)]);
  });

  it("DNS-056: search paths with underscores and a single dot are in a Pod's resolv.conf, and do no harm", async () => {
    const text = await lab.exec("pod/client-1", "cat", "/etc/resolv.conf");
    assert.match(text, /^search .*cluster\.local.* _sip\._tcp\.example\.com \.$/m);
    assert.ok((await lab.exec("pod/client-1", "getent", "ahostsv4", "web")).length > 0);
  });

  it("NET-004: a deleted endpoint is not seen any more, the others are", async () => {
    const ip = await field("web", ".spec.clusterIP");
    const port = await field("web", ".spec.ports[0].nodePort");
    await lab.kubectl("delete pod web-3");
    const rest = ["web-1", "web-2"];
    await eventually("two are left", async () => {
      return names(await http("pod/client-1", ip, 80, MANY)).join() === rest.join();
    });
    for (const from of ["pod/client-1", "node-2"]) {
      assert.deepEqual(names(await http(from, ip, 80, MANY)), rest);
      assert.deepEqual(names(await udp(from, ip, 90, MANY)), rest);
      assert.deepEqual(names(await http(from, NODES["node-2"], port, MANY)), rest);
    }
  });
});
