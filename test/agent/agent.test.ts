import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { get } from "node:https";
import { after, before, describe, it } from "node:test";
import { leaseKind } from "../../src/api/coordination/lease.kind.ts";
import { nodeKind } from "../../src/api/v1/node.kind.ts";
import { podKind } from "../../src/api/v1/pod.kind.ts";
import type { Pod } from "../../src/api/v1/pod.ts";
import { eventKind } from "../../src/api/v1/event.kind.ts";
import { configMapKind } from "../../src/api/v1/configmap.kind.ts";
import { secretKind } from "../../src/api/v1/secret.kind.ts";
import { serviceKind } from "../../src/api/v1/service.kind.ts";
import { readStat } from "../../src/agent/proc.ts";
import type { Agent } from "../../src/agent/agent.ts";
import { isReady, NODE_IP, POD_CIDR, startTestCluster } from "./test-cluster.ts";
import type { TestCluster } from "./test-cluster.ts";

const SERVE = `
const http = require("node:http");
let ready = true;
const server = http.createServer((req, res) => {
  if (req.url === "/toggle") ready = !ready;
  res.statusCode = req.url === "/ready" && !ready ? 503 : 200;
  res.end(process.env.POD_IP);
});
server.listen(8080, process.env.POD_IP, () => console.log("listening"));
process.on("SIGTERM", () => { console.log("term"); setTimeout(() => process.exit(0), 50); });
`;

function serve(): { command: string[] } {
  return { command: [process.execPath, "-e", SERVE] };
}

const readyProbe = {
  httpGet: { path: "/ready", port: 8080 },
  periodSeconds: 1,
  failureThreshold: 1,
};

let cluster: TestCluster;
let agent: Agent;

before(async () => {
  cluster = await startTestCluster();
  agent = await cluster.startAgent();
});

after(async () => {
  await cluster[Symbol.asyncDispose]();
});

async function logOf(pod: Pod, query = ""): Promise<{ status: number; text: string }> {
  const { name, namespace = "" } = pod.metadata;
  const response = await cluster.api.handle(
    {
      method: "GET",
      url: `/api/v1/namespaces/${namespace}/pods/${name}/log?${query}`,
      headers: {},
      signal: new AbortController().signal,
    },
    { name: "admin", groups: ["system:masters"] },
  );
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body) chunks.push(chunk);
  return { status: response.status, text: Buffer.concat(chunks).toString() };
}

async function eventsOf(pod: Pod, reason: string): Promise<readonly string[]> {
  const fieldSelector = `involvedObject.name=${pod.metadata.name},reason=${reason}`;
  const { items } = await cluster.client.list(eventKind, { namespace: "default", fieldSelector });
  return items.map(({ type = "", message = "" }) => `${type} ${message}`);
}

const ended = (pod: Pod): boolean =>
  pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
const waiting = (pod: Pod): string | undefined =>
  pod.status?.containerStatuses?.[0]?.state?.waiting?.reason;

describe("startAgent()", () => {
  it("registers the Node with address, range, port and a lease", async () => {
    const node = await cluster.client.get(nodeKind, { name: "local" });
    assert.equal(node.spec.podCIDR, POD_CIDR);
    assert.deepEqual(node.status?.addresses, [
      { type: "InternalIP", address: NODE_IP },
      { type: "Hostname", address: "local" },
    ]);
    assert.equal(node.status?.daemonEndpoints?.kubeletEndpoint?.Port, agent.port);
    const ready = node.status?.conditions?.find(({ type }) => type === "Ready");
    assert.equal(ready?.status, "True");
    assert.equal(node.metadata.labels?.["kubernetes.io/hostname"], "local");
    const lease = await cluster.client.get(leaseKind, {
      namespace: "kube-node-lease",
      name: "local",
    });
    assert.equal(lease.spec.holderIdentity, "local");
    assert.equal(lease.spec.leaseDurationSeconds, 40);
    assert.equal(lease.metadata.ownerReferences?.[0]?.uid, node.metadata.uid);
  });

  it("runs a Pod that serves on its own address, and ends it gracefully", async () => {
    const pod = await cluster.run("web", { ...serve(), readinessProbe: readyProbe });
    const ready = await cluster.until(pod, isReady);
    const ip = ready.status?.podIP ?? "";
    assert.match(ip, /^127\.81\.0\.\d+$/);
    const answer = await fetch(`http://${ip}:8080/`);
    assert.equal(await answer.text(), ip);
    assert.equal(ready.status?.phase, "Running");

    const seen: string[] = [];
    const watching = cluster.pods.onChange(({ after: now }) => {
      const terminated = now?.status?.containerStatuses?.[0]?.state?.terminated;
      if (now?.metadata.uid === pod.metadata.uid && terminated !== undefined)
        seen.push(`${String(now?.status?.phase)} ${String(terminated.exitCode)}`);
    });
    await cluster.client.delete(podKind, { namespace: "default", name: "web" });
    await cluster.gone(pod);
    watching[Symbol.dispose]();
    assert.deepEqual([...new Set(seen)], ["Succeeded 0"]);
    await assert.rejects(fetch(`http://${ip}:8080/`));
  });

  it("TERM-009: follows the readiness probe, also while the Pod terminates", async () => {
    const stubborn = SERVE.replace(/process\.on.*/, 'process.on("SIGTERM", () => undefined);');
    const pod = await cluster.run(
      "toggle",
      { command: [process.execPath, "-e", stubborn], readinessProbe: readyProbe },
      { terminationGracePeriodSeconds: 60 },
    );
    const { status } = await cluster.until(pod, isReady);
    const toggle = `http://${status?.podIP ?? ""}:8080/toggle`;
    await fetch(toggle);
    await cluster.until(pod, (now) => !isReady(now));
    await fetch(toggle);
    await cluster.until(pod, isReady);
    await cluster.client.delete(podKind, { namespace: "default", name: "toggle" });
    await cluster.until(pod, (now) => now.metadata.deletionTimestamp !== undefined && isReady(now));
    await fetch(toggle);
    await cluster.until(pod, (now) => !isReady(now));
    // Less grace than before is honoured.
    await cluster.client.delete(
      podKind,
      { namespace: "default", name: "toggle" },
      { gracePeriodSeconds: 1 },
    );
    await cluster.gone(pod);
  });

  it("says in status and an Event that a program does not exist", async () => {
    const pod = await cluster.run("missing", { command: ["/nonexistent/program"] });
    const now = await cluster.until(pod, (p) => waiting(p) === "CreateContainerError");
    const message =
      'exec: "/nonexistent/program": stat /nonexistent/program: no such file or directory';
    assert.equal(now.status?.phase, "Pending");
    assert.equal(now.status?.containerStatuses?.[0]?.state?.waiting?.message, message);
    await until(async () => (await eventsOf(pod, "Failed")).length > 0);
    assert.deepEqual(await eventsOf(pod, "Failed"), [`Warning Error: ${message}`]);
  });

  it("says in status and an Event that a program cannot be started", async () => {
    // One word may have 128 KiB.
    const pod = await cluster.run("long", { command: ["/bin/echo", "x".repeat(200_000)] });
    const now = await cluster.until(pod, (p) => waiting(p) === "RunContainerError");
    const message = 'exec: "/bin/echo": argument list too long';
    assert.equal(now.status?.containerStatuses?.[0]?.state?.waiting?.message, message);
    await until(async () => (await eventsOf(pod, "Failed")).length > 0);
    assert.deepEqual(await eventsOf(pod, "Failed"), [`Warning Error: ${message}`]);
  });

  it("says which image has no program, and runs one that has", async () => {
    const pod = await cluster.run("image", { image: "nginx:1" });
    const now = await cluster.until(pod, (p) => waiting(p) === "ErrImagePull");
    assert.match(
      now.status?.containerStatuses?.[0]?.state?.waiting?.message ?? "",
      /^image "nginx:1" is not mapped to a local program/,
    );
  });

  it("gives the environment of ConfigMaps, Secrets, fields and Services", async () => {
    const metadata = (name: string) => ({ name, namespace: "default" });
    await cluster.client.create(configMapKind, { metadata: metadata("cfg"), data: { A: "1" } });
    await cluster.client.create(secretKind, {
      metadata: metadata("sec"),
      data: { S: Buffer.from("hush").toString("base64") },
      type: "Opaque",
    });
    await cluster.client.create(serviceKind, {
      metadata: metadata("db"),
      spec: {
        type: "ClusterIP",
        sessionAffinity: "None",
        ports: [{ port: 5432, protocol: "TCP" }],
      },
    });
    const print =
      "console.log(JSON.stringify([process.env.A, process.env.S, process.env.NS, process.env.DB_SERVICE_PORT, process.env.SECRET_OF_HOST, process.argv[1]]))";
    const pod = await cluster.run(
      "env",
      {
        command: [process.execPath, "-e", print],
        args: ["$(NS)-x"],
        envFrom: [{ configMapRef: { name: "cfg" } }, { secretRef: { name: "sec" } }],
        env: [{ name: "NS", valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } } }],
      },
      { restartPolicy: "Never" },
    );
    await cluster.until(pod, ended);
    const { text } = await logOf(pod);
    assert.deepEqual(JSON.parse(text), ["1", "hush", "default", "5432", null, "default-x"]);
  });

  it("starts a container once the ConfigMap that it needs exists", async () => {
    const pod = await cluster.run(
      "late",
      { command: ["true"], envFrom: [{ configMapRef: { name: "late" } }] },
      { restartPolicy: "Never" },
    );
    const now = await cluster.until(pod, (p) => waiting(p) === "CreateContainerConfigError");
    assert.equal(
      now.status?.containerStatuses?.[0]?.state?.waiting?.message,
      'configmap "late" not found',
    );
    const metadata = { name: "late", namespace: "default" };
    await cluster.client.create(configMapKind, { metadata, data: {} });
    assert.equal((await cluster.until(pod, ended)).status?.phase, "Succeeded");
  });

  it("restarts what fails, counts it, and then backs off", async () => {
    const pod = await cluster.run("crash", { command: ["false"] });
    const now = await cluster.until(pod, (p) => waiting(p) === "CrashLoopBackOff");
    const [status] = now.status?.containerStatuses ?? [];
    assert.equal(status?.restartCount, 1);
    assert.equal(status?.lastState?.terminated?.exitCode, 1);
    assert.match(status?.state?.waiting?.message ?? "", /^back-off 10s restarting failed/);
  });

  it("ends a Pod that is not restarted as its containers ended", async () => {
    const policy = { restartPolicy: "Never" } as const;
    const good = await cluster.run("good", { command: ["true"] }, policy);
    const bad = await cluster.run("bad", { command: ["sh", "-c", "exit 7"] }, policy);
    assert.equal((await cluster.until(good, ended)).status?.phase, "Succeeded");
    const { status } = await cluster.until(bad, ended);
    assert.equal(status?.phase, "Failed");
    assert.equal(status?.containerStatuses?.[0]?.state?.terminated?.exitCode, 7);
  });

  it("runs init containers in order, before the others", async () => {
    const say = (text: string) => ["sh", "-c", `echo ${text} >> "$OUT"`];
    const env = [{ name: "OUT", value: `${cluster.dataDir}/order` }];
    const pod = await cluster.run(
      "ordered",
      { command: say("main"), env },
      {
        restartPolicy: "Never",
        initContainers: [
          { name: "one", command: ["sh", "-c", `sleep 0.1; echo one >> "$OUT"`], env },
          { name: "two", command: say("two"), env },
        ],
      },
    );
    assert.equal((await cluster.until(pod, ended)).status?.phase, "Succeeded");
    assert.equal(await readFile(`${cluster.dataDir}/order`, "utf8"), "one\ntwo\nmain\n");
  });

  it("kills and restarts a container that fails its liveness probe", async () => {
    const pod = await cluster.run("lively", {
      command: ["sleep", "1000"],
      livenessProbe: { exec: { command: ["false"] }, periodSeconds: 1, failureThreshold: 1 },
    });
    const now = await cluster.until(
      pod,
      (p) => (p.status?.containerStatuses?.[0]?.restartCount ?? 0) > 0,
    );
    const last = now.status?.containerStatuses?.[0]?.lastState?.terminated;
    assert.deepEqual([last?.exitCode, last?.signal], [143, 15]);
  });

  it("does not call a container ready before its startup probe has passed", async () => {
    const flag = `${cluster.dataDir}/started`;
    const pod = await cluster.run("slow", {
      command: ["sh", "-c", `sleep 0.2; touch ${flag}; sleep 1000`],
      startupProbe: { exec: { command: ["test", "-e", flag] }, periodSeconds: 1 },
    });
    const seen: boolean[] = [];
    const watching = cluster.pods.onChange(({ after: now }) => {
      const status = now?.status?.containerStatuses?.[0];
      if (now?.metadata.uid === pod.metadata.uid && status?.state?.running !== undefined)
        seen.push(status.started === true);
    });
    await cluster.until(pod, isReady);
    watching[Symbol.dispose]();
    assert.deepEqual([seen[0], seen.at(-1)], [false, true]);
  });

  it("kills grandchildren too", async () => {
    const pod = await cluster.run("family", {
      command: ["sh", "-c", "sleep 1000 & echo $!; wait"],
    });
    await cluster.until(pod, isReady);
    await until(async () => (await logOf(pod)).text !== "");
    const grandchild = Number((await logOf(pod)).text);
    assert.ok(exists(grandchild));
    await cluster.client.delete(podKind, { namespace: "default", name: "family" });
    await cluster.gone(pod);
    await until(() => Promise.resolve(!exists(grandchild)));
  });

  it("ends the processes of a Pod that is deleted without grace", async () => {
    const pod = await cluster.run("forced", { command: ["sh", "-c", "echo $$; exec sleep 1000"] });
    await cluster.until(pod, isReady);
    await until(async () => (await logOf(pod)).text !== "");
    const pid = Number((await logOf(pod)).text);
    await cluster.client.delete(
      podKind,
      { namespace: "default", name: "forced" },
      { gracePeriodSeconds: 0 },
    );
    await until(() => Promise.resolve(!exists(pid)));
  });
});

describe("the agent's server", () => {
  const statusOf = (path: string, identity: { cert?: string; key?: string }): Promise<number> =>
    new Promise((resolve, reject) => {
      const { authority: ca } = cluster.certificates;
      const options = { host: NODE_IP, port: agent.port, path, ca, agent: false, ...identity };
      get(options, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      }).once("error", reject);
    });
  const as = ({ certificate, key }: { certificate: string; key: string }) => ({
    cert: certificate,
    key,
  });

  it("lets in the API server and admins, and nobody without a certificate", async () => {
    const { admin, agentClient } = cluster.certificates;
    assert.equal(await statusOf("/healthz", as(agentClient)), 200);
    assert.equal(await statusOf("/healthz", as(admin)), 200);
    await assert.rejects(statusOf("/healthz", {}));
  });

  it("says what is not there", async () => {
    const { agentClient } = cluster.certificates;
    assert.equal(await statusOf("/nothing", as(agentClient)), 404);
    assert.equal(await statusOf("/containerLogs/default/none/main", as(agentClient)), 404);
    assert.equal(await statusOf("/containerLogs/a/b/c?tailLines=x", as(agentClient)), 400);
  });
});

describe("the agent's logs", () => {
  it("are served through the API: whole, the tail, the previous run, and why there is none", async () => {
    const pod = await cluster.run("talker", {
      command: ["sh", "-c", "echo one; echo two >&2; echo three; exit 1"],
    });
    await cluster.until(pod, (p) => waiting(p) === "CrashLoopBackOff");
    assert.equal((await logOf(pod)).text, "one\ntwo\nthree\n");
    assert.equal((await logOf(pod, "tailLines=1")).text, "three\n");
    assert.equal((await logOf(pod, "limitBytes=5")).text, "one\nt");
    assert.equal((await logOf(pod, "previous=true")).text, "one\ntwo\nthree\n");
    assert.match(
      (await logOf(pod, "timestamps=true&tailLines=1")).text,
      /^\d{4}-\d\d-\d\dT\S+Z three\n$/,
    );
    const { status, text } = await logOf(pod, "container=none");
    assert.equal(status, 400, text);
  });

  it("are followed until the container ends", async () => {
    const pod = await cluster.run(
      "followed",
      { command: ["sh", "-c", "echo a; sleep 0.3; echo b"] },
      { restartPolicy: "Never" },
    );
    await cluster.until(pod, (p) => p.status?.phase === "Running");
    assert.equal((await logOf(pod, "follow=true")).text, "a\nb\n");
  });

  it("are refused for a container that has not run", async () => {
    const pod = await cluster.run("silent", { command: ["/nonexistent"] });
    await cluster.until(pod, (p) => waiting(p) === "CreateContainerError");
    const { status, text } = await logOf(pod);
    assert.equal(status, 400);
    assert.match(
      text,
      /container \\"main\\" in pod \\"silent\\" is waiting to start: CreateContainerError/,
    );
  });
});

function exists(pid: number): boolean {
  const stat = readStat(pid);
  return stat !== undefined && !stat.isZombie;
}

/** Looks again until it holds; the runner's timeout is the limit. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 10));
}
