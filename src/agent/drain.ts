import { leaseKind } from "../api/coordination/lease.kind.ts";
import type { Lease } from "../api/coordination/lease.ts";
import type { EndpointSlice } from "../api/discovery/endpointslice.ts";
import type { Pod } from "../api/v1/pod.ts";
import { DeadlineError, withDeadline } from "../async/deadline.ts";
import { sleep } from "../async/sleep.ts";
import type { EventType } from "../client/events.ts";
import type { Informer, Informers } from "../client/informer.ts";
import {
  DATA_PLANE_LABEL,
  DATA_PLANE_NAMESPACE,
  markedVersion,
  unconfirmed,
} from "../core/endpoints/draining.ts";
import { proxiedServiceOf } from "../core/proxy/endpoint-view.ts";
import type { AgentMetrics } from "./metrics.ts";
import { gracePeriodSecondsOf } from "./facts.ts";

const INDEX = "target-pod";
/** The longest that a Pod runs on because of data planes that say nothing. */
const DRAIN_MS = 5_000;
/** Connections that were handed over just before the last data plane confirmed reach the program's accept(). */
const SETTLE_MS = 100;

export interface DrainsDeps {
  /** For the Leases of data planes. */
  readonly informers: Pick<Informers, "of">;
  readonly slices: Informer<EndpointSlice>;
  readonly metrics: Pick<AgentMetrics, "drainSeconds" | "drainTimeouts">;
  /** Epoch milliseconds. */
  readonly now: () => number;
  readonly record: (pod: Pod, type: EventType, reason: string, message: string) => void;
}

interface Draining {
  readonly uid: string;
  /** From which version on slices say that the Pod terminates; undefined: they do not yet. */
  version: string | undefined;
  readonly confirm: () => void;
}

/**
 * Lets Pods that are asked to end run on until nothing new is sent to them: until EndpointSlices mark them as
 * terminating and every data plane that is up has confirmed to have carried that out, but 5 seconds at most.
 * Where Kubernetes stops the program at once and needs a `sleep` in preStop, no connection is lost here.
 */
export class Drains implements Disposable {
  readonly #deps: DrainsDeps;
  readonly #slices: Informer<EndpointSlice>;
  #leases: Informer<Lease> | undefined;
  readonly #draining = new Set<Draining>();
  readonly #ended = new AbortController();
  readonly #subscriptions: Disposable[];

  constructor(deps: DrainsDeps) {
    this.#deps = deps;
    this.#slices = deps.slices;
    this.#slices.addIndex(INDEX, (slice) => {
      if (proxiedServiceOf(slice) === undefined) return [];
      return (slice.endpoints ?? []).flatMap(({ targetRef }) => targetRef?.uid ?? []);
    });
    this.#subscriptions = [
      this.#slices.onChange(() => {
        this.#look();
      }),
    ];
  }

  [Symbol.dispose](): void {
    this.#ended.abort(new Error("the node agent is ending"));
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]();
  }

  /**
   * To be called when a Pod is asked to end.
   * @returns undefined when nobody sends it anything; else resolves when its program may be stopped, or when
   * `signal` aborts. Never rejects.
   */
  drained(pod: Pod, signal: AbortSignal): Promise<void> | undefined {
    const uid = pod.metadata.uid ?? "";
    const limitMs = Math.min(DRAIN_MS, gracePeriodSecondsOf(pod) * 1000);
    if (limitMs <= 0 || this.#slices.byIndex(INDEX, uid).length === 0) return undefined;
    // Only while Pods end does anybody need to know of data planes; afterwards their news is rare.
    this.#leases ??= this.#startLeases();
    return this.#drain(pod, uid, limitMs, signal);
  }

  async #drain(pod: Pod, uid: string, limitMs: number, signal: AbortSignal): Promise<void> {
    const startedMs = this.#deps.now();
    let confirm = (): void => undefined;
    const confirmed = new Promise<void>((resolve) => {
      confirm = resolve;
    });
    const draining: Draining = { uid, version: undefined, confirm };
    this.#draining.add(draining);
    this.#look();
    try {
      await withDeadline(limitMs, signal, () => confirmed);
      await sleep(SETTLE_MS, signal);
    } catch (error) {
      // Otherwise the worker ends, and its Pod with it.
      if (error instanceof DeadlineError) this.#noteTimeout(pod, draining, limitMs);
    } finally {
      this.#draining.delete(draining);
      this.#deps.metrics.drainSeconds.observe((this.#deps.now() - startedMs) / 1000);
    }
  }

  #startLeases(): Informer<Lease> {
    const scope = { namespace: DATA_PLANE_NAMESPACE, labelSelector: DATA_PLANE_LABEL };
    const leases = this.#deps.informers.of(leaseKind, scope);
    const subscription = leases.onChange(() => {
      this.#look();
    });
    this.#subscriptions.push(subscription);
    // Without any data plane there is no Lease to hear of.
    leases.synced(this.#ended.signal).then(
      () => {
        this.#look();
      },
      () => undefined,
    );
    return leases;
  }

  /** Lets go of those that all data planes have confirmed. */
  #look(): void {
    for (const draining of this.#draining) {
      const slices = this.#slices.byIndex(INDEX, draining.uid);
      draining.version ??= markedVersion(slices, draining.uid);
      if (this.#isWaitedFor(draining)) continue;
      draining.confirm();
    }
  }

  #isWaitedFor({ version }: Draining): boolean {
    if (version === undefined || this.#leases?.hasSynced !== true) return true;
    return unconfirmed(this.#leases.list(), version, this.#deps.now()).length > 0;
  }

  #noteTimeout(pod: Pod, { version }: Draining, limitMs: number): void {
    const leases = this.#leases?.list() ?? [];
    const silent = version === undefined ? [] : unconfirmed(leases, version, this.#deps.now());
    const why =
      silent.length > 0
        ? `the data planes of ${silent.join(", ")} did not confirm that they send it no new connections`
        : "its EndpointSlices do not say that it is terminating";
    const message = `Stopping after ${String(limitMs / 1000)} s of waiting: ${why}`;
    this.#deps.record(pod, "Warning", "DrainTimedOut", message);
    this.#deps.metrics.drainTimeouts.inc();
  }
}
