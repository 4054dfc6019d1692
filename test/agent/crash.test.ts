import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { podKind } from "../../src/api/v1/pod.kind.ts";
import type { Pod } from "../../src/api/v1/pod.ts";
import { findMarked } from "../../src/agent/markers.ts";
import type { MarkedProcess } from "../../src/agent/markers.ts";
import { isReady, POD_CIDR, startTestCluster } from "./test-cluster.ts";
import type { TestCluster } from "./test-cluster.ts";

const PROGRAM = fileURLToPath(new URL("agent.test-program.ts", import.meta.url));

let cluster: TestCluster;
let settings: string;
let agent: ChildProcess | undefined;

before(async () => {
  cluster = await startTestCluster();
  const { authority, admin, agent: serving } = cluster.certificates;
  settings = join(cluster.dataDir, "..", "settings.json");
  await writeFile(
    settings,
    JSON.stringify({
      dataDir: cluster.dataDir,
      podCidr: POD_CIDR,
      authority,
      admin,
      agent: serving,
    }),
  );
});

afterEach(async () => {
  await kill();
  for (const { metadata } of cluster.pods.list())
    await cluster.client.delete(podKind, metadata, { gracePeriodSeconds: 0 });
  const agentThatCleansUp = await cluster.startAgent();
  await agentThatCleansUp[Symbol.asyncDispose]();
  assert.deepEqual(findMarked(cluster.dataDir), []);
});

after(async () => {
  await cluster[Symbol.asyncDispose]();
});

/** Starts an agent in its own process; resolves when it has adopted what there was. */
async function startProgram(): Promise<void> {
  const child = spawn(process.execPath, ["--import", "tsx", PROGRAM, cluster.url, settings], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  agent = child;
  await once(child.stdout, "data");
}

/** kill -9, and nothing else. */
async function kill(): Promise<void> {
  if (agent === undefined) return;
  const exited = once(agent, "exit");
  agent.kill("SIGKILL");
  await exited;
  agent = undefined;
}

/** The leaders of the process groups of a Pod's containers. */
function processesOf(pod: Pod): readonly MarkedProcess[] {
  return findMarked(cluster.dataDir).filter(
    ({ pid, processGroup, marker }) =>
      pid === processGroup && marker.podUid === pod.metadata.uid && !Number.isNaN(marker.attempt),
  );
}

const SLEEP = { command: ["sleep", "1000"] };

describe("an agent that starts after kill -9 of another", () => {
  it("adopts the processes of Pods that still should run, without a moment of unreadiness", async () => {
    await startProgram();
    const pod = await cluster.run("kept", {
      ...SLEEP,
      readinessProbe: { exec: { command: ["true"] }, periodSeconds: 1 },
    });
    const ready = await cluster.until(pod, isReady);
    const [process] = processesOf(pod);
    await kill();
    const seen = new Set<boolean>();
    const watching = cluster.pods.onChange(({ after: now }) => {
      if (now !== undefined && now.metadata.uid === pod.metadata.uid) seen.add(isReady(now));
    });
    await startProgram();
    assert.deepEqual(
      processesOf(pod).map(({ pid }) => pid),
      [process?.pid],
    );
    watching[Symbol.dispose]();
    assert.deepEqual([...seen], [true]);
    const now = await cluster.client.get(podKind, pod.metadata);
    assert.equal(now.status?.podIP, ready.status?.podIP);
    assert.equal(now.status?.containerStatuses?.[0]?.restartCount, 0);

    await cluster.client.delete(podKind, pod.metadata);
    await cluster.gone(pod);
    assert.deepEqual(processesOf(pod), []);
  });

  it("stops the processes of Pods that are gone", async () => {
    await startProgram();
    const pod = await cluster.run("orphan", SLEEP);
    await cluster.until(pod, isReady);
    await kill();
    await cluster.client.delete(podKind, pod.metadata, { gracePeriodSeconds: 0 });
    assert.equal(processesOf(pod).length, 1);
    await startProgram();
    assert.deepEqual(processesOf(pod), []);
  });

  it("restarts what ended meanwhile, and says that the exit code is unknown", async () => {
    await startProgram();
    const pod = await cluster.run("ended", SLEEP);
    await cluster.until(pod, isReady);
    const [lost] = processesOf(pod);
    await kill();
    process.kill(lost?.pid ?? 0, "SIGKILL");
    await startProgram();
    const now = await cluster.until(
      pod,
      (p) => isReady(p) && p.status?.containerStatuses?.[0]?.restartCount === 1,
    );
    const last = now.status?.containerStatuses?.[0]?.lastState?.terminated;
    assert.deepEqual([last?.exitCode, last?.reason], [137, "ContainerStatusUnknown"]);
    assert.equal(processesOf(pod).length, 1);
  });

  it("does not run again what is done", async () => {
    await startProgram();
    const count = join(cluster.dataDir, "count");
    const append = { command: ["sh", "-c", `echo x >> ${count}`] };
    const pod = await cluster.run("once", append, { restartPolicy: "Never" });
    await cluster.until(pod, (p) => p.status?.phase === "Succeeded");
    await kill();
    const later = await cluster.run("later", SLEEP);
    await startProgram();
    await cluster.until(later, isReady);
    assert.equal(await readFile(count, "utf8"), "x\n");
  });

  it("never doubles a container, whenever the kill comes", async () => {
    const pods: Pod[] = [];
    for (let round = 0; round < 4; round++) {
      await startProgram();
      for (const n of [1, 2, 3])
        pods.push(await cluster.run(`r${String(round)}-${String(n)}`, SLEEP));
      // Kills at moments from before the first start to after the last one.
      const first = pods.at(-3);
      if (round > 0 && first !== undefined)
        await cluster.until(first, (p) => round < 2 || (p.status?.phase ?? "") === "Running");
      await kill();
      for (const pod of pods) assert.ok(processesOf(pod).length <= 1);
    }
    await startProgram();
    for (const pod of pods) {
      await cluster.until(pod, isReady);
      assert.equal(processesOf(pod).length, 1, pod.metadata.name);
    }
  });
});

describe("an agent that ends", () => {
  it("with stopPodsOnExit leaves no process, and says so in status", async () => {
    const own = await cluster.startAgent();
    const pod = await cluster.run("stopped", SLEEP);
    await cluster.until(pod, isReady);
    await own[Symbol.asyncDispose]();
    assert.deepEqual(findMarked(cluster.dataDir), []);
    const now = await cluster.client.get(podKind, pod.metadata);
    assert.equal(isReady(now), false);
    assert.equal(now.status?.containerStatuses?.[0]?.state?.terminated?.exitCode, 143);
  });

  it("without it leaves the processes to the next, which adopts them", async () => {
    const first = await cluster.startAgent({ stopPodsOnExit: false });
    const pod = await cluster.run("left", SLEEP);
    await cluster.until(pod, isReady);
    const pids = processesOf(pod).map(({ pid }) => pid);
    await first[Symbol.asyncDispose]();
    assert.deepEqual(
      processesOf(pod).map(({ pid }) => pid),
      pids,
    );
    const second = await cluster.startAgent();
    assert.equal(second.podCount, 1);
    await second[Symbol.asyncDispose]();
    assert.deepEqual(processesOf(pod), []);
  });
});
