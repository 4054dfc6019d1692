import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { makeHome } from "../e2e/portolan.ts";
import type { Home } from "../e2e/portolan.ts";
import { eventually, missing } from "../e2e/tools.ts";
import { podOn, startLab } from "./lab.ts";
import type { Lab } from "./lab.ts";

/** Tells its Pod and whom it sees, to HTTP and to datagrams. */
const PROGRAM = `
const name = (address) => process.env.HOSTNAME + " " + address.replace("::ffff:", "") + "\\n";
require("node:http").createServer((request, response) => {
  response.setHeader("connection", "close");
  response.end(name(request.socket.remoteAddress));
}).listen(8080, "::");
const udp = require("node:dgram").createSocket("udp6");
udp.on("message", (_, from) => udp.send(name(from.address), from.port, from.address));
udp.bind(8080, "::");
`;
const STICKY_PORTS = Array.from({ length: 20 }, (_, i) => 8000 + i);

function pod(name: string, node: string, command: readonly string[], port: number): object {
  return podOn(node, name, command, port, { terminationGracePeriodSeconds: 1 });
}

function service(name: string, spec: object): object {
  return { apiVersion: "v1", kind: "Service", metadata: { name }, spec };
}

const WEB = [process.execPath, "-e", PROGRAM];
const OBJECTS = [
  pod("web-1", "node-1", WEB, 8080),
  pod("web-2", "node-2", WEB, 8080),
  pod("far-2", "node-2", WEB, 8080),
  pod("iperf-2", "node-2", ["iperf3", "--server"], 5201),
  service("far", {
    selector: { app: "far" },
    ports: [
      { name: "http", port: 80, targetPort: 8080 },
      { name: "echo", port: 7, targetPort: 8080, protocol: "UDP" },
    ],
  }),
  service("iperf", { selector: { app: "iperf" }, ports: [{ port: 5201 }] }),
  service("web", {
    type: "LoadBalancer",
    selector: { app: "web" },
    ports: [{ port: 80, targetPort: 8080 }],
  }),
  service("sticky", {
    type: "NodePort",
    sessionAffinity: "ClientIP",
    selector: { app: "web" },
    ports: STICKY_PORTS.map((port) => ({ name: `p${String(port)}`, port, targetPort: 8080 })),
  }),
];

describe("a lab, with the tools of the field", {
  timeout: 100_000,
  skip: missing("curl", "nc", "iperf3", "conntrack"),
}, () => {
  let home: Home;
  let lab: Lab;

  before(async () => {
    home = await makeHome();
    lab = await startLab(home, "--nodes 2");
    await lab.kubectl("apply -f -", OBJECTS.map((object) => JSON.stringify(object)).join("\n"));
    await lab.kubectl("wait pod --all --for=condition=Ready --timeout=40s");
  });

  after(async () => {
    await lab[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  const field = async (kind: string, name: string, path: string): Promise<string> =>
    (await lab.kubectl(["get", kind, name, "-o", `jsonpath={${path}}`])).trim();
  const clusterIp = (name: string): Promise<string> => field("service", name, ".spec.clusterIP");
  const podIp = (name: string): Promise<string> => field("pod", name, ".status.podIP");
  const flows = (...filter: readonly string[]): Promise<string> =>
    lab.exec("node-1", "conntrack", "-L", ...filter);

  it("iperf3: established connections carry data through a Service to another node, both ways", async () => {
    const ip = await clusterIp("iperf");
    for (const direction of [[], ["--reverse"]]) {
      const options = ["--client", ip, "--time", "1", "--json", ...direction];
      const text = await eventually("iperf3 runs", async () => {
        const { code, stdout } = await lab.tryExec("pod/web-1", "iperf3", ...options);
        return code === 0 && stdout;
      });
      // As iperf3 3.x writes it.
      const { end } = JSON.parse(text) as { end: { sum_received: { bytes: number } } };
      assert.ok(end.sum_received.bytes > 1_000_000, text);
    }
  });

  it("conntrack: a node shows a connection to a Service as translated to its endpoint, and its end", async () => {
    const [vip, to, from] = [await clusterIp("far"), await podIp("far-2"), await podIp("web-1")];
    assert.match(await lab.exec("pod/web-1", "curl", "-s", `http://${vip}/`), /^far-2 /);
    const text = await flows("-p", "tcp", "--orig-dst", vip);
    const line = new RegExp(
      `TIME_WAIT src=${from} dst=${vip} sport=(\\d+) dport=80 src=${to} dst=${from} sport=8080 dport=\\1 `,
    );
    assert.match(text, line);
  });

  it("CT-006, CT-008: nc: a datagram's flow ends with its endpoint, what is known of a connection stays", async () => {
    const [vip, to] = [await clusterIp("far"), await podIp("far-2")];
    const nc = `echo hello | nc -u -w 1 -p 4000 ${vip} 7`;
    assert.match(await lab.exec("pod/web-1", "sh", "-c", nc), /^far-2 /);
    await lab.exec("pod/web-1", "curl", "-s", `http://${vip}/`);
    const udp = (): Promise<string> => flows("-p", "udp", "--orig-dst", vip);
    assert.match(await udp(), new RegExp(`dst=${vip} sport=4000 dport=7 .*src=${to} `));
    await lab.kubectl("delete pod far-2");
    await eventually("the flow has ended", async () => !(await udp()).includes("sport=4000"));
    assert.match(await flows("-p", "tcp", "--orig-dst", vip), new RegExp(`src=${to} `));
    // The same client, from the same port, comes to the next endpoint.
    await lab.kubectl("apply -f -", JSON.stringify(pod("far-3", "node-2", WEB, 8080)));
    await eventually("nc is answered", async () => {
      return (await lab.exec("pod/web-1", "sh", "-c", nc)).startsWith("far-3 ");
    });
  });

  it("AFF-007: each node remembers for itself, and behind a load balancer endpoints see a node", async () => {
    const ports = (await field("service", "sticky", ".spec.ports[*].nodePort")).split(" ");
    const who = async (node: string): Promise<readonly string[]> => {
      const urls = ports.map((port) => `http://${node}:${port}/`);
      const text = await lab.exec("world", "curl", "-s", "--max-time", "10", ...urls);
      return text.trim().split("\n");
    };
    const name = (line: string): string => line.split(" ")[0] ?? "";
    const [first, second] = [await who("10.200.0.11"), await who("10.200.0.12")];
    assert.deepEqual((await who("10.200.0.11")).map(name), first.map(name));
    assert.deepEqual((await who("10.200.0.12")).map(name), second.map(name));
    // That both nodes chose alike for all twenty ports happens once in a million times.
    assert.notDeepEqual(first.map(name), second.map(name));
    const address = await eventually("an address", () =>
      field("service", "web", ".status.loadBalancer.ingress[0].ip"),
    );
    const seen = await eventually("it answers", async () => {
      const { stdout } = await lab.tryExec(
        "world",
        "curl",
        "-s",
        "--max-time",
        "5",
        `http://${address}/`,
      );
      return stdout.trim();
    });
    assert.match(seen, / 10\.(200\.0\.1[12]|244\.[12]\.1)$/);
  });
});
