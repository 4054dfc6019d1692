import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually, missing } from "../e2e/tools.ts";
import { ANSWERING, ServiceLab, pod, service } from "./service-lab.ts";

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
            command: [process.execPath, "-e", ANSWERING],
            readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
          },
        ],
      },
    },
  },
};

const OBJECTS = [
  ROLLING,
  pod("ending-1", "node-1"),
  pod("late-1", "node-1"),
  service("ending", "ending", { type: "NodePort" }),
  service("rolling", "rolling", { type: "LoadBalancer", externalTrafficPolicy: "Local" }),
  service("late", "late", { type: "LoadBalancer", externalTrafficPolicy: "Local" }),
  pod("solo-1", "node-1"),
];

describe("Services of a lab whose Pods end", { timeout: 110_000, skip: missing("curl") }, () => {
  let services: ServiceLab;

  before(async () => {
    services = await ServiceLab.start(OBJECTS);
  });

  after(() => services[Symbol.asyncDispose]());

  it("TERM-001, TERM-003: reach the last Pod while it terminates, from every node", async () => {
    const url = `http://${await services.clusterIp("ending")}/`;
    const port = await services.nodePort("ending");
    assert.deepEqual(await services.who("node-2", url, 2), ["ending-1"]);
    await services.lab.kubectl("delete pod ending-1 --wait=false");
    await eventually("the slice says so", async () => {
      const conditions = await services.slices("ending", ".endpoints[*].conditions.terminating");
      return conditions === "true";
    });
    for (const from of ["node-1", "node-2", "pod/solo-1"])
      assert.deepEqual(await services.who(from, url, 2), ["ending-1"]);
    for (const node of ["10.200.0.11", "10.200.0.12"])
      assert.deepEqual(await services.who("world", `http://${node}:${port}/`, 2), ["ending-1"]);
    await services.lab.kubectl("delete pod ending-1 --grace-period=0 --force");
    await eventually("nobody answers", async () => (await services.curl("node-2", url)).code === 7);
  });

  it("TERM-005: send a load balancer away while the last local Pod terminates, and still serve who comes", async () => {
    const port = await services.nodePort("late");
    const checks = `http://10.200.0.11:${await services.field("late", ".spec.healthCheckNodePort")}/`;
    const status = async (): Promise<string> =>
      (
        await services.lab.exec(
          "world",
          "curl",
          "-s",
          "-o",
          "/dev/null",
          "-w",
          "%{http_code}",
          checks,
        )
      ).trim();
    assert.deepEqual(await services.who("world", `http://10.200.0.11:${port}/`, 2), ["late-1"]);
    assert.equal(await status(), "200");
    await services.lab.kubectl("delete pod late-1 --wait=false");
    await eventually("the health check fails", async () => (await status()) === "503");
    assert.deepEqual(await services.who("world", `http://10.200.0.11:${port}/`, 2), ["late-1"]);
    await services.lab.kubectl("delete pod late-1 --grace-period=0 --force");
  });

  it("TERM-010: lose next to nothing in a rolling update behind externalTrafficPolicy Local", async () => {
    const url = `http://10.200.0.11:${await services.nodePort("rolling")}/`;
    const before = await services.who("world", url);
    let isRolledOut = false;
    let [asked, lost] = [0, 0];
    const client = async (): Promise<void> => {
      const urls = Array.from({ length: 50 }, () => url);
      while (!isRolledOut) {
        const answers = await services.lab.tryExec(
          "world",
          "curl",
          "-s",
          "--max-time",
          "10",
          ...urls,
        );
        asked += urls.length;
        lost += urls.length - answers.stdout.trim().split("\n").length;
      }
    };
    const running = client();
    await services.lab.kubectl("rollout restart deployment/rolling");
    await services.lab.kubectl("rollout status deployment/rolling --timeout=60s");
    isRolledOut = true;
    await running;
    assert.ok(asked > 0 && lost < asked * 0.05, `${String(lost)} of ${String(asked)} lost`);
    assert.equal(
      (await services.who("world", url)).filter((name) => before.includes(name)).length,
      0,
    );
  });

  it("say that all data planes have confirmed when a Pod was asked to end", async () => {
    const events = await services.lab.kubectl(
      "get events --field-selector reason=DrainTimedOut -o name",
    );
    assert.equal(events, "");
  });
});
