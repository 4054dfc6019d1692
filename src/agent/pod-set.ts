import type { Pod } from "../api/v1/pod.ts";
import type { ObjectReference } from "../api/v1/reference.ts";
import type { EventType } from "../client/events.ts";
import { parseIpAddress } from "../net/address.ts";
import type { Cidr } from "../net/cidr.ts";
import { restoredFacts } from "./adoption.ts";
import type { RestoredContainer } from "./adoption.ts";
import { initContainersOf } from "./facts.ts";
import type { ContainerFacts } from "./facts.ts";
import type { AgentMetrics } from "./metrics.ts";
import { PodAddresses } from "./pod-addresses.ts";
import { PodWorker } from "./pod-worker.ts";
import type { PodLog } from "./pod-log.ts";
import type { PodWorkerDeps } from "./pod-worker.ts";
import type { RunningContainer } from "./running-container.ts";
import { restorePods } from "./restore.ts";
import { adoptContainer, containerStarter } from "./start-container.ts";
import { unmountedVolumes } from "./pod-volumes.ts";
import type { Sandbox } from "./sandbox.ts";
import type { StarterDeps } from "./start-container.ts";

export interface PodSetDeps extends StarterDeps {
  readonly metrics: AgentMetrics;
  readonly record: (
    object: ObjectReference,
    type: EventType,
    reason: string,
    message: string,
  ) => void;
  readonly drained: PodWorkerDeps["drained"];
}

/** All Pods of the node: a worker each, and their addresses. */
export class PodSet {
  readonly #deps: PodSetDeps;
  readonly #addresses: PodAddresses;
  /** By UID. */
  readonly #workers = new Map<string, PodWorker>();
  readonly #leaving = new Set<Promise<void>>();

  constructor(deps: PodSetDeps, podCidr: Cidr) {
    this.#deps = deps;
    this.#addresses = new PodAddresses(podCidr);
  }

  get size(): number {
    return this.#workers.size;
  }

  /** Takes over from an earlier agent: to be called once, before anything else, with the node's Pods. */
  async restore(pods: readonly Pod[], signal: AbortSignal): Promise<void> {
    const byUid = new Map(pods.map((pod) => [pod.metadata.uid ?? "", pod]));
    const canKeepIp = (pod: Pod, ip: string): boolean => this.#reserve(pod, ip);
    const restored = await restorePods({ ...this.#deps, canKeepIp }, byUid, signal);
    // First all addresses that are in use, then new ones.
    for (const pod of pods) if (!isOver(pod)) this.#reserve(pod, pod.status?.podIP ?? "");
    for (const pod of pods) {
      const containers =
        restored.get(pod.metadata.uid ?? "") ?? new Map<string, RestoredContainer>();
      const ip = [...containers.values()].find(({ process }) => process !== undefined)?.record
        .podIp;
      const sandboxes = new Map<string, Sandbox>();
      for (const [name, { process }] of containers) {
        if (process === undefined || ip === undefined) continue;
        const podIps = this.#deps.podIpsOf(ip);
        sandboxes.set(name, await this.#deps.sandboxes.reopen(pod, podIps, name));
      }
      this.#add(pod, containers, sandboxes);
    }
  }

  /** A Pod of this node has come, changed or gone. A new Pod of an old name has another UID. */
  change(before: Pod | undefined, after: Pod | undefined): void {
    const uid = after?.metadata.uid;
    const uidBefore = before?.metadata.uid;
    if (uidBefore !== undefined && uidBefore !== uid) this.#abandon(uidBefore);
    if (after === undefined || uid === undefined) return;
    const worker = this.#workers.get(uid);
    if (worker === undefined) {
      this.#warnOfVolumes(after);
      this.#add(after, new Map(), new Map());
    } else worker.update(after);
  }

  /** A container's log; `pod` is undefined when there is none of that name. Texts as kubelet's. */
  logOf(
    pod: Pod | undefined,
    name: string,
    container: string,
    previous: boolean,
  ): PodLog | { readonly kind: "missing"; readonly message: string } {
    const worker = this.#workers.get(pod?.metadata.uid ?? "");
    if (pod === undefined || worker === undefined)
      return { kind: "missing", message: `pod ${JSON.stringify(name)} does not exist` };
    if (!containerNames(pod).includes(container))
      return {
        kind: "missing",
        message: `container ${JSON.stringify(container)} not found in pod ${JSON.stringify(name)}`,
      };
    return worker.logOf(container, previous);
  }

  /** A running container; texts as kubelet's. */
  runningContainer(
    pod: Pod | undefined,
    name: string,
    container: string,
  ): RunningContainer | { readonly kind: "missing"; readonly message: string } {
    const worker = this.#workers.get(pod?.metadata.uid ?? "");
    if (worker === undefined)
      return { kind: "missing", message: `pod ${JSON.stringify(name)} does not exist` };
    return (
      worker.runningContainer(container) ?? {
        kind: "missing",
        message: `container not found (${JSON.stringify(container)})`,
      }
    );
  }

  /** Where a Pod's ports are; texts as kubelet's. */
  forwardTarget(
    pod: Pod | undefined,
    name: string,
  ):
    | {
        readonly kind: "running";
        readonly podIp: string;
        readonly name: string;
        readonly uid: string;
      }
    | { readonly kind: "missing"; readonly message: string } {
    const worker = this.#workers.get(pod?.metadata.uid ?? "");
    if (worker === undefined)
      return { kind: "missing", message: `pod ${JSON.stringify(name)} does not exist` };
    const { podIp, isRunning, uid } = worker;
    return podIp === undefined || !isRunning
      ? { kind: "missing", message: `pod ${JSON.stringify(name)} is not running` }
      : { kind: "running", podIp, name, uid };
  }

  /** @see PodWorker.evict */
  evict(podUid: string, message: string): void {
    this.#workers.get(podUid)?.evict(message);
  }

  /** Ends all processes, each with at most `graceMs` of grace, and writes the last statuses. */
  async stopAll(graceMs: number): Promise<void> {
    await Promise.all([...this.#workers.values()].map((worker) => worker.stop(graceMs)));
    await Promise.all(this.#leaving);
  }

  /** Lets go of all processes. */
  async detachAll(): Promise<void> {
    await Promise.all([...this.#workers.values()].map((worker) => worker.detach()));
    await Promise.all(this.#leaving);
  }

  #add(
    pod: Pod,
    restored: ReadonlyMap<string, RestoredContainer>,
    sandboxes: ReadonlyMap<string, Sandbox>,
  ): void {
    const deps = this.#deps;
    const nowMs = deps.now();
    const uid = pod.metadata.uid ?? "";
    const containers = new Map<string, ContainerFacts>();
    for (const name of containerNames(pod)) {
      const facts = restoredFacts(pod, name, restored.get(name), nowMs);
      if (facts !== undefined) containers.set(name, facts);
    }
    const podIp = this.#ipOf(pod, restored);
    const startTime = Date.parse(pod.status?.startTime ?? "");
    const worker = new PodWorker(
      pod,
      {
        podIp,
        podIps: podIp === undefined ? [] : deps.podIpsOf(podIp),
        hostIps: deps.hostIps,
        canMount: deps.sandboxes.canMount,
        acceptedAtMs: Number.isNaN(startTime) ? nowMs : startTime,
      },
      containers,
      this.#workerDeps(),
    );
    this.#workers.set(uid, worker);
    deps.metrics.pods.set(this.#workers.size);
    for (const container of [...initContainersOf(pod), ...pod.spec.containers]) {
      const { record, process: id } = restored.get(container.name) ?? {};
      const facts = containers.get(container.name);
      const sandbox = sandboxes.get(container.name);
      if (!record || !id || !facts || !sandbox) continue;
      const { attempt, startedAtMs, podIp: given } = record;
      const { isStarted, isReady } = facts;
      const listener = worker.listenerFor(container.name);
      const run = adoptContainer(deps, {
        pod,
        container,
        podIp: given,
        attempt,
        startedAtMs,
        id,
        listener,
        sandbox,
        found: { isStarted, isReady },
      });
      worker.adopt(container.name, run);
      deps.volumes.resume(pod, container);
    }
    worker.sync();
  }

  #workerDeps(): PodWorkerDeps {
    const deps = this.#deps;
    return {
      ...deps,
      start: containerStarter(deps),
      closeSandbox: (podUid) => deps.sandboxes.close(podUid),
      record: (pod, container, type, reason, message) => {
        deps.record(referenceTo(pod, container), type, reason, message);
      },
      allocateIp: (pod) =>
        pod.spec.hostNetwork === true
          ? deps.hostIps[0]
          : this.#addresses.allocate(pod.metadata.uid ?? ""),
      releaseIp: (pod, ip) => {
        // Without an address nothing of the Pod runs any more.
        deps.volumes.close(pod.metadata.uid ?? "");
        const address = parseIpAddress(ip);
        if (address !== undefined) this.#addresses.release(address, pod.metadata.uid ?? "");
      },
    };
  }

  #ipOf(pod: Pod, restored: ReadonlyMap<string, RestoredContainer>): string | undefined {
    if (pod.spec.hostNetwork === true) return this.#deps.hostIps[0];
    // A terminal Pod shows its last address, but holds none.
    if (isOver(pod)) return pod.status?.podIP;
    const given = [...restored.values()].map(({ record }) => record.podIp);
    return [...given, pod.status?.podIP ?? ""].find((ip) => this.#reserve(pod, ip));
  }

  #reserve(pod: Pod, ip: string): boolean {
    if (pod.spec.hostNetwork === true) return ip === this.#deps.hostIps[0];
    const address = parseIpAddress(ip);
    return address !== undefined && this.#addresses.reserve(address, pod.metadata.uid ?? "");
  }

  #abandon(uid: string): void {
    const worker = this.#workers.get(uid);
    if (worker === undefined) return;
    const leaving = worker
      .abandon()
      .catch((error: unknown) => {
        this.#deps.log.error("pod not cleaned up", { pod: worker.pod.metadata.name, error });
      })
      .finally(() => {
        this.#workers.delete(uid);
        this.#deps.metrics.pods.set(this.#workers.size);
        this.#leaving.delete(leaving);
      });
    this.#leaving.add(leaving);
  }

  /** The Pod runs all the same: many programs only look into a volume that is optional. */
  #warnOfVolumes(pod: Pod): void {
    const message = unmountedVolumes(pod, this.#deps.sandboxes.canMount);
    if (message === undefined) return;
    this.#deps.record(referenceTo(pod, undefined), "Warning", "VolumesNotMounted", message);
  }
}

function containerNames(pod: Pod): readonly string[] {
  return [...initContainersOf(pod), ...pod.spec.containers].map(({ name }) => name);
}

function isOver(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

function referenceTo(pod: Pod, container: string | undefined): ObjectReference {
  const { namespace, name, uid, resourceVersion } = pod.metadata;
  const isInit = initContainersOf(pod).some((candidate) => candidate.name === container);
  return {
    kind: "Pod",
    apiVersion: "v1",
    namespace,
    name,
    uid,
    resourceVersion,
    ...(container === undefined
      ? {}
      : { fieldPath: `spec.${isInit ? "initContainers" : "containers"}{${container}}` }),
  };
}
