import { get } from "node:http";
import { withDeadline } from "../async/deadline.ts";
import { every } from "../async/every.ts";
import { reasonOf } from "../async/sleep.ts";
import { isUnspecified } from "../net/address.ts";
import type { IpAddress } from "../net/address.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { ListenAddress } from "./listener.ts";

const EVERY_MS = 1000;
const TIMEOUT_MS = 3000;
/** Seconds; CoreDNS's. */
const BUCKETS = [0.00025, 0.0025, 0.025, 0.25, 2.5];

/**
 * Asks this server's own `/health` every second, as CoreDNS does: an answer that takes long says that the process
 * has no time for others either. Disposing ends it.
 */
export function startSelfCheck(
  metrics: Metrics,
  { address, port }: ListenAddress,
): AsyncDisposable {
  const durations = metrics
    .histogram(
      "coredns_health_request_duration_seconds",
      "Time until this server answered its own question for its health.",
      [],
      BUCKETS,
    )
    .with();
  const failures = metrics
    .counter(
      "coredns_health_request_failures_total",
      "Questions of this server for its own health that were not answered.",
    )
    .with();
  failures.inc(0);
  return every(EVERY_MS, async (ended) => {
    const startMs = performance.now();
    try {
      await withDeadline(TIMEOUT_MS, ended, (signal) => ask(reachable(address), port, signal));
      durations.observe((performance.now() - startMs) / 1000);
    } catch {
      // What is wrong with it others see as well; here it is counted.
      if (!ended.aborted) failures.inc();
    }
  });
}

/** Who listens on every address, of both families, is found at the loopback's. */
function reachable(address: IpAddress): string {
  return isUnspecified(address) ? "127.0.0.1" : address;
}

function ask(host: string, port: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = get({ host, port, path: "/health", agent: false }, (response) => {
      response.resume();
      response.once("end", () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`/health answered ${String(response.statusCode)}`));
      });
      response.once("error", reject);
    });
    const stop = (): void => {
      request.destroy(reasonOf(signal));
    };
    request.once("error", reject);
    request.once("close", () => {
      signal.removeEventListener("abort", stop);
    });
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
  });
}
