import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { makeHome } from "../e2e/portolan.ts";
import type { Home } from "../e2e/portolan.ts";
import { eventually, missing } from "../e2e/tools.ts";
import { startLab } from "./lab.ts";
import type { Lab } from "./lab.ts";

/** Tells its Pod, at /slow after two seconds; on SIGTERM it goes on answering until its grace is over. */
const PROGRAM = `
const http = require("node:http");
const server = http.createServer((request, response) => {
  response.setHeader("connection", "close");
  setTimeout(() => response.end(process.env.HOSTNAME + "\\n"), request.url === "/slow" ? 2000 : 0);
});
server.listen(8080, "::");
process.on("SIGTERM", () => undefined);
`;

const pod = (name: string, node: string): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels: { app: "web" } },
    spec: {
      nodeName: node,
      terminationGracePeriodSeconds: 5,
      containers: [
        {
          name: "web",
          command: [process.execPath, "-e", PROGRAM],
          readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
        },
      ],
    },
  });

const SERVICE = JSON.stringify({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web" },
  spec: {
    type: "LoadBalancer",
    externalTrafficPolicy: "Local",
    ipFamilyPolicy: "RequireDualStack",
    selector: { app: "web" },
    ports: [{ port: 80, targetPort: 8080 }],
  },
});

describe("a lab's load balancer, for a Service with policy Local", {
  timeout: 110_000,
  skip: missing("curl", "nft"),
}, () => {
  let home: Home;
  let lab: Lab;
  let url: string;
  let url6: string;

  before(async () => {
    home = await makeHome();
    lab = await startLab(home, "--nodes 2");
    await lab.kubectl("apply -f -", `${SERVICE}\n${pod("on-2", "node-2")}`);
    await lab.kubectl("wait pod --all --for=condition=Ready --timeout=30s");
    const path = "-o jsonpath={.status.loadBalancer.ingress[*].ip}";
    const addresses = await eventually("addresses", async () =>
      (await lab.kubectl(`get service web ${path}`)).trim(),
    );
    const [four = "", six = ""] = addresses.split(" ");
    url = `http://${four}/`;
    url6 = `http://[${six}]/`;
  });

  after(async () => {
    await lab[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  /** Who answered `times` requests, each on a connection of its own; "" where nobody did. */
  const who = async (
    times: number,
    path = "",
    options: readonly string[] = [],
    base = url,
  ): Promise<readonly string[]> => {
    const urls = Array.from({ length: times }, () => `${base}${path}`);
    const { stdout } = await lab.tryExec(
      "world",
      "curl",
      "-s",
      "--max-time",
      "5",
      ...options,
      ...urls,
    );
    const names = stdout.trim().split("\n");
    return [...names, ...Array.from({ length: times - names.length }, () => "")];
  };
  const rules = (): Promise<string> => lab.exec("world", "nft", "list", "ruleset");

  it("HC-002, LBIP-008: gives nothing to a node without a local endpoint", async () => {
    await eventually("the balancer follows", async () =>
      /mod 1 map { 0 : 0x0+c }/.test(await rules()),
    );
    assert.deepEqual(new Set(await who(60)), new Set(["on-2"]));
    assert.match(await rules(), /ip6 daddr fd00:201::[0-9a-f]+ ct mark set .*map { 0 : 0x0+c }/);
    assert.deepEqual(new Set(await who(60, "", [], url6)), new Set(["on-2"]));
  });

  it("TERM-005, TERM-010: loses nothing when a node's last endpoint terminates, nor what is under way there", async () => {
    await lab.kubectl("apply -f -", pod("on-1", "node-1"));
    await eventually("both answer", async () => new Set(await who(20)).size === 2);
    assert.deepEqual(new Set(await who(40, "", [], url6)), new Set(["on-1", "on-2"]));
    let isGone = false;
    const client = async (): Promise<readonly string[]> => {
      const all: string[] = [];
      while (!isGone) all.push(...(await who(50)));
      return all;
    };
    const running = client();
    // All at once: that none of them comes to one of two nodes happens once in 65,000 times.
    const slow = who(16, "slow", ["--parallel", "--parallel-immediate"]);
    await eventually("slow requests are under way", async () => {
      return (await lab.exec("pod/on-1", "ss", "-Htn", "state", "established")).trim() !== "";
    });
    await lab.kubectl("delete pod on-1 --wait=false");
    await eventually("new connections go elsewhere", async () => {
      return (await who(30)).every((name) => name === "on-2");
    });
    assert.deepEqual(new Set(await slow), new Set(["on-1", "on-2"]));
    await lab.kubectl("wait pod on-1 --for=delete --timeout=30s");
    isGone = true;
    const all = await running;
    const lost = all.filter((name) => name === "").length;
    assert.ok(all.length > 100, String(all.length));
    assert.equal(lost, 0, `${String(lost)} of ${String(all.length)} lost`);
  });

  it("TERM-004: leaves connections to the nodes that were healthy last when none is", async () => {
    await lab.kubectl("delete pod on-2 --wait=false");
    const names = await eventually("it terminates", async () => {
      const path = "-o jsonpath={.items[*].endpoints[*].conditions.terminating}";
      const text = await lab.kubectl(
        `get endpointslices -l kubernetes.io/service-name=web ${path}`,
      );
      // A slice of each family.
      return text.trim() === "true true" && who(20);
    });
    assert.deepEqual(new Set(names), new Set(["on-2"]));
  });

  it("gives the address back to all nodes when the Service is another", async () => {
    await lab.kubectl([
      "patch",
      "service",
      "web",
      "-p",
      '{"spec":{"externalTrafficPolicy":"Cluster"}}',
    ]);
    await eventually("no rule is left", async () => !/ct state new/.test(await rules()));
    await lab.kubectl("apply -f -", `${pod("new-1", "node-1")}\n${pod("new-2", "node-2")}`);
    await lab.kubectl("wait pod new-1 new-2 --for=condition=Ready --timeout=30s");
    // Now by the routes, over all nodes: each connection of its own, in both families.
    for (const base of [url, url6])
      await eventually(`both answer at ${base}`, async () => {
        return [...new Set(await who(40, "", [], base))].sort().join() === "new-1,new-2";
      });
  });
});
