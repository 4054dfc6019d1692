import { reasonOf, sleep } from "../async/sleep.ts";
import type { Transport } from "../client/transport.ts";
import type { KubernetesConfig } from "../core/dns/corefile/kubernetes-directive.ts";
import type { Metrics } from "../telemetry/metrics.ts";

/** client-go's, where only one of the two is said. */
const DEFAULT_PER_SECOND = 5;
const DEFAULT_BURST = 10;
/** Seconds; CoreDNS's. */
const BUCKETS = Array.from({ length: 10 }, (_, n) => 0.001 * 2 ** n);

/**
 * The API as a `kubernetes` directive lets it be asked, and what was asked counted by CoreDNS's names. A watch is
 * under way until its answer begins: it lasts for minutes by design.
 * @param host of the API, for the labels.
 */
export function limitedTransport(
  transport: Transport,
  { perSecond, burst, inFlight }: KubernetesConfig["apiLimits"],
  metrics: Metrics,
  host: string,
): Transport {
  const requests = metrics.counter(
    "coredns_kubernetes_rest_client_requests_total",
    "Requests to the API that were answered.",
    ["code", "method", "host"],
  );
  const durations = metrics.histogram(
    "coredns_kubernetes_rest_client_request_duration_seconds",
    "Time until the API's answer began.",
    ["verb", "host"],
    BUCKETS,
  );
  const waits = metrics.histogram(
    "coredns_kubernetes_rest_client_rate_limiter_duration_seconds",
    "Time that requests to the API waited here for their turn.",
    ["verb", "host"],
    BUCKETS,
  );
  const hasRate = perSecond !== undefined || burst !== undefined;
  const turns = hasRate
    ? new Turns(perSecond ?? DEFAULT_PER_SECOND, burst ?? DEFAULT_BURST)
    : undefined;
  const places = inFlight === undefined ? undefined : new Places(inFlight);
  return async (request) => {
    const { method: verb, signal } = request;
    const startMs = performance.now();
    await places?.take(signal);
    try {
      await turns?.wait(signal);
      const sentMs = performance.now();
      waits.with({ verb, host }).observe((sentMs - startMs) / 1000);
      const response = await transport(request);
      durations.with({ verb, host }).observe((performance.now() - sentMs) / 1000);
      requests.with({ code: String(response.status), method: verb, host }).inc();
      return response;
    } catch (error) {
      if (!signal.aborted) requests.with({ code: "<error>", method: verb, host }).inc();
      throw error;
    } finally {
      places?.leave();
    }
  };
}

/** A bucket of turns that fills up at a rate. */
class Turns {
  readonly #perMs: number;
  readonly #burst: number;
  #left: number;
  #atMs = performance.now();

  constructor(perSecond: number, burst: number) {
    this.#perMs = perSecond / 1000;
    this.#burst = burst;
    this.#left = burst;
  }

  /** Takes a turn, and waits until it is there. Who gives up waiting has had it all the same. */
  async wait(signal: AbortSignal): Promise<void> {
    const nowMs = performance.now();
    this.#left = Math.min(this.#burst, this.#left + (nowMs - this.#atMs) * this.#perMs) - 1;
    this.#atMs = nowMs;
    if (this.#left < 0) await sleep(-this.#left / this.#perMs, signal);
  }
}

/** So many at once; others wait in line. */
class Places {
  #free: number;
  readonly #line: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async take(signal: AbortSignal): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const go = (): void => {
        signal.removeEventListener("abort", giveUp);
        resolve();
      };
      const giveUp = (): void => {
        this.#line.splice(this.#line.indexOf(go), 1);
        reject(reasonOf(signal));
      };
      this.#line.push(go);
      signal.addEventListener("abort", giveUp, { once: true });
      if (signal.aborted) giveUp();
    });
  }

  leave(): void {
    const next = this.#line.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}
