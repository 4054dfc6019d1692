import type { Pod } from "../api/v1/pod.ts";
import { parseQuantity } from "./quantity.ts";
import type { Limited } from "./storage-limits.ts";

/** Where the parts of a Pod lie that its limits of ephemeral storage are about. */
export interface StorageDirs {
  /** A container has no file system of its own: its logs are all that it takes. */
  readonly logs: (container: string) => string;
  /** Of its emptyDirs on disk. */
  readonly volumes: readonly string[];
}

/**
 * What a Pod's limits of ephemeral-storage say, by what they are about: each container's of its own, and their sum of
 * all and of the emptyDirs (kubelet `podEphemeralStorageLimitEviction`, `containerEphemeralStorageLimitEviction`).
 */
export function storageLimitsOf(
  { spec }: Pod,
  { logs, volumes }: StorageDirs,
): readonly (readonly [what: string, limited: Limited])[] {
  const limited = spec.containers.flatMap(({ name, resources }) => {
    const limit = resources?.limits?.["ephemeral-storage"];
    return limit === undefined ? [] : [{ name, limit }];
  });
  if (limited.length === 0) return [];
  const total = limited.reduce((sum, { limit }) => sum + (parseQuantity(limit) ?? 0), 0);
  const text = limited.length === 1 ? String(limited[0]?.limit) : String(total);
  return [
    [
      "pod",
      {
        dirs: [...spec.containers.map(({ name }) => logs(name)), ...volumes],
        limit: total,
        message: `Pod ephemeral local storage usage exceeds the total limit of containers ${text}. `,
      },
    ],
    ...limited.map(({ name, limit }): [string, Limited] => [
      `container ${name}`,
      {
        dirs: [logs(name)],
        limit,
        message: `Container ${name} exceeded its local ephemeral storage limit "${String(limit)}". `,
      },
    ]),
  ];
}
