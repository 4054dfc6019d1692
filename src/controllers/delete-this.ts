import type { KindDefinition } from "../api/machinery/kind.ts";
import type { KubernetesObject } from "../api/machinery/metadata.ts";
import { hasReason } from "../api/machinery/status.ts";
import type { ApiClient, DeleteOptions } from "../client/client.ts";

/**
 * Deletes this very object: another one of its name is none of ours to delete.
 * @returns whether it was there.
 */
export async function deleteThis<T extends KubernetesObject>(
  client: Pick<ApiClient, "delete">,
  kind: KindDefinition<T>,
  { metadata }: T,
  options: Omit<DeleteOptions, "preconditions">,
): Promise<boolean> {
  const { uid } = metadata;
  const preconditions = uid === undefined ? {} : { uid };
  try {
    await client.delete(kind, metadata, { ...options, preconditions });
    return true;
  } catch (error) {
    if (!hasReason(error, "NotFound", "Conflict")) throw error;
    return false;
  }
}
