import { isAbsolute, join, normalize } from "node:path";
import type { Container } from "../api/v1/container.ts";
import { expandVariables } from "./expansion.ts";
import { checkSubPath, subPathOf } from "./host-path.ts";
import type { OpenedVolume } from "./pod-volumes.ts";
import { VolumeError } from "./pod-volumes.ts";

type VolumeMount = NonNullable<Container["volumeMounts"]>[number];

/** A file or folder of the node that a container sees at another path. */
export interface Mount {
  readonly source: string;
  /** Absolute. */
  readonly target: string;
  readonly isReadOnly: boolean;
  /** Whether what is mounted below is read-only too: it must be, may be where that can be had, or need not. */
  readonly recursion: "must" | "may" | "none";
  /**
   * What is mounted later in the source: "slave" shows it at the target, "shared" also what is mounted at the target in
   * the source.
   */
  readonly propagation: "private" | "slave" | "shared";
  /** For a source in memory; @see OpenedVolume.memoryBytes */
  readonly memory?: { readonly dir: string; readonly bytes: number };
  /** What of the source is mounted, where that is only known in the Pod. */
  readonly subPath?: string;
}

const RECURSIONS: Readonly<Record<string, Mount["recursion"]>> = {
  Enabled: "must",
  IfPossible: "may",
};

const PROPAGATIONS: Readonly<Record<string, Mount["propagation"]>> = {
  HostToContainer: "slave",
  Bidirectional: "shared",
};

/** The kernel's word for a mount's propagation. */
export function propagationOf({ mountPropagation = "None" }: VolumeMount): Mount["propagation"] {
  return PROPAGATIONS[mountPropagation] ?? "private";
}

/**
 * What a container mounts, outer folders before those inside them. Volumes that are not opened are left out.
 * @param env the container's variables, for `subPathExpr`.
 * @throws VolumeError when a part of a volume cannot be had.
 */
export async function containerMounts(
  { volumeMounts = [] }: Container,
  opened: ReadonlyMap<string, OpenedVolume>,
  env: Readonly<Record<string, string>>,
): Promise<readonly Mount[]> {
  const mounts: Mount[] = [];
  for (const volumeMount of volumeMounts) {
    const { name, mountPath, readOnly, subPath = "", subPathExpr = "" } = volumeMount;
    const volume = opened.get(name);
    if (volume === undefined) continue;
    const { dir, memoryBytes: bytes } = volume;
    const part = subPathExpr === "" ? subPath : expandVariables(subPathExpr, (key) => env[key]);
    const target = normalize(isAbsolute(mountPath) ? mountPath : join("/", mountPath));
    const isReadOnly = volume.isReadOnly || readOnly === true;
    const recursion = RECURSIONS[volumeMount.recursiveReadOnly ?? ""] ?? "none";
    const propagation = propagationOf(volumeMount);
    const mount = { source: dir, target: withoutSlash(target), isReadOnly, recursion, propagation };
    try {
      if (bytes !== undefined) {
        checkSubPath(part);
        mounts.push({ ...mount, memory: { dir, bytes }, subPath: part });
        continue;
      }
      const source = part === "" ? dir : await subPathOf(dir, part, !volume.isReadOnly);
      mounts.push({ ...mount, source });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new VolumeError(name, message, { cause: error });
    }
  }
  return mounts.sort((a, b) => (a.target < b.target ? -1 : 1));
}

function withoutSlash(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}
