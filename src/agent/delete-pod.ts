import { podKind } from "../api/v1/pod.kind.ts";
import type { Pod } from "../api/v1/pod.ts";
import { hasReason } from "../api/machinery/status.ts";
import { backoff } from "../async/backoff.ts";
import { sleep } from "../async/sleep.ts";
import type { ApiClient } from "../client/client.ts";
import type { Logger } from "../telemetry/log.ts";

const RETRY = { baseMs: 100, maxMs: 5_000 };

/** Tells the API that a Pod has ended, so that the object goes; retried until it has or `signal` aborts. */
export async function deletePod(
  pod: Pod,
  client: ApiClient,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const { name, namespace, uid = "" } = pod.metadata;
  const options = { gracePeriodSeconds: 0, preconditions: { uid }, signal };
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      await client.delete(podKind, { name, namespace }, options);
      return;
    } catch (error) {
      // Gone, or another Pod of that name: both is what was wanted.
      if (signal.aborted || hasReason(error, "NotFound", "Conflict")) return;
      log.warn("pod not deleted", { error });
      // Rejects only when the signal aborts; the loop's condition sees that.
      await sleep(backoff(failures, RETRY, Math.random), signal).catch(() => undefined);
    }
  }
}
