import { refOf } from "../api/machinery/object-key.ts";
import type { ObjectKey } from "../api/machinery/object-key.ts";
import { hasReason } from "../api/machinery/status.ts";
import { serviceKind } from "../api/v1/service.kind.ts";
import type { ApiClient } from "../client/client.ts";

/**
 * Asks the API itself whether a Service is gone, before anything is deleted because a cache lacks it: two
 * watches keep no order between them, so a cache may have a slice before its Service.
 */
export async function isServiceGone(
  client: Pick<ApiClient, "get">,
  key: ObjectKey,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await client.get(serviceKind, refOf(key), { signal });
    return false;
  } catch (error) {
    if (hasReason(error, "NotFound")) return true;
    throw error;
  }
}
