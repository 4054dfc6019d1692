import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { leaseKind } from "../../src/api/coordination/lease.kind.ts";
import type { Lease } from "../../src/api/coordination/lease.ts";
import { endpointSliceKind } from "../../src/api/discovery/endpointslice.kind.ts";
import type { EndpointSlice } from "../../src/api/discovery/endpointslice.ts";
import { eventKind } from "../../src/api/v1/event.kind.ts";
import { podKind } from "../../src/api/v1/pod.kind.ts";
import type { Pod } from "../../src/api/v1/pod.ts";
import { APPLIED_ANNOTATION, DATA_PLANE_LABEL } from "../../src/core/endpoints/draining.ts";
import { isReady, startTestCluster } from "./test-cluster.ts";
import type { TestCluster } from "./test-cluster.ts";

const SERVE = `require("node:http").createServer((req, res) => res.end("ok")).listen(8080, process.env.POD_IP)`;
const LEASE = { namespace: "kube-system", name: "portolan-proxy-other" };

let cluster: TestCluster;

before(async () => {
  cluster = await startTestCluster();
  await cluster.startAgent();
});

after(async () => {
  await cluster[Symbol.asyncDispose]();
});

async function servingPod(name: string, terminationGracePeriodSeconds = 10): Promise<Pod> {
  const command = [process.execPath, "-e", SERVE];
  const readinessProbe = { tcpSocket: { port: 8080 }, periodSeconds: 1 };
  const pod = await cluster.run(
    name,
    { command, readinessProbe },
    { terminationGracePeriodSeconds },
  );
  return cluster.until(pod, isReady);
}

/** Does what the EndpointSlice controller does for a Service that selects the Pod. */
async function putSlice(pod: Pod, terminating: boolean): Promise<EndpointSlice> {
  const { name, uid = "" } = pod.metadata;
  const metadata = {
    name,
    namespace: "default",
    labels: { "kubernetes.io/service-name": name },
  };
  const conditions = { ready: !terminating, serving: true, terminating };
  const targetRef = { kind: "Pod", name, namespace: "default", uid };
  // Nobody is sent to this address: only the mark counts here.
  const endpoints = [{ addresses: ["192.0.2.1"], conditions, targetRef }];
  const ports = [{ name: "", port: 8080, protocol: "TCP" as const }];
  const { client } = cluster;
  if (!terminating)
    return client.create(endpointSliceKind, { metadata, addressType: "IPv4", endpoints, ports });
  const body = { endpoints };
  return client.patch(endpointSliceKind, metadata, { kind: "merge", body });
}

/** Does what a data plane does that is up and has carried out `version`. */
function putLease(version: string, secondsAgo = 0): Promise<Lease> {
  const renewTime = new Date(Date.now() - secondsAgo * 1000).toISOString().replace("Z", "000Z");
  const body = {
    metadata: {
      labels: { [DATA_PLANE_LABEL]: "true" },
      annotations: { [APPLIED_ANNOTATION]: version },
    },
    spec: { holderIdentity: "other", leaseDurationSeconds: 40, renewTime },
  };
  return cluster.client.patch(leaseKind, LEASE, { kind: "merge", body });
}

async function isServing(pod: Pod): Promise<boolean> {
  try {
    return (await fetch(`http://${pod.status?.podIP ?? ""}:8080/`)).ok;
  } catch {
    return false;
  }
}

/** Long enough for a program that was asked to end to be gone. */
async function assertKeepsServing(pod: Pod): Promise<void> {
  for (let i = 0; i < 25; i++) {
    assert.ok(await isServing(pod), "the program was stopped");
    await wait(20);
  }
}

async function timeoutEvents(pod: Pod): Promise<readonly string[]> {
  const fieldSelector = `involvedObject.name=${pod.metadata.name},reason=DrainTimedOut`;
  const { items } = await cluster.client.list(eventKind, { namespace: "default", fieldSelector });
  return items.map(({ message = "" }) => message);
}

describe("a Pod that is asked to end", { concurrency: false }, () => {
  it("runs on until its slices mark it and every data plane has confirmed that", async () => {
    const { client } = cluster;
    const pod = await servingPod("web");
    await putSlice(pod, false);
    await client.create(leaseKind, { metadata: LEASE, spec: {} });
    await putLease("1");
    await client.delete(podKind, { namespace: "default", name: "web" });
    await assertKeepsServing(pod);
    const { metadata } = await putSlice(pod, true);
    await assertKeepsServing(pod);
    await putLease(metadata.resourceVersion ?? "");
    await cluster.gone(pod);
    assert.deepEqual(await timeoutEvents(pod), []);
  });

  it("waits for no data plane whose lease has run out, and for none where there is none", async () => {
    for (const hasLease of [true, false]) {
      const name = `alone-${String(hasLease)}`;
      const pod = await servingPod(name);
      await putSlice(pod, false);
      if (hasLease) await putLease("1", 60);
      else await cluster.client.delete(leaseKind, LEASE);
      await cluster.client.delete(podKind, { namespace: "default", name });
      await putSlice(pod, true);
      await cluster.gone(pod);
      assert.deepEqual(await timeoutEvents(pod), []);
    }
  });

  it("is stopped after its grace period at the latest, and an Event names who did not confirm", async () => {
    const pod = await servingPod("silent", 1);
    await putSlice(pod, false);
    await cluster.client.create(leaseKind, { metadata: LEASE, spec: {} });
    await putLease("1");
    await cluster.client.delete(podKind, { namespace: "default", name: "silent" });
    await putSlice(pod, true);
    await cluster.gone(pod);
    const [message = ""] = await eventually(() => timeoutEvents(pod));
    assert.equal(
      message,
      "Stopping after 1 s of waiting: the data planes of other did not confirm that they send it no new connections",
    );
  });

  it("is stopped at once when no Service has it", async () => {
    await putLease("1");
    const pod = await servingPod("unknown");
    await cluster.client.delete(podKind, { namespace: "default", name: "unknown" });
    await cluster.gone(pod);
    assert.deepEqual(await timeoutEvents(pod), []);
  });
});

/** Events are written in the background. */
async function eventually<T>(read: () => Promise<readonly T[]>): Promise<readonly T[]> {
  for (;;) {
    const found = await read();
    if (found.length > 0) return found;
    await wait(20);
  }
}
