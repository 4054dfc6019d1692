import { arch, availableParallelism, release, totalmem, type } from "node:os";
import { readFileSync, statfsSync } from "node:fs";
import { apiVersionOf } from "../api/machinery/kind.ts";
import { hasReason } from "../api/machinery/status.ts";
import { leaseKind } from "../api/coordination/lease.kind.ts";
import { namespaceKind } from "../api/v1/namespace.kind.ts";
import { nodeKind } from "../api/v1/node.kind.ts";
import type { Node, NodeCondition } from "../api/v1/node.ts";
import { backoff } from "../async/backoff.ts";
import { sleep } from "../async/sleep.ts";
import type { ApiClient } from "../client/client.ts";
import type { Logger } from "../telemetry/log.ts";
import { bootId, codeOf } from "./proc.ts";
import { timeText } from "./time.ts";

/** As kubelet's: the lease says four times within its duration that the node lives. */
const LEASE_SECONDS = 40;
const RENEW_MS = 10_000;
/** As kubelet's nodeStatusReportFrequency: the lease is the heartbeat, the status only news. */
const STATUS_EVERY_MS = 5 * 60_000;
const LEASE_NAMESPACE = "kube-node-lease";
const RETRY = { baseMs: 200, maxMs: 7_000 };

export interface NodeOptions {
  readonly name: string;
  /** The node's own addresses, the primary one first. */
  readonly internalIps: readonly string[];
  readonly podCidrs: readonly string[];
  /** Port of the agent's own server. */
  readonly serverPort: number;
  readonly capacity: NodeCapacity;
  /** As /version of the API says it; shown by `kubectl get nodes`. */
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface NodeCapacity {
  readonly cpu: number;
  /** Bytes. */
  readonly memory: number;
  /** Bytes of the file system that Pods' logs and volumes are on. */
  readonly "ephemeral-storage": number;
  readonly pods: number;
}

/**
 * What this machine has; `pods` is what a node is taken to bear, not enforced here.
 * @param dataDir a folder on the file system of Pods' logs and volumes.
 */
export function machineCapacity(dataDir: string, pods: number): NodeCapacity {
  const { bsize, blocks } = statfsSync(dataDir);
  const storage = { "ephemeral-storage": bsize * blocks };
  return { cpu: availableParallelism(), memory: totalmem(), ...storage, pods };
}

export interface NodeDeps {
  readonly client: ApiClient;
  readonly log: Logger;
  readonly now: () => number;
}

/**
 * Registers the Node and keeps its lease and status fresh until disposed. Resolves when Node and lease are
 * there. @throws StatusError when the API server refuses the Node.
 */
export async function startNode(
  deps: NodeDeps,
  options: NodeOptions,
  signal: AbortSignal,
): Promise<AsyncDisposable> {
  const node = await registerNode(deps, options, signal);
  const uid = node.metadata.uid ?? "";
  await Promise.all([writeStatus(deps, options, signal), renewLease(deps, options, uid, signal)]);
  const ending = new AbortController();
  const loop = keepAlive(deps, options, uid, ending.signal);
  return {
    async [Symbol.asyncDispose]() {
      ending.abort(new Error("the node agent is ending"));
      await loop;
    },
  };
}

async function keepAlive(
  deps: NodeDeps,
  options: NodeOptions,
  uid: string,
  signal: AbortSignal,
): Promise<void> {
  let statusAtMs = deps.now();
  let nodeUid = uid;
  let failures = 0;
  while (!signal.aborted) {
    const delayMs = failures === 0 ? RENEW_MS : backoff(failures - 1, RETRY, Math.random);
    // Rejects only when the agent ends; the loop's condition sees that.
    await sleep(delayMs, signal).catch(() => undefined);
    if (signal.aborted) return;
    try {
      await renewLease(deps, options, nodeUid, signal);
      if (failures > 0 || deps.now() - statusAtMs >= STATUS_EVERY_MS) {
        await writeStatus(deps, options, signal);
        statusAtMs = deps.now();
      }
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      deps.log.warn("node heartbeat failed", { node: options.name, error });
      // Somebody deleted the Node: a node that lives registers again.
      if (hasReason(error, "NotFound")) nodeUid = await reregister(deps, options, nodeUid, signal);
    }
  }
}

async function reregister(
  deps: NodeDeps,
  options: NodeOptions,
  uid: string,
  signal: AbortSignal,
): Promise<string> {
  try {
    return (await registerNode(deps, options, signal)).metadata.uid ?? "";
  } catch (error) {
    deps.log.warn("node not registered", { node: options.name, error });
    return uid;
  }
}

/** Creates the Node or brings an earlier one up to date. */
async function registerNode(
  { client, log }: NodeDeps,
  options: NodeOptions,
  signal: AbortSignal,
): Promise<Node> {
  const { name, podCidrs } = options;
  const labels = {
    "kubernetes.io/hostname": name,
    "kubernetes.io/os": "linux",
    "kubernetes.io/arch": goArch(),
    ...options.labels,
  };
  const draft = {
    metadata: { name, labels },
    spec: { ...(podCidrs[0] === undefined ? {} : { podCIDR: podCidrs[0] }), podCIDRs: podCidrs },
  };
  try {
    return await client.create(nodeKind, draft, { signal });
  } catch (error) {
    if (!hasReason(error, "AlreadyExists")) throw error;
  }
  const existing = await client.get(nodeKind, { name }, { signal });
  if ((existing.spec.podCIDR ?? "") === (podCidrs[0] ?? "")) {
    const body = { metadata: { labels } };
    return client.patch(nodeKind, { name }, { kind: "merge", body }, { signal });
  }
  // A Node's range cannot be changed. Another range is another node, though it has the same name.
  log.info("node replaced, its pod range changed", {
    node: name,
    before: existing.spec.podCIDR,
    after: podCidrs[0],
  });
  await client.delete(nodeKind, { name }, { signal });
  return client.create(nodeKind, draft, { signal });
}

async function writeStatus(
  deps: NodeDeps,
  options: NodeOptions,
  signal: AbortSignal,
): Promise<void> {
  const { client } = deps;
  const { name } = options;
  const { status: before } = await client.get(nodeKind, { name }, { signal });
  const at = timeText(deps.now());
  const condition = (
    kind: string,
    isTrue: boolean,
    reason: string,
    message: string,
  ): NodeCondition => {
    const status = isTrue ? "True" : "False";
    const old = before?.conditions?.find((candidate) => candidate.type === kind);
    const since = old?.status === status ? old.lastTransitionTime : undefined;
    const times = { lastHeartbeatTime: at, lastTransitionTime: since ?? at };
    return { type: kind, status, ...times, reason, message };
  };
  const resources = {
    cpu: String(options.capacity.cpu),
    memory: `${String(Math.floor(options.capacity.memory / 1024))}Ki`,
    "ephemeral-storage": `${String(Math.floor(options.capacity["ephemeral-storage"] / 1024))}Ki`,
    pods: String(options.capacity.pods),
  };
  const status = {
    capacity: resources,
    allocatable: resources,
    conditions: [
      condition("MemoryPressure", false, "KubeletHasSufficientMemory", "memory is not watched"),
      condition("DiskPressure", false, "KubeletHasNoDiskPressure", "disks are not watched"),
      condition("PIDPressure", false, "KubeletHasSufficientPID", "process ids are not watched"),
      condition("Ready", true, "KubeletReady", "the node agent runs Pods as local processes"),
    ],
    addresses: [
      ...options.internalIps.map((address) => ({ type: "InternalIP", address })),
      { type: "Hostname", address: name },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: options.serverPort } },
    nodeInfo: nodeInfo(options.version),
  };
  const patch = { kind: "merge", body: { status } } as const;
  await client.patch(nodeKind, { name }, patch, { subresource: "status", signal });
}

async function renewLease(
  { client, now }: NodeDeps,
  { name }: NodeOptions,
  nodeUid: string,
  signal: AbortSignal,
): Promise<void> {
  const ref = { namespace: LEASE_NAMESPACE, name };
  // MicroTime has six digits.
  const renewTime = new Date(now()).toISOString().replace("Z", "000Z");
  const spec = { holderIdentity: name, leaseDurationSeconds: LEASE_SECONDS, renewTime };
  const owner = { apiVersion: apiVersionOf(nodeKind), kind: nodeKind.kind, name, uid: nodeUid };
  const metadata = { ...ref, ownerReferences: [owner] };
  try {
    const body = { metadata: { ownerReferences: [owner] }, spec };
    await client.patch(leaseKind, ref, { kind: "merge", body }, { signal });
    return;
  } catch (error) {
    if (!hasReason(error, "NotFound")) throw error;
  }
  try {
    await client.create(leaseKind, { metadata, spec }, { signal });
  } catch (error) {
    // The namespace is missing; API servers make it, if not always in time.
    if (!hasReason(error, "NotFound")) throw error;
    await createNamespace(client, signal);
    await client.create(leaseKind, { metadata, spec }, { signal });
  }
}

async function createNamespace(client: ApiClient, signal: AbortSignal): Promise<void> {
  try {
    await client.create(namespaceKind, { metadata: { name: LEASE_NAMESPACE } }, { signal });
  } catch (error) {
    if (!hasReason(error, "AlreadyExists")) throw error;
  }
}

function nodeInfo(version: string): NonNullable<NonNullable<Node["status"]>["nodeInfo"]> {
  const osRelease = readIfThere("/etc/os-release");
  const machineId = readIfThere("/etc/machine-id").trim();
  return {
    machineID: machineId,
    systemUUID: machineId,
    bootID: bootId(),
    kernelVersion: release(),
    osImage: /^PRETTY_NAME="?([^"\n]*)/m.exec(osRelease)?.[1] ?? type(),
    containerRuntimeVersion: "portolan://process",
    kubeletVersion: version,
    kubeProxyVersion: "",
    operatingSystem: "linux",
    architecture: goArch(),
  };
}

/** The architecture as Kubernetes names it. */
function goArch(): string {
  return arch() === "x64" ? "amd64" : arch();
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "EACCES") return "";
    throw error;
  }
}
