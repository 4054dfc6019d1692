import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Container } from "../api/v1/container.ts";
import type { Pod } from "../api/v1/pod.ts";
import type { Volume } from "../api/v1/volume.ts";
import type { ApiClient } from "../client/client.ts";
import { ACCOUNT_MOUNT_PATH } from "../core/serviceaccounts/admission.ts";
import type { Logger } from "../telemetry/log.ts";
import type { PodPlace } from "./downward.ts";
import { StorageLimits } from "./storage-limits.ts";
import { storageLimitsOf } from "./storage-limits-of.ts";
import { hostPathProblem } from "./host-path.ts";
import { KeptVolume } from "./kept-volume.ts";
import { parseQuantity } from "./quantity.ts";
import { RecentObjects } from "./recent-objects.ts";
import { unknownSource, writtenVolume } from "./volume-files.ts";

/** Tells a container where the files are that others find at {@link ACCOUNT_MOUNT_PATH}. */
const ACCOUNT_DIR_VARIABLE = "PORTOLAN_SERVICEACCOUNT_DIR";
/** Tells a container where its Pod's volumes lie, each under its name, where they cannot be mounted. */
const VOLUMES_DIR_VARIABLE = "PORTOLAN_VOLUMES_DIR";

export interface PodVolumesDeps {
  readonly client: Pick<ApiClient, "get" | "createSubresource">;
  readonly log: Logger;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** A Pod's own directory, by its UID. */
  readonly podDir: (podUid: string) => string;
  /** The Pod as it is in the API now; what it was when it is gone. */
  readonly current: (pod: Pod) => Pod;
  readonly place: (podIps: readonly string[]) => PodPlace;
  /** Whether Pods have mount namespaces: then all volumes that a node can have are made ready. */
  readonly canMount: boolean;
  /**
   * What must not come to a disk: a Pod's own directory for it, and what mounts the memory that it lies in. Undefined:
   * nothing can be mounted, and it lies with the rest.
   */
  readonly memory:
    | { readonly podDir: (podUid: string) => string; readonly mount: () => Promise<void> }
    | undefined;
  /** A Pod is to go: one of its volumes takes more than it may. */
  readonly evict: (podUid: string, message: string) => void;
}

/** Where a volume's files are on the node. */
export interface OpenedVolume {
  readonly dir: string;
  /** Whether programs may not write to it, whatever their mount says. */
  readonly isReadOnly: boolean;
  /** For a file system in memory, to be mounted at `dir` in the Pod: its size in bytes, 0 for the kernel's default. */
  readonly memoryBytes?: number;
}

/** A volume is not ready; the message is the one of kubelet's FailedMount. */
export class VolumeError extends Error {
  readonly code = "VOLUME";
  constructor(volume: string, message: string, options?: ErrorOptions) {
    super(`MountVolume.SetUp failed for volume "${volume}" : ${message}`, options);
    this.name = "VolumeError";
  }
}

/** Whether this node can give a Pod such a volume. */
export function isVolumeSupported(volume: Volume): boolean {
  const written = writtenVolume(volume);
  if (written !== undefined) return unknownSource(written) === undefined;
  return volume.emptyDir !== undefined || volume.hostPath !== undefined;
}

/** What is not mounted of what a Pod's containers ask for, for its Event; undefined when all is. */
export function unmountedVolumes(pod: Pod, canMount: boolean): string | undefined {
  const volumes = new Map((pod.spec.volumes ?? []).map((volume) => [volume.name, volume]));
  const isMounted = (name: string): boolean => {
    const volume = volumes.get(name);
    return canMount && volume !== undefined && isVolumeSupported(volume);
  };
  const paths = [...(pod.spec.initContainers ?? []), ...pod.spec.containers]
    .flatMap(({ volumeMounts }) => volumeMounts ?? [])
    .filter(({ name }) => !isMounted(name))
    .map(({ mountPath }) => mountPath)
    .filter((path) => !path.startsWith("/var/run/secrets/kubernetes.io/"));
  if (paths.length === 0) return undefined;
  return canMount
    ? `this node cannot have the volumes of ${paths.join(", ")}: nothing is mounted there`
    : `Pods run as local processes without mounts: nothing is mounted at ${paths.join(", ")}; ` +
        `${VOLUMES_DIR_VARIABLE} names the folder with the volumes that can be had`;
}

/**
 * The volumes of the node's Pods, below each Pod's own directory, which only this user reads. What is made of
 * objects follows them as long as the Pod runs, and tokens are replaced before they end.
 */
export class PodVolumes implements AsyncDisposable {
  readonly #deps: PodVolumesDeps;
  readonly #objects: RecentObjects;
  readonly #limits: StorageLimits;
  /** By Pod UID and the volume's name. */
  readonly #kept = new Map<string, Map<string, KeptVolume>>();

  constructor(deps: PodVolumesDeps) {
    this.#deps = deps;
    this.#objects = new RecentObjects(deps.client);
    this.#limits = new StorageLimits({ log: deps.log, exceeded: deps.evict });
  }

  /**
   * Makes ready what the container mounts, and resolves to it by the volumes' names; without those that the node
   * cannot have.
   * @throws VolumeError when one is not ready; asking again tries again.
   */
  async open(
    pod: Pod,
    container: Container,
    podIps: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, OpenedVolume>> {
    this.#limitContainers(pod);
    const volumes = mountedVolumes(pod, container);
    // At once: most wait for an answer of the API.
    const opening = await Promise.allSettled(
      volumes.map((volume) => this.#open(pod, volume, podIps, signal)),
    );
    const opened = new Map<string, OpenedVolume>();
    for (const [i, { name }] of volumes.entries()) {
      const one = opening[i];
      if (one?.status === "fulfilled" && one.value !== undefined) opened.set(name, one.value);
      if (one?.status !== "rejected") continue;
      const cause: unknown = one.reason;
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new VolumeError(name, message, { cause });
    }
    return opened;
  }

  /** Variables that tell a container's program where its volumes are. */
  environment(pod: Pod, container: Container): Readonly<Record<string, string>> {
    const account = accountVolume(pod, container);
    return {
      ...(account === undefined ? {} : { [ACCOUNT_DIR_VARIABLE]: this.#dirOf(pod, account) }),
      ...(this.#deps.canMount || mountedVolumes(pod, container).length === 0
        ? {}
        : { [VOLUMES_DIR_VARIABLE]: this.#dirOf(pod) }),
    };
  }

  /** Keeps the volumes of a container that runs already: a token that ended meanwhile is replaced soon. */
  resume(pod: Pod, container: Container): void {
    const podIps = (pod.status?.podIPs ?? []).flatMap(({ ip }) => ip ?? []);
    this.#limitContainers(pod);
    for (const volume of mountedVolumes(pod, container)) {
      this.#keep(pod, volume, podIps)?.resume();
      this.#limit(pod, volume);
    }
  }

  /** The Pod needs its volumes no more. Idempotent. */
  close(podUid: string): void {
    for (const kept of this.#kept.get(podUid)?.values() ?? []) kept.end();
    this.#kept.delete(podUid);
    this.#limits.forget(podUid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#kept.values()].flatMap((volumes) => [...volumes.values()]);
    for (const uid of this.#kept.keys()) this.close(uid);
    await this.#limits[Symbol.asyncDispose]();
    await Promise.all(all.map((kept) => kept.ended()));
  }

  async #open(
    pod: Pod,
    volume: Volume,
    podIps: readonly string[],
    signal: AbortSignal,
  ): Promise<OpenedVolume | undefined> {
    const dir = this.#dirOf(pod, volume);
    const { emptyDir, hostPath } = volume;
    // Nobody else comes this way, whatever the modes of the files.
    await mkdir(this.#deps.podDir(pod.metadata.uid ?? ""), { recursive: true, mode: 0o700 });
    const kept = this.#keep(pod, volume, podIps);
    if (kept !== undefined) {
      await kept.written(signal);
      return { dir, isReadOnly: true };
    }
    if (emptyDir !== undefined) {
      const { medium = "" } = emptyDir;
      if (!/^(Memory|HugePages.*)?$/.test(medium))
        throw new Error(`unknown storage medium ${JSON.stringify(medium)}`);
      await mkdir(dir, { recursive: true });
      // For whichever user a program takes on, and whatever the umask says.
      await chmod(dir, 0o777);
      this.#limit(pod, volume);
      if (!isInMemory(volume)) return { dir, isReadOnly: false };
      return { dir, isReadOnly: false, memoryBytes: memoryBytesOf(pod, emptyDir.sizeLimit) };
    }
    if (hostPath === undefined || !this.#deps.canMount) return undefined;
    const problem = await hostPathProblem(hostPath.path, hostPath.type ?? "");
    if (problem !== undefined) throw new Error(problem);
    return { dir: hostPath.path, isReadOnly: false };
  }

  /** The writer of a volume's files; undefined for one that is not written. */
  #keep(pod: Pod, volume: Volume, podIps: readonly string[]): KeptVolume | undefined {
    const written = writtenVolume(volume);
    if (written === undefined || unknownSource(written) !== undefined) return undefined;
    const uid = pod.metadata.uid ?? "";
    const volumes = this.#kept.get(uid) ?? new Map<string, KeptVolume>();
    this.#kept.set(uid, volumes);
    let kept = volumes.get(volume.name);
    if (kept === undefined) {
      const { client, log, now, current, place } = this.#deps;
      const deps = { client, objects: this.#objects, log, now, current };
      kept = new KeptVolume(deps, {
        pod,
        place: place(podIps),
        volume: written,
        dir: this.#dirOf(pod, volume),
        ready: () => this.#ready(volume),
      });
      volumes.set(volume.name, kept);
    }
    return kept;
  }

  /** An emptyDir with a limit is watched, except one in memory, which cannot get larger. */
  #limit(pod: Pod, volume: Volume): void {
    const { sizeLimit } = volume.emptyDir ?? {};
    if (sizeLimit === undefined || (this.#deps.canMount && isInMemory(volume))) return;
    this.#limits.watch(pod.metadata.uid ?? "", `volume ${volume.name}`, {
      dirs: [this.#dirOf(pod, volume)],
      limit: sizeLimit,
      // The space at its end is upstream's, as in the messages of containers.
      message: `Usage of EmptyDir volume "${volume.name}" exceeds the limit "${String(sizeLimit)}". `,
    });
  }

  #limitContainers(pod: Pod): void {
    const uid = pod.metadata.uid ?? "";
    const emptyDirs = (pod.spec.volumes ?? []).filter(
      (volume) => volume.emptyDir !== undefined && !(this.#deps.canMount && isInMemory(volume)),
    );
    const limits = storageLimitsOf(pod, {
      logs: (container) => join(this.#deps.podDir(uid), container),
      volumes: emptyDirs.map((volume) => this.#dirOf(pod, volume)),
    });
    for (const [what, limited] of limits) this.#limits.watch(uid, what, limited);
  }

  async #ready(volume: Volume): Promise<void> {
    if (isSecret(volume)) await this.#deps.memory?.mount();
  }

  #dirOf(pod: Pod, volume?: Volume): string {
    const { memory } = this.#deps;
    if (memory !== undefined && volume !== undefined && isSecret(volume))
      return join(memory.podDir(pod.metadata.uid ?? ""), volume.name);
    const dir = join(this.#deps.podDir(pod.metadata.uid ?? ""), "volumes");
    return volume === undefined ? dir : join(dir, volume.name);
  }
}

function mountedVolumes(pod: Pod, { volumeMounts = [] }: Container): readonly Volume[] {
  const mounted = new Set(volumeMounts.map(({ name }) => name));
  return (pod.spec.volumes ?? []).filter(({ name }) => mounted.has(name));
}

/** What kubelet keeps off the disk: all that may be secret, and a Pod's own fields with it. */
function isSecret({ secret, projected, downwardAPI }: Volume): boolean {
  return (secret ?? projected ?? downwardAPI) !== undefined;
}

function isInMemory({ emptyDir }: Volume): boolean {
  return emptyDir?.medium === "Memory";
}

/**
 * Size of an emptyDir in memory: its limit, or that of the Pod's memory where that is less; 0: neither is set
 * (kubelet `calculateEmptyDirMemorySize`).
 */
function memoryBytesOf(pod: Pod, sizeLimit: string | number | undefined): number {
  const podBytes = pod.spec.containers
    .map(({ resources }) => parseQuantity(resources?.limits?.["memory"] ?? 0) ?? 0)
    .reduce((sum, bytes) => sum + bytes, 0);
  const limits = [podBytes, parseQuantity(sizeLimit ?? 0) ?? 0].filter((bytes) => bytes > 0);
  return limits.length === 0 ? 0 : Math.min(...limits);
}

function accountVolume(pod: Pod, { volumeMounts }: Container): Volume | undefined {
  const mount = volumeMounts?.find(({ mountPath }) => mountPath === ACCOUNT_MOUNT_PATH);
  const volume = pod.spec.volumes?.find(({ name }) => name === mount?.name);
  return volume?.projected === undefined ? undefined : volume;
}
